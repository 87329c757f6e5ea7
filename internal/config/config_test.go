package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("/etc/mailstead/mailstead.toml", `
hostname = "Mail.Bücher.example"
data = "data"
message_size_limit = "10 MiB"
tls_cert = "cert.pem"
tls_key = "/keys/key.pem"
[listen]
smtp = ["192.0.2.1:25", "[2001:db8::1]:25"]
imap = []
[dns]
resolver = "127.0.0.1:5353"
[log]
level = "debug"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File = "/etc/mailstead/mailstead.toml"
	want.Hostname = "mail.xn--bcher-kva.example"
	want.Data = "/etc/mailstead/data"
	want.Limit = 10 << 20
	want.TLSCert, want.TLSKey = "/etc/mailstead/cert.pem", "/keys/key.pem"
	want.Listen.SMTP = []string{"192.0.2.1:25", "[2001:db8::1]:25"}
	want.Listen.IMAP = []string{}
	want.DNS.Resolver = "127.0.0.1:5353"
	want.Log.Level = "debug"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want, hint string }{
		{"hostnam = \"x\"", `f:1: "hostnam" is not a key of this file`, `did you mean "hostname"?`},
		{"# c\n\n[listen]\nstmp = []", `f:4: "listen.stmp" is not a key of this file`, `did you mean "listen.smtp"?`},
		{"smtp = []", `f:1: "smtp" is not a key of this file`, `did you mean "listen.smtp"? It stands below [listen]`},
		{"[colours]\nred = 1", `f:1: "colours" is not a key of this file`, "`mailstead config` prints every key with its default"},
		{"log.lvel = 1", `f:1: "log.lvel" is not a key of this file`, `did you mean "log.level"?`},
		{"data = \"\"", "f:1: data: is empty", ""},
		{"hostname = \"mail\"", `f:1: hostname: "mail" has no domain`, hints["hostname"]},
		{"\nhostname = \"[192.0.2.1]\"", `f:2: hostname: "[192.0.2.1]" is an address, not a name`, hints["hostname"]},
		{"message_size_limit = 12", "f:1: message_size_limit: 12 is not between 64 KiB and 1 GiB", hints["message_size_limit"]},
		{"tls_cert = \"x\"", "f:1: tls_cert: one of tls_cert and tls_key is missing", hints["tls_cert"]},
		{"[listen]\nsmtp = [\"25\"]", `f:2: listen.smtp: "25" is not address:port`, listenHint},
		{"[listen]\nsmtp = [\"mail.example.org:25\"]", `f:2: listen.smtp: "mail.example.org" is not an IP address of this machine`, listenHint},
		{"[listen]\nsmtp = [\":smtp\"]", `f:2: listen.smtp: ":smtp" has no port number`, listenHint},
		{"[listen]\nimap = [\":25\"]", `f:2: listen.imap: ":25" is used by listen.smtp too`, listenHint},
		{"[dns]\nresolver = \"dns.example\"", `f:2: dns.resolver: "dns.example" is no IP address`, hints["dns.resolver"]},
		{"[log]\nlevel = \"loud\"", `f:2: log.level: "loud" is no level`, hints["log.level"]},
	} {
		_, err := Parse("f", tt.text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if e.Error() != tt.want || e.Hint() != tt.hint {
			t.Errorf("%q\n got %s\nhint %s\nwant %s\nhint %s", tt.text, e, e.Hint(), tt.want, tt.hint)
		}
	}
	for _, text := range []string{"data = ", "data = 1", "[listen]\nsmtp = \":25\"", "message_size_limit = \"much\"", "message_size_limit = true"} {
		_, err := Parse("f", text)
		var e *Error
		if !errors.As(err, &e) || e.Line == 0 {
			t.Errorf("%q: %v; want an error with its line", text, err)
		}
	}
}

// The example, with its keys uncommented, says what an empty file says.
func TestExample(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	keys := 0
	for line := range strings.Lines(Example()) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
			keys++
		}
		b.WriteString(line)
	}
	got := Config{}
	meta, err := toml.Decode(b.String(), &got)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if left := meta.Undecoded(); len(left) > 0 {
		t.Errorf("keys that are none: %v", left)
	}
	if d := cmp.Diff(Default(), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if keys != len(known) || keys > 16 {
		t.Errorf("%d keys, %d known; at most sixteen", keys, len(known))
	}
	if _, err := Parse("f", Example()); err != nil {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "missing.toml")); err == nil {
		t.Error("a named file that is missing was no error")
	}
	file := filepath.Join(dir, "m.toml")
	if err := os.WriteFile(file, []byte(`data = "d"`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil || c.Data != filepath.Join(dir, "d") || c.File != file {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"50 MB": 50_000_000, "50mb": 50_000_000, "10GiB": 10 << 30, "1048576": 1 << 20, "1.5 KB": 1500, "0": 0, "7 B": 7} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1 TB", "1e400", "nan", "1 2"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
	for size, want := range map[Size]string{50_000_000: "50 MB", 10 << 20: "10 MiB", 5: "5", 1000: "1 KB"} {
		if got := size.String(); got != want {
			t.Errorf("%d: %q", int64(size), got)
		}
	}
}

// Doors of later versions may stand in the file.
func TestDoorsThatAreNotThereYet(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"[listen]\npop3s = []\nmanagesieve = []":          nil,
		"[listen]\npop3s = []\nmanagesieve = [\":4190\"]": {"managesieve"},
		"[listen]\npop3s = [\":995\"]":                    {"pop3s"},
	} {
		c, err := Parse("f", text)
		if d := cmp.Diff(want, c.Listen.Absent()); err != nil || d != "" {
			t.Errorf("%s: %v, %s", text, err, d)
		}
	}
	if _, err := Parse("f", "[listen]\nmanagesieve = [\":25\"]"); err == nil || !strings.Contains(err.Error(), "is used by") {
		t.Errorf("an address used twice: %v", err)
	}
}
