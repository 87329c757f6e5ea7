package world

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// each runs a test on loopback and in memory.
func each(t *testing.T, fn func(t *testing.T, w *World)) {
	t.Run("loopback", func(t *testing.T) {
		w, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		fn(t, w)
	})
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, err := New(Options{Memory: true})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			fn(t, w)
		})
	})
}

func TestLetterArrives(t *testing.T) {
	each(t, func(t *testing.T, w *World) {
		m, err := w.Domain("remote.test", Behaviour{Rcpt: map[string]string{"no@remote.test": "550 5.1.1 no"}})
		if err != nil {
			t.Fatal(err)
		}
		data := []byte(".Subject: dots\r\n\r\n..\r\n.\r\nend\r\n")
		replies, err := w.Send(t.Context(), m.Address(), Letter{
			From: "a@b.test", To: []string{"no@remote.test", "yes@remote.test"}, Data: data, StartTLS: true,
		})
		if err != nil {
			t.Fatal(err, replies)
		}
		mails, err := m.Wait(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := mails[0]
		if !bytes.Equal(got.Data, data) || !got.TLS || got.From != "a@b.test" ||
			!cmp.Equal(got.To, []string{"yes@remote.test"}) {
			t.Errorf("%+v", got)
		}
		if last := replies[len(replies)-2]; last != "250 2.0.0 taken as 1.1" {
			t.Error(last)
		}
	})
}

func TestMisbehaviour(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    Behaviour
		want string // the last reply
		err  bool
	}{
		{"banner", Behaviour{Reply: map[Step]string{AtConnect: "421 4.3.2 busy"}}, "421 4.3.2 busy", true},
		{"final", Behaviour{Reply: map[Step]string{AtEnd: "554 5.7.1 no"}}, "221 2.0.0 bye", false},
		{"drop at end", Behaviour{Drop: AtEnd}, "354 go on", true},
		{"drop in the body", Behaviour{Drop: AtBody}, "354 go on", true},
		{"stall", Behaviour{Stall: AtMail}, "250 SIZE 0", true},
		{"greylist", Behaviour{Greylist: time.Minute}, "451 4.7.1 greylisted, try again later", false},
		{"quit", Behaviour{Drop: AtQuit}, "250 2.0.0 taken as 1.1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := New(Options{Memory: true})
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				tt.b.TLS = NoTLS
				m, err := w.Domain("remote.test", tt.b)
				if err != nil {
					t.Fatal(err)
				}
				replies, err := w.Send(t.Context(), m.Address(), Letter{To: []string{"x@remote.test"}, Data: []byte("a: b\r\n\r\n")})
				last := replies[len(replies)-1]
				if i := strings.LastIndex(last, "\n"); i >= 0 {
					last = last[i+1:]
				}
				if last != tt.want || (err != nil) != tt.err {
					t.Errorf("%q, %v", replies, err)
				}
			})
		})
	}
}

func TestDialStaysInside(t *testing.T) {
	each(t, func(t *testing.T, w *World) {
		m, err := w.MTA("mx.remote.test", Behaviour{})
		if err != nil {
			t.Fatal(err)
		}
		w.BlackHole(m.Addr)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		for _, address := range []string{m.Address(), "192.0.2.1:25", "[2001:db8::1]:25"} {
			if c, err := w.Dial(ctx, "tcp", address); err == nil {
				c.Close()
				t.Errorf("%s answered", address)
			}
		}
	})
}

func TestFreePortsDiffer(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p] || p >= 32768 {
			t.Errorf("%v", ports)
		}
		seen[p] = true
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}
