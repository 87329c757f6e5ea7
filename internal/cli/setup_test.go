package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstead/admin/setup"
)

// TestSetupWithATakenPort: the finding says who has it, everything that needs no
// server is done, and the rest is done when the port is free.
func TestSetupWithATakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "mailstead.toml")
	ports := fmt.Sprintf(`data = "data"
[dns]
resolver = "127.0.0.1:1"
[listen]
smtp = [%q]
submission = []
submissions = ["127.0.0.1:0"]
imap = []
imaps = ["127.0.0.1:0"]
http = []
https = []
metrics = []
`, taken.Addr())
	if err := os.WriteFile(file, []byte(ports), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() map[string]setup.Event {
		t.Helper()
		var out, errOut strings.Builder
		args := []string{"setup", "--json", "--config", file, "--domain", "example.org", "--address", "you", "--set", "certificates=no",
			"--set", "addresses=192.0.2.25", "--set", "backup="}
		if got := Main(args, nil, &out, &errOut); got != findings {
			t.Fatalf("exit status %d\n%s%s", got, &out, &errOut)
		}
		events := map[string]setup.Event{}
		for line := range strings.Lines(out.String()) {
			var e setup.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%v\n%s", err, line)
			}
			events[e.Step] = e
		}
		return events
	}
	e := run()
	if f := e["server"].Findings; len(f) != 1 || !strings.Contains(f[0].Sentence, "is taken by") || f[0].Fix == "" {
		t.Errorf("server: %+v", f)
	}
	if f := e["mail"].Findings; len(f) != 1 || f[0].Sentence != "No server runs, so that no message was sent." {
		t.Errorf("mail: %+v", f)
	}
	if !e["account"].OK || !e["records"].OK || !e["programs"].OK {
		t.Errorf("account %+v, records %+v", e["account"], e["records"])
	}
	// The port that was taken may be somebody else's as soon as it is free.
	ports = strings.Replace(ports, taken.Addr().String(), "127.0.0.1:0", 1)
	if err := os.WriteFile(file, []byte("hostname = \"mail.example.org\"\n"+ports), 0o600); err != nil {
		t.Fatal(err)
	}
	if e = run(); !e["server"].OK || !e["mail"].OK {
		t.Errorf("with a free port: %+v, %+v", e["server"], e["mail"])
	}
}
