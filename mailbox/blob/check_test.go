package blob

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
)

// faults runs Check and gives its findings, with paths below the folder.
func (p *place) faults(o CheckOptions) []string {
	p.t.Helper()
	var all []string
	err := p.s.Check(context.Background(), o, func(f Fault) {
		all = append(all, strings.ReplaceAll(f.Text, p.s.dir+"/", ""))
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func TestCheck(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	large := p.accept(letter(40_000), 1, 2)
	small := p.accept(letter(500), 1)
	p.file()
	inline := p.accept(letter(600), 1)
	gone := p.accept(letter(50_000), 1)
	p.unref(gone, 1)
	if got := p.faults(CheckOptions{}); got != nil {
		t.Fatalf("a good store: %q", got)
	}
	var last int64
	p.faults(CheckOptions{Progress: func(done, total int64) {
		if done != 3 || total != 3 {
			t.Errorf("%d of %d", done, total)
		}
		last = done
	}})
	if last == 0 {
		t.Error("no progress was told")
	}

	// The same size and other bytes: only reading them shows it.
	spoil := func(id ID, owner int64, body []byte) {
		t.Helper()
		if err := os.Remove(p.s.path(id, owner)); err != nil {
			t.Fatal(err)
		}
		if body != nil {
			if err := os.WriteFile(p.s.path(id, owner), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	torn := letter(500)
	copy(torn[100:], bytes.Repeat([]byte{0}, 50))
	spoil(small, 1, torn)
	if got := p.faults(CheckOptions{Quick: true}); got != nil {
		t.Errorf("quick: %q", got)
	}
	want := []string{"1/0/2.eml, the file of message body 2, has other bytes than were received"}
	if d := cmp.Diff(want, p.faults(CheckOptions{})); d != "" {
		t.Errorf("torn (-want +got):\n%s", d)
	}

	spoil(small, 1, letter(499))
	spoil(large, 2, nil)
	p.update(func(tx *sqlite.Tx) error {
		_, err := tx.Exec("UPDATE inline_body SET bytes = ? WHERE id = ?", letter(601), int64(inline))
		return err
	})
	want = []string{
		"2/0/1.eml, the file of message body 1, is missing",
		"1/0/2.eml, the file of message body 2, has 499 bytes instead of 500",
		"message body 3 in the database has other bytes than were received",
	}
	if d := cmp.Diff(want, p.faults(CheckOptions{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if got, err := p.s.Lost(); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	file := filepath.Join(p.s.dir, "lost", "1", "7.eml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := p.s.Lost(); err != nil || cmp.Diff([]string{file}, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
}
