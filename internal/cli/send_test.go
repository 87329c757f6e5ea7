package cli

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// status wants a program to end with an exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status NUMBER PROGRAM ARGUMENTS")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func TestParseSend(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"-t":                                     "header dots",
		"-ti":                                    "header",
		"-FCronDaemon -i -odi -oem -oi -t":       "header name=CronDaemon", // Debian's cron
		"-i -FCronDaemon -B8BITMIME -oem root":   "name=CronDaemon to=root",
		"-oi -f a@b -- -x":                       "from=a@b to=-x",
		"-f<a@b> x":                              "from=a@b to=x dots",
		"-f <> x y":                              "from= to=x,y dots",
		"-r a@b -N never -Rhdrs -q30m -v -d0 -U": "from=a@b flush verbose dots",
		"-bp":                                    "mode=p dots",
		"-I":                                     "mode=i dots", // newaliases, of old
		"-em -t":                                 "header dots",
		"-bd -q15m":                              "mode=d flush dots",
		"--data=d --config c --json --help":      "help json data=d config=c dots",
		"-bm -O ErrorMode=m -C /etc/x -A c -G x": "to=x dots",
		"-Z":                                     "error: -Z is no option",
		"-f":                                     "error: -f wants a value",
		"-bxy":                                   "error: -bxy is no option",
		"--datas d":                              "error: --datas is no option",
		"--data":                                 "error: --data wants a value",
	} {
		if d := cmp.Diff(want, shown(parseSend(strings.Fields(line)))); d != "" {
			t.Errorf("%s (-want +got):\n%s", line, d)
		}
	}
}

func shown(o *sendOptions, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var words []string
	add := func(on bool, word string) {
		if on {
			words = append(words, word)
		}
	}
	add(o.mode != 'm', "mode="+string(o.mode))
	add(o.help, "help")
	add(o.json, "json")
	add(o.letter.Header, "header")
	if o.letter.Sender != nil {
		words = append(words, "from="+*o.letter.Sender)
	}
	add(o.letter.Name != "", "name="+o.letter.Name)
	add(len(o.letter.Recipients) > 0, "to="+strings.Join(o.letter.Recipients, ","))
	add(o.flush, "flush")
	add(o.verbose, "verbose")
	add(o.data != "", "data="+o.data)
	add(o.config != "", "config="+o.config)
	add(o.dots, "dots")
	return strings.Join(words, " ")
}

func TestReadLetter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcde\n", 100_000) // more than is kept in memory
	for _, c := range []struct{ in, all, dotted string }{
		{"", "", ""},
		{"a\n.\nb\n", "a\n.\nb\n", "a\n"},
		{"a\r\n.\r\nb", "a\r\n.\r\nb", "a\r\n"},
		{"a\n..\n. \n.b", "a\n..\n. \n.b", "a\n..\n. \n.b"},
		{"a\n.", "a\n.", "a\n"},
		{long + ".\n" + long, long + ".\n" + long, long},
		{strings.Repeat("x", 4095) + ".\nb", strings.Repeat("x", 4095) + ".\nb", strings.Repeat("x", 4095) + ".\nb"},
		{strings.Repeat("x", 4096) + ".\nb", strings.Repeat("x", 4096) + ".\nb", strings.Repeat("x", 4096) + ".\nb"},
	} {
		for all, want := range map[bool]string{true: c.all, false: c.dotted} {
			text, err := readLetter(iotest.HalfReader(strings.NewReader(c.in)), all)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // it can be read again
				got, err := io.ReadAll(text.reader())
				if err != nil || !bytes.Equal(got, []byte(want)) || text.size != int64(len(want)) {
					t.Errorf("%.40q, all %v: %.40q (%d bytes), %v", c.in, all, got, len(got), err)
				}
			}
			text.Close()
		}
	}
	broken := errors.New("broken")
	if _, err := readLetter(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), false); !errors.Is(err, broken) {
		t.Error(err)
	}
}
