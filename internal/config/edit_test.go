package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before, want string }{
		{"key there", "# mine\nhostname = \"old.example.org\" # why\n\n[listen]\nsmtp = []\n", "# mine\nhostname = \"mail.example.org\"\n\n[listen]\nsmtp = []\n"},
		{"example there", "#hostname = \"\"\ndata = \"d\"\n", "hostname = \"mail.example.org\"\ndata = \"d\"\n"},
		{"neither", "[log]\nlevel = \"error\"\n", "hostname = \"mail.example.org\"\n[log]\nlevel = \"error\"\n"},
		{"empty", "", "hostname = \"mail.example.org\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "mailstead.toml")
			if err := os.WriteFile(file, []byte(tt.before), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, 0o640); err != nil { // whatever the umask is
				t.Fatal(err)
			}
			c, err := Write(file, map[string]string{"hostname": "mail.example.org"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil || string(got) != tt.want || c.Hostname != "mail.example.org" {
				t.Errorf("%v\n%s", err, got)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("rights %v, %v", info.Mode(), err)
			}
		})
	}
}

// TestWriteNew begins with the example, so that a person finds every key.
func TestWriteNew(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "etc", "mailstead.toml")
	if _, err := Write(file, map[string]string{"hostname": "mail.example.org", "data": "/srv/mail"}); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil || c.Hostname != "mail.example.org" || c.Data != "/srv/mail" {
		t.Errorf("%+v, %v", c, err)
	}
	if text, _ := os.ReadFile(file); !strings.Contains(string(text), "#level = \"info\"") {
		t.Errorf("%s", text)
	}
}

// TestWriteKeepsWhatCannotBeRead: a broken file is neither mended nor destroyed.
func TestWriteKeepsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "mailstead.toml")
	const broken = "hostnam = \"x\"\n"
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(file, map[string]string{"data": "/srv"}); err == nil {
		t.Error("it was changed")
	}
	text, _ := os.ReadFile(file)
	all, _ := os.ReadDir(folder)
	if string(text) != broken || len(all) != 1 {
		t.Errorf("%q, %v", text, all)
	}
}
