package dialog

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// says is a server that says its lines and then repeats what it hears.
func says(lines string) *Runner {
	return &Runner{Dial: func(string) (net.Conn, error) {
		a, b := net.Pipe()
		go func() {
			defer b.Close()
			io.WriteString(b, lines)
			if !strings.HasSuffix(lines, "bye\r\n") {
				io.Copy(b, b)
			}
		}()
		return a, nil
	}}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct{ name, lines, script, want string }{
		{"line", "220 a ready\r\n", "S: 220 ... ready\nC: NOOP\nS: NOOP", ""},
		{"star is plain", "* OK\r\n", "S: * OK", ""},
		{"variable", "* OK [UIDNEXT 7] x\r\n", "S: * OK [UIDNEXT <n>] ...\nC: FETCH ${n} $x\nS: FETCH 7 $x", ""},
		{"until", "* a\r\n* b\r\n1 OK\r\n", "S* 1 OK", ""},
		{"bytes", "{3}\r\nabc", "S: {3}\nS| \"abc\"\nC| \"\\x00\\r\\n\"\nS| \"\\x00\\r\\n\"", ""},
		{"two connections", "hi\r\n", "S: hi\nS[b]: hi\nC[b]: x\nC: y\nS: y\nS[b]: x", ""},
		{"end", "bye\r\n", "S: bye\nEOF", ""},
		{"our end", "x\r\n", "S: x\nCLOSE", ""},
		{"mismatch", "220 a\r\n", "\n# greeting\nS: 250 ...", "line 3: S: 250 ...\n\tgot 220 a"},
		{"more before the end", "x\r\nbye\r\n", "S: x\nEOF", "line 2: EOF\n\tgot \"bye\\r\\n\""},
		{"no such step", "", "X: 1", "line 1: X: 1\n\tnot a step"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := says(tt.lines).run(tt.script); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
