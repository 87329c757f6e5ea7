package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
)

func TestMain(m *testing.M) {
	program := func() { os.Exit(Main(Arguments(os.Args), os.Stdin, os.Stdout, os.Stderr)) }
	testscript.Main(m, map[string]func(){
		"mailstead": program, "sendmail": program, "mailq": program, "newaliases": program,
		"dns-hook": dnsHook,
	})
}

// TestScripts types the real command line: each script has a home of its own,
// and the data directory $DATA in it.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a hundred processes")
	}
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			data := filepath.Join(e.WorkDir, "data")
			e.Setenv("DATA", data)
			e.Setenv("TZ", "UTC")
			// The configuration of the machine that tests must not matter.
			config := filepath.Join(e.WorkDir, "mailstead.toml")
			e.Setenv("CONFIG", config)
			return os.WriteFile(config, []byte("hostname = \"mail.example.org\"\ndata = \"data\"\n"), 0o600)
		},
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"await": await, "status": status},
	})
}

// await waits until the server answers on the socket of a data directory.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await DATA")
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		c, err := control.Dial(context.Background(), ts.MkAbs(args[0]))
		if err == nil {
			c.Close()
			return
		}
	}
	ts.Fatalf("no server on %s", args[0])
}

func TestTextFromOutsideDoesNotReachTheTerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\x1b]0;owned\x07":   "�]0;owned�",
		"a\u009b31mb":        "a�31mb",
		"a\u202eb":           "a�b",
		"plain jörg@example": "plain jörg@example",
		"two\nlines":         "two lines",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
	if got := string(plain([]byte("{\"a\": \"x\u009b\u202e\u007fö\"}"))); got != `{"a": "x\u009b\u202e\u007fö"}` {
		t.Errorf("JSON: %q", got)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	tab := table{header: []string{"NAME", "SIZE", "STATE"}}
	tab.add("jörg", "1 KB", cell{"held", yellow})
	tab.add("a longer name\n", 7, "")
	tab.print(&program{out: &b, err: &b}, &b)
	want := "NAME            SIZE  STATE\njörg            1 KB  held\na longer name   7\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestBytesText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 KB", 999_499: "999 KB", 999_500: "1.0 MB", 5_000_000_000: "5.0 GB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestMakePassword(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		p := makePassword()
		if len(p) != 23 || strings.Count(p, "-") != 3 || strings.ContainsAny(p, "lo01") || seen[p] {
			t.Fatalf("%q", p)
		}
		seen[p] = true
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	config := filepath.Join(t.TempDir(), "mailstead.toml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		want int
	}{
		{"", done},
		{"--help", done},
		{"version", done},
		{"domain add example.org", done},
		{"domain add example.org", findings},
		{"trace nobody@example.org", findings},
		{"account show nobody@example.org", findings},
		{"account set nobody@example.org", usage},
		{"account quota nobody@example.org lots", usage},
		{"queue show x", usage},
		{"queue", usage},
		{"nonsense", usage},
		{"version --nonsense", usage},
	} {
		args := strings.Fields(tt.args)
		if len(args) > 0 && args[0] != "--help" && args[0] != "version" {
			args = append(args, "--config", config, "--data", data)
		}
		var out, errOut strings.Builder
		if got := Main(args, nil, &out, &errOut); got != tt.want {
			t.Errorf("%q: exit status %d, want %d\n%s%s", tt.args, got, tt.want, &out, &errOut)
		}
		if tt.want == done && errOut.Len() > 0 || tt.want == usage && out.Len() > 0 {
			t.Errorf("%q: on standard output %q, on standard error %q", tt.args, &out, &errOut)
		}
	}
}

// Each subcommand's help has an example.
func TestHelp(t *testing.T) {
	t.Parallel()
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		if n.Type == kong.CommandNode && n.Leaf() && !strings.Contains(n.Detail, "Example") {
			t.Errorf("%s: no example in its help", n.FullPath())
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	parser, err := kong.New(&root{}, kong.Name("mailstead"))
	if err != nil {
		t.Fatal(err)
	}
	visit(parser.Model.Node)
}

// What cannot be written to is told with its next step.
func TestUnwritableDataHasAHint(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = "/data"
	for _, tt := range []struct {
		err         error
		says, hints string
	}{
		{&fs.PathError{Op: "open", Path: "/data/lock", Err: syscall.EROFS}, "mounted read-only", "dmesg"},
		{fmt.Errorf("open the store: %w", &sqlite.Error{Code: 1544}), "the database in /data may not be written", "ls -l /data"},
		{fmt.Errorf("open the store: %w", &sqlite.Error{Code: 14}), "the database in /data may not be written", "ls -l /data"},
		{&fs.PathError{Op: "open", Path: "/data/lock", Err: syscall.EACCES}, "permission denied", "as root"},
	} {
		var h interface{ Hint() string }
		err := explainOpen(tt.err, cfg)
		if !errors.As(err, &h) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(h.Hint(), tt.hints) {
			t.Errorf("%v: %v", tt.err, err)
		}
	}
}
