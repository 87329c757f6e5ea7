package smtp

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/listen"
)

// Each test here carries the name of a defect that a server of this kind had.

func b64String(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestChunkCutShortIsNotAccepted(t *testing.T) {
	if got := talk(t, &Server{Strict: true}, begin+`C| "BDAT 100 LAST\r\nhalf"`+"\nCLOSE\n"); got != nil {
		t.Errorf("kept %v", got)
	}
}

func TestChunksWithoutLastAreNotAccepted(t *testing.T) {
	for _, last := range []string{"CLOSE\n", end} {
		if got := talk(t, &Server{Strict: true}, begin+`C| "BDAT 3\r\na\r\n"`+"\nS: 250 ...\n"+last); got != nil {
			t.Errorf("kept %v", got)
		}
	}
}

func TestDataCutShortIsNotAccepted(t *testing.T) {
	for _, cut := range []string{`"x\r\n"`, `"x\r\n."`, `"x\r\n.\r"`, `"x\n.\n"`, `""`} {
		if got := talk(t, &Server{}, begin+"C: DATA\nS: 354 ...\nC| "+cut+"\nCLOSE\n"); got != nil {
			t.Errorf("after %s kept %v", cut, got)
		}
	}
}

// pipe serves one connection of srv in a synctest bubble.
func pipe(ctx context.Context, srv *Server) net.Conn {
	srv.Log = slog.New(slog.DiscardHandler)
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		srv.ServeConn(ctx, listen.NewConn(server))
	}()
	return client
}

// script writes each piece after a pause and returns all that the server said.
func script(c net.Conn, pause time.Duration, pieces ...string) string {
	said := make(chan string)
	go func() {
		b, _ := io.ReadAll(c)
		said <- string(b)
	}()
	for _, p := range pieces {
		time.Sleep(pause)
		if _, err := io.WriteString(c, p); err != nil {
			break
		}
	}
	return <-said
}

var envelope = "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n"

func TestStalledDataIsNotRunAsCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &door{}
		said := script(pipe(t.Context(), &Server{Backend: d}), time.Second,
			envelope+"DATA\r\n", "Subject: x\r\n", strings.Repeat(" ", 0))
		if !strings.HasSuffix(said, "354 start mail input; end with <CRLF>.<CRLF>\r\n421 4.4.2 timeout, closing connection\r\n") {
			t.Errorf("said %q", said)
		}
		said = script(pipe(t.Context(), &Server{Backend: d}), 6*time.Minute, "", // silence is over the limit
			envelope+"DATA\r\n", "RSET\r\n", "MAIL FROM:<evil@example.org>\r\n")
		if strings.Contains(said, "flushed") || strings.Contains(said, "354") {
			t.Errorf("said %q", said)
		}
		if got := d.messages(); got != nil {
			t.Errorf("kept %v", got)
		}
	})
}

func TestRollingDeadlineWithinAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &door{}
		slow := []string{envelope + "DATA\r\n"}
		for range 20 { // 80 minutes for 10 MB, never silent for five
			slow = append(slow, strings.Repeat(strings.Repeat("x", 998)+"\r\n", 500))
		}
		said := script(pipe(t.Context(), &Server{Backend: d}), 4*time.Minute, append(slow, ".\r\n", "QUIT\r\n")...)
		if len(d.messages()) != 1 {
			t.Errorf("said %q", said)
		}
	})
}

func TestDripIsBounded(t *testing.T) {
	for name, first := range map[string]string{"command": "NO", "data": envelope + "DATA\r\n", "chunk": envelope + "BDAT 5000\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				drip := []string{first}
				for range 1000 {
					drip = append(drip, "x")
				}
				start := time.Now()
				said := script(pipe(t.Context(), &Server{Backend: &door{}}), 10*time.Second, drip...)
				if !strings.HasSuffix(said, "421 4.4.2 timeout, closing connection\r\n") {
					t.Errorf("said %q", said)
				}
				if d := time.Since(start); d > 7*time.Minute {
					t.Errorf("ended after %v", d)
				}
			})
		})
	}
}

func TestBareCRBeforeTheFinalDot(t *testing.T) {
	// \r\r\n.\r\n ends the message; strictly it also has a bare CR.
	script := begin + "C: DATA\nS: 354 ...\n" + `C| "x\r\r\n.\r\n"` + "\nS: <reply>\nC: NOOP\nS: 250 ...\n" + end
	if got := talk(t, &Server{}, strings.Replace(script, "<reply>", "250 2.0.0 kept", 1)); len(got) != 1 || got[0].Body != "x\r\r\n" {
		t.Errorf("kept %q", got)
	}
	if got := talk(t, &Server{Strict: true}, strings.Replace(script, "<reply>", "550 5.6.0 ...", 1)); got != nil {
		t.Errorf("kept %q", got)
	}
}

func TestSmuggling(t *testing.T) {
	for _, dot := range []string{`\n.\n`, `\n.\r\n`, `\r.\r`, `\r.\r\n`, `\r\n.\n`, `\r\n.\r`, `\r\n.\r\r\n`, `\r\n\x00.\r\n\n`} {
		smuggled := `x` + dot + `MAIL FROM:<evil@example.org>\r\n`
		got := talk(t, &Server{Strict: true}, begin+"C: DATA\nS: 354 ...\nC| \""+smuggled+`.\r\n"`+"\nS: 550 5.6.0 ...\nC: NOOP\nS: 250 2.0.0 OK\n"+end)
		if got != nil {
			t.Errorf("DATA %s: kept %v", dot, got)
		}
		n := len(unquote(t, smuggled))
		got = talk(t, &Server{Strict: true}, begin+"C| \"BDAT "+itoa(n)+` LAST\r\n`+smuggled+"\"\nS: 550 5.6.0 ...\nC: NOOP\nS: 250 2.0.0 OK\n"+end)
		if got != nil {
			t.Errorf("BDAT %s: kept %v", dot, got)
		}
	}
}

func TestBareCRAtTheEndOfAChunk(t *testing.T) {
	got := talk(t, &Server{Strict: true}, begin+`C| "BDAT 2\r\na\rBDAT 2 LAST\r\n\nb"`+"\nS: 250 ...\nS: 250 2.0.0 kept\n"+end)
	if diff := cmp.Diff(one("a\r\nb"), got); diff != "" {
		t.Error("CRLF across chunks:", diff)
	}
	for _, chunks := range []string{`"BDAT 2\r\na\rBDAT 1 LAST\r\nb"`, `"BDAT 2\r\na\rBDAT 0 LAST\r\n"`, `"BDAT 1\r\naBDAT 1 LAST\r\n\n"`} {
		if got := talk(t, &Server{Strict: true}, begin+"C| "+chunks+"\nS: 250 ...\nS: 550 5.6.0 ...\n"+end); got != nil {
			t.Errorf("%s: kept %v", chunks, got)
		}
	}
}

func TestPostmasterWithoutDomain(t *testing.T) {
	got := talk(t, &Server{}, greet+"C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<Postmaster>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n"+end)
	if len(got) != 1 {
		t.Errorf("kept %v", got)
	}
}

func TestSecondMailIsRefusedAndChangesNothing(t *testing.T) {
	got := talk(t, &Server{}, begin+"C: MAIL FROM:<c@example.org>\nS: 503 5.5.1 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n"+end)
	if diff := cmp.Diff(one(""), got); diff != "" {
		t.Error(diff)
	}
}

func TestNewTransactionHasNoOldRecipients(t *testing.T) {
	for _, reset := range []string{"C: RSET\nS: 250 ...\n", "C: EHLO x\nS* 250 LIMITS ...\n", "C: DATA\nS: 354 ...\nC: .\nS: 250 ...\n"} {
		talk(t, &Server{}, begin+reset+"C: RCPT TO:<d@example.org>\nS: 503 ...\nC: MAIL FROM:<c@example.org>\nS: 250 ...\nC: DATA\nS: 554 5.5.1 ...\n"+end)
	}
}

func TestLimits(t *testing.T) {
	repeat := func(n int, s string) string { return strings.Repeat(s, n) }
	for _, tt := range []struct {
		name   string
		srv    *Server
		script string
	}{
		{"unknown commands", &Server{MaxErrors: 3}, greet + repeat(3, "C: FROB\nS: 500 ...\n") + "S: 421 4.7.0 too many errors...\nEOF\n"},
		{"refused recipients", &Server{MaxRefused: 3}, greet + "C: MAIL FROM:<>\nS: 250 ...\n" + repeat(3, "C: RCPT TO:<unknown@example.org>\nS: 550 ...\n") + "S: 421 4.7.0 too many refused...\nEOF\n"},
		{"transactions", &Server{MaxTransactions: 2}, greet + repeat(2, "C: MAIL FROM:<>\nS: 250 ...\nC: RSET\nS: 250 ...\n") + "C: MAIL FROM:<>\nS: 421 4.7.0 ...\nEOF\n"},
		{"recipients", &Server{MaxRecipients: 2}, greet + "C: MAIL FROM:<>\nS: 250 ...\n" + repeat(2, "C: RCPT TO:<b@example.org>\nS: 250 ...\n") + "C: RCPT TO:<b@example.org>\nS: 452 4.5.3 ...\n" + end},
		{"failed logins", &Server{MaxLogins: 2, Backend: &door{auth: true}, TLS: certificate(t)}, "S: 220 ...\nC: EHLO x\nS* 250 STARTTLS\nC: STARTTLS\nS: 220 ...\nTLS\nC: EHLO x\nS* 250 AUTH ...\n" +
			repeat(2, "C: AUTH PLAIN "+b64String("\x00alice\x00wrong")+"\nS: 535 ...\n") + "S: 421 4.7.0 too many failed logins...\nEOF\n"},
		{"size", &Server{MaxSize: 10}, begin + "C: DATA\nS: 354 ...\nC: 123456789012345\nC: .\nS: 552 5.3.4 ...\nC: NOOP\nS: 250 ...\n" + end},
		{"size of chunks", &Server{MaxSize: 10}, begin + `C| "BDAT 8\r\n12345678BDAT 8 LAST\r\n12345678"` + "\nS: 250 ...\nS: 552 5.3.4 ...\n" + end},
		{"far above size", &Server{MaxSize: 10}, begin + "C: DATA\nS: 354 ...\nC: 12345678901234567890123\nS: 421 4.3.4 ...\nEOF\n"},
		{"endless line", &Server{}, greet + "C| \"" + repeat(80000, "x") + "\"\nS: 500 ...\nEOF\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := talk(t, tt.srv, tt.script); got != nil {
				t.Errorf("kept %v", got)
			}
		})
	}
}

func TestUTF8AddressNeedsSMTPUTF8(t *testing.T) {
	got := talk(t, &Server{}, greet+"C: MAIL FROM:<é@example.org>\nS: 553 5.6.7 ...\nC: MAIL FROM:<a@exämple.org>\nS: 553 5.6.7 ...\nC: MAIL FROM:<a@example.org>\nS: 250 ...\nC: RCPT TO:<é@example.org>\nS: 553 5.6.7 ...\nC: RSET\nS: 250 ...\n"+
		"C: MAIL FROM:<é@exämple.org> SMTPUTF8\nS: 250 ...\nC: RCPT TO:<ü@example.org>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n"+end)
	if len(got) != 1 || got[0].To[0] != "ü@example.org" {
		t.Errorf("kept %v", got)
	}
}

func TestTextOfErrorsStaysHere(t *testing.T) {
	var log bytes.Buffer
	srv := &Server{Log: slog.New(slog.NewTextHandler(&log, nil))}
	talk(t, srv, greet+"C: MAIL FROM:<broken@example.org>\nS: 451 4.3.0 local error, try again later\nC: MAIL FROM:<a@example.org>\nS: 250 ...\nC: RCPT TO:<broken@example.org>\nS: 451 4.3.0 local error, try again later\n"+end)
	if n := strings.Count(log.String(), "secret text"); n != 2 {
		t.Errorf("logged %d times:\n%s", n, &log)
	}
}

func TestAcceptedBeforeTheEndIsNotAccepted(t *testing.T) {
	talk(t, &Server{}, strings.Replace(begin, "a@", "hasty@", 1)+"C: DATA\nS: 354 ...\nC: x\nC: .\nS: 451 4.3.0 ...\n"+end)
}

func TestPlaintextBehindSTARTTLS(t *testing.T) {
	talk(t, &Server{TLS: certificate(t)}, "S: 220 ...\nC: EHLO x\nS* 250 STARTTLS\n"+`C| "STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n"`+"\nS: 503 5.5.1 ...\nEOF\n")
}

func TestHandshakeOfSTARTTLSHasADeadline(t *testing.T) {
	cfg := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		script(pipe(t.Context(), &Server{Backend: &door{}, TLS: cfg}), time.Second, "EHLO x\r\n", "STARTTLS\r\n")
		if d := time.Since(start); d > 33*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestShutdownSays421(t *testing.T) {
	srv := &Server{Backend: &door{}, Log: slog.New(slog.DiscardHandler)}
	door := &listen.Server{Name: "smtp", Addrs: []string{"127.0.0.1:0"}, Handler: srv, Log: srv.Log}
	if err := door.Listen(); err != nil {
		t.Fatal(err)
	}
	go door.Serve()
	c, err := net.Dial("tcp", door.Bound()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "NOOP\r\n")
	io.ReadFull(c, make([]byte, len("220 localhost ESMTP Mailstead\r\n250 2.0.0 OK\r\n")))
	if err := door.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c); string(got) != "421 4.3.2 shutting down, come back soon\r\n" {
		t.Errorf("said %q", got)
	}
}
