package message

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostile shapes: each must stay under 100 ms and 20 MiB of allocation in all.
func hostile() map[string]string {
	nested := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String()
	}
	return map[string]string{
		"deep nesting":          nested(5000),
		"200,000 parts":         "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\n\r\nx\r\n", 200_000),
		"200,000 bare parts":    "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\n", 200_000),
		"1 MB header line":      "Subject: " + strings.Repeat("x", 1<<20) + "\r\n\r\nbody\r\n",
		"1 MB of encoded words": "Subject: " + strings.Repeat("=?utf-8?q?x?=", 80_000) + "\r\n\r\nbody\r\n",
		"broken encoded words":  "Subject: " + strings.Repeat("=?", 500_000) + "\r\n\r\nbody\r\n",
		"half encoded words":    "Subject: " + strings.Repeat("=?a?q?", 200_000) + "\r\n\r\nbody\r\n",
		"empty multipart":       "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
		"nested rfc822":         strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 8192),
		"continuation lines":    "Subject: x\r\n" + strings.Repeat(" y\r\n", 100_000) + "\r\nbody\r\n",
		"empty continuations":   "To: x\r\n" + strings.Repeat(" \r\n", 130_000) + "\r\nbody\r\n",
		"commas":                "To: " + strings.Repeat("a,", 200_000) + "\r\n\r\n",
		"many To":               strings.Repeat("To: a@b\r\n", 40_000) + "\r\n",
		"groups":                "To: " + strings.Repeat("a:;", 100_000) + "\r\n\r\n",
		"comments":              "To: " + strings.Repeat("(", 250_000) + "\r\n\r\n",
		"angles":                "To: " + strings.Repeat("<", 250_000) + "\r\n\r\n",
		"at signs":              "To: " + strings.Repeat("a@", 120_000) + "\r\n\r\n",
		"at signs in brackets":  "To: <" + strings.Repeat("a@", 120_000) + "\r\n\r\n",
		"dotted words":          "To: " + strings.Repeat("a . ", 60_000) + "@b\r\n\r\n",
		"quotes":                "To: " + strings.Repeat("\"", 250_000) + "\r\n\r\n",
		"colons":                "To: " + strings.Repeat(":", 250_000) + "\r\n\r\n",
		"backslashes":           "To: \"" + strings.Repeat("\\", 250_000) + "\r\n\r\n",
		"parameters":            "Content-Type: text/plain" + strings.Repeat("; a=b", 50_000) + "\r\n\r\n",
		"continued parameters":  "Content-Type: text/plain" + strings.Repeat("; a*0=b", 30_000) + "\r\n\r\n",
		"parameter in spaces":   "Content-Type: text/plain; a=" + strings.Repeat("b ", 120_000) + "\r\n\r\n",
		"parameter comments":    "Content-Type: text/plain; a=" + strings.Repeat("(", 250_000) + "\r\n\r\n",
		"references":            "References: " + strings.Repeat("<a@b>", 50_000) + "\r\n\r\n",
		"open references":       "References: " + strings.Repeat("<", 250_000) + "\r\n\r\n",
		"long boundary lines": "Content-Type: multipart/mixed; boundary=a\r\n\r\n" +
			strings.Repeat("--a"+strings.Repeat(" ", 70_000)+"\r\n\r\n", 20),
		"many live boundaries": nested(49) + strings.Repeat("--b\r\n", 100_000),
		"subject of brackets":  "Subject: " + strings.Repeat("[", 250_000) + "\r\n\r\n",
		"subject of leaders":   "Subject: " + strings.Repeat("re:", 80_000) + "\r\n\r\n",
		"subject of trailers":  "Subject: " + strings.Repeat("(fwd)", 50_000) + "\r\n\r\n",
		"subject of forwards":  "Subject: " + strings.Repeat("[fwd:", 100) + strings.Repeat("]", 100) + "\r\n\r\n",
		"HTML of tags":         "Content-Type: text/html\r\n\r\n" + strings.Repeat("<", 100_000),
		"HTML of styles":       "Content-Type: text/html\r\n\r\n" + strings.Repeat("<style>", 100_000),
		"big headers of parts": "Content-Type: multipart/mixed; boundary=a\r\n\r\n" +
			strings.Repeat("--a\r\nContent-Description: "+strings.Repeat("x", 100_000)+"\r\n\r\n", 100),
		"one line of 8 MB": "\r\n" + strings.Repeat("x", 8<<20),
	}
}

// hostileTime is the bar of a machine that does nothing else.
const hostileTime = 100 * time.Millisecond

// TestHostileShapes holds memory, and time: that of its own thread, since a busy
// machine takes longer. A slow one gets more tries, and the race detector ten
// times as long.
func TestHostileShapes(t *testing.T) {
	limit := hostileTime
	if testing.Short() { // as under the race detector
		limit *= 10
	}
	for name, s := range hostile() {
		took, used := readHostile(t, s)
		for try := 0; took > limit && try < 5; try++ {
			again, _ := readHostile(t, s)
			took = min(took, again)
		}
		if took > limit || used > 20<<20 {
			t.Errorf("%s: %v, %d KiB", name, took, used>>10)
		}
		if testing.Verbose() {
			t.Logf("%-24s %8v %6d KiB", name, took.Round(10*time.Microsecond), used>>10)
		}
	}
}

// readHostile does with a message all that storing it does.
func readHostile(t *testing.T, s string) (took time.Duration, used uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadTime(t)
	p := scan(t, s)
	if _, err := Summarize(strings.NewReader(s), int64(len(s)), p); err != nil {
		t.Fatal(err)
	}
	env := AppendEnvelope(nil, p.Envelope)
	body := AppendBodyStructure(nil, p, true)
	MarshalParts(p)
	took = threadTime(t) - start
	runtime.ReadMemStats(&after)
	checkWire(t, env)
	checkWire(t, body)
	checkMarshal(t, p)
	return took, after.TotalAlloc - before.TotalAlloc
}

// threadTime is what this thread has taken of the processor.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
