package importer

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstead/internal/corpus"
)

// unpack puts the shared corpora and suites into a folder as they are, and gives
// the hash of the CRLF form of each file without mbox's "From " line at its head.
func unpack(t *testing.T, dir string) map[[32]byte]int {
	t.Helper()
	want := map[[32]byte]int{}
	corpus.Each(t, func(name string, whole []byte) {
		b := corpus.Message(whole)
		if !looksLikeMessage(b) { // not of mail: the corpora's own files
			t.Logf("%s is no message", name)
			return
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		want[sha256.Sum256(b)]++
	})
	return want
}

// TestSharedMail imports every message, exports them, imports those, and holds
// that all are byte for byte what they were.
func TestSharedMail(t *testing.T) {
	dir := t.TempDir()
	want := unpack(t, dir)
	n := 0
	for _, k := range want {
		n += k
	}
	first := newPlace(t)
	res, err := first.importFrom(&Source{Paths: []string{dir}, Bad: func(o string, err error) { t.Errorf("%s: %v", o, err) }}, Options{})
	if err != nil || res.Failed != 0 || res.Imported != int64(n) {
		t.Fatalf("%+v of %d, %v", res, n, err)
	}
	again, err := first.importFrom(&Source{Paths: []string{dir}}, Options{})
	if err != nil || again.Present != int64(n) || again.Imported != 0 {
		t.Fatalf("second import: %+v, %v", again, err)
	}
	compare(t, first, want, false)
	for _, c := range []struct {
		name   string
		writer func(dir string) Writer
		ended  bool // an mbox ends a message's last line
	}{
		{"Maildir", func(dir string) Writer { return &Maildir{Dir: dir} }, false},
		{"mbox", func(dir string) Writer { return &Mbox{Dir: dir} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			first.exportTo(c.writer(out))
			second := newPlace(t)
			if _, err := second.importFrom(&Source{Paths: []string{out}}, Options{}); err != nil {
				t.Fatal(err)
			}
			if !c.ended {
				compare(t, second, want, false)
				return
			}
			compare(t, second, hashes(first, true), true)
		})
	}
}

// hashes of all messages; ended makes a last line whole.
func hashes(p *place, ended bool) map[[32]byte]int {
	got := map[[32]byte]int{}
	for _, m := range p.messages() {
		if ended && !strings.HasSuffix(m.text, "\n") {
			m.text += "\r\n"
		}
		got[sha256.Sum256([]byte(m.text))]++
	}
	return got
}

func compare(t *testing.T, p *place, want map[[32]byte]int, ended bool) {
	t.Helper()
	got := hashes(p, ended)
	bad := 0
	for h, n := range want {
		if got[h] != n {
			bad++
		}
	}
	if bad > 0 || len(got) != len(want) {
		t.Errorf("%d of %d messages differ", bad, len(want))
		shown := 0
		for _, m := range p.messages() {
			if h := sha256.Sum256([]byte(m.text)); want[h] == 0 && shown < 3 {
				shown++
				t.Logf("%s %.1500q", m.Mailbox, m.text)
			}
		}
	}
}
