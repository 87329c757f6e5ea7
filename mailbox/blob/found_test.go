package blob

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"mailstead/internal/sqlite"
)

// Files whose rows are lost are listed once with all their owners, stay where
// they are when they are only looked at, and get rows under their old ids.
func TestUnknownFiles(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	small, large := []byte("small\r\n"), bytes.Repeat([]byte("large\r\n"), 9000)
	a, b := p.accept(small, 1, 2), p.accept(large, 2)
	kept := p.accept([]byte("kept\r\n"), 1)
	p.file()
	before := p.files()
	if all, err := p.s.Unknown(ctx); err != nil || len(all) != 0 {
		t.Fatalf("all are known, listed are %v, %v", all, err)
	}
	p.update(func(tx *sqlite.Tx) error {
		_, err := tx.Exec("DELETE FROM body WHERE id <> ?", int64(kept))
		return err
	})
	p.reopen()
	all, err := p.s.Unknown(ctx)
	if err != nil || len(all) != 2 || all[0].ID != a || all[1].ID != b || !slices.Equal(all[0].Owners, []int64{1, 2}) {
		t.Fatalf("listed are %+v, %v", all, err)
	}
	for i, want := range [][]byte{small, large} {
		d, err := all[i].Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, d.Size())
		if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("found %q, %v", got, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.files(), before) {
			t.Fatalf("files are %v, they were %v", p.files(), before)
		}
		if d, err = all[i].Open(ctx); err != nil {
			t.Fatal(err)
		}
		if id := p.commit(d, all[i].Owners...); id != all[i].ID {
			t.Errorf("body %d came back as %d", all[i].ID, id)
		}
		d.Close()
		p.want(all[i].ID, want)
	}
	p.file()
	p.reopen()
	p.want(a, small)
	p.want(b, large)
}

// A body is missing only when no owner's folder has it.
func TestMissingFiles(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	shared, lone := p.accept([]byte("shared\r\n"), 1, 2), p.accept([]byte("lone\r\n"), 1)
	p.file()
	for _, id := range []ID{shared, lone} {
		if err := os.Remove(p.s.path(id, 1)); err != nil {
			t.Fatal(err)
		}
	}
	missing, err := p.s.Missing(ctx, 1)
	if err != nil || !slices.Equal(missing, []ID{lone}) {
		t.Errorf("missing are %v, %v", missing, err)
	}
	p.want(shared, []byte("shared\r\n"))
}
