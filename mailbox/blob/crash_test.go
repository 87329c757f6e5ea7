package blob

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailstead/internal/sqlite"
)

// image is the data directory as a crash left it.
type image struct {
	step string
	dir  string
}

// images copies the data directory at every step of what follows. Hard links
// stay hard links.
func (p *place) images() *[]image {
	var all []image
	var mu sync.Mutex // the filer has workers
	p.s.stop = func(step string) {
		mu.Lock()
		defer mu.Unlock()
		to := p.t.TempDir()
		copyTree(p.t, p.dir, to)
		all = append(all, image{fmt.Sprintf("%d %s", len(all), step), to})
	}
	return &all
}

func copyTree(t testing.TB, from, to string) {
	t.Helper()
	inodes := make(map[string]string) // by device and inode
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		dest := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(dest, 0o700)
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		key := fmt.Sprint(fi.Sys())
		if first := inodes[key]; first != "" {
			return os.Link(first, dest)
		}
		inodes[key] = dest
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.Create(dest)
		if err != nil {
			return err
		}
		defer out.Close()
		_, err = io.Copy(out, in)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// after opens an image as a start after the crash does, and lets it do its work.
func (i image) after(t testing.TB) *place {
	t.Helper()
	p := &place{t: t, dir: i.dir}
	p.open()
	t.Cleanup(func() { p.db.Close() })
	if p.s.Restored() {
		t.Fatalf("%s: taken for another epoch", i.step)
	}
	if err := p.s.Sweep(context.Background()); err != nil {
		t.Fatalf("%s: %v", i.step, err)
	}
	p.file()
	p.sound(i.step)
	return p
}

// sound checks that rows and files agree.
func (p *place) sound(step string) {
	p.t.Helper()
	ctx := context.Background()
	err := p.s.Check(ctx, CheckOptions{}, func(f Fault) { p.t.Errorf("%s: %s: %s", step, f.Path, f.Text) })
	if err != nil {
		p.t.Errorf("%s: %v", step, err)
	}
	unknown, err := p.s.Unknown(ctx)
	if err != nil || len(unknown) > 0 {
		p.t.Errorf("%s: unknown files %v, err %v", step, unknown, err)
	}
}

func (p *place) lost() int {
	p.t.Helper()
	all, err := p.s.Lost()
	if err != nil {
		p.t.Fatal(err)
	}
	return len(all)
}

// open or gone: the first accepted body is never touched by what comes later.
func crashPlace(t *testing.T) (p *place, first ID) {
	p = newPlace(t)
	first = p.accept(letter(3000), 7)
	p.file()
	return p, first
}

func TestCrashWhileSettling(t *testing.T) {
	t.Parallel()
	for _, size := range []int{InlineLimit + 1, memoryLimit + 1} {
		p, first := crashPlace(t)
		images := p.images()
		d := p.put(letter(size))
		defer d.Close()
		if err := d.Settle(context.Background(), 7, 8); err != nil {
			t.Fatal(err)
		}
		if len(*images) < 5 {
			t.Fatalf("%d steps", len(*images))
		}
		for _, i := range *images {
			a := i.after(t)
			a.want(first, letter(3000))
			a.wantNone(d.id)
			want := strings.Count(i.step, "linked") + 2*strings.Count(i.step, "folders")
			if i.step == (*images)[3].step { // the second link
				want = 2
			}
			if a.lost() != want {
				t.Errorf("%s: %d files in lost, want %d", i.step, a.lost(), want)
			}
			// The next id is above the lost one's, and the sweep is not repeated.
			if id := a.accept(letter(100), 7); want > 0 && id <= d.id {
				t.Errorf("%s: id %d after %d", i.step, id, d.id)
			}
			a.reopen()
			if err := a.s.Sweep(context.Background()); err != nil {
				t.Error(err)
			}
			a.sound(i.step)
		}
	}
}

func TestCrashAfterCommitOfSettled(t *testing.T) {
	t.Parallel()
	p, _ := crashPlace(t)
	d := p.put(letter(100_000))
	defer d.Close()
	if err := d.Settle(context.Background(), 7, 8); err != nil {
		t.Fatal(err)
	}
	images := p.images()
	id := p.commit(d, 7, 8)
	p.s.step("committed")
	p.file()
	for _, i := range *images {
		a := i.after(t)
		a.want(id, letter(100_000))
		if a.lost() != 0 {
			t.Errorf("%s: %d files in lost", i.step, a.lost())
		}
		a.unref(id, 7)
		a.reapAll()
		a.want(id, letter(100_000))
		a.sound(i.step)
	}
}

func TestCrashWhileFiling(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprint("whole ", whole), func(t *testing.T) { crashWhileFiling(t, whole) })
	}
}

func crashWhileFiling(t *testing.T, whole bool) {
	t.Parallel()
	p, first := crashPlace(t)
	p.s.whole = whole
	one := p.accept(letter(5000), 7)
	two := p.accept(letter(6000), 8, 7, Queue)
	empty := p.accept(nil, 9)
	var more []ID
	for i := range 6 {
		more = append(more, p.accept(letter(100+i), 7))
	}
	images := p.images()
	p.s.step("accepted")
	p.file()
	if len(*images) < 8 {
		t.Fatalf("%d steps", len(*images))
	}
	for _, i := range *images {
		a := i.after(t)
		a.want(first, letter(3000))
		a.want(one, letter(5000))
		a.want(two, letter(6000))
		a.want(empty, nil)
		for n, id := range more {
			a.want(id, letter(100+n))
		}
		if a.lost() != 0 {
			t.Errorf("%s: %d files in lost", i.step, a.lost())
		}
	}
}

// A torn file under the final name of an inline body is made anew.
func TestTornFileOfInline(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	id := p.accept(letter(5000), 7)
	if err := p.s.need(p.s.folder(id, 7)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.s.path(id, 7), letter(5000)[:512], 0o600); err != nil {
		t.Fatal(err)
	}
	p.reopen()
	p.want(id, letter(5000))
	if err := p.s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.file()
	p.want(id, letter(5000))
	p.sound("torn")
}

func TestCrashWhileReaping(t *testing.T) {
	t.Parallel()
	for _, filedFirst := range []bool{true, false} {
		p, first := crashPlace(t)
		gone := p.accept(letter(5000), 7)
		large := p.accept(letter(50_000), 8)
		shared := p.accept(letter(6000), 7, 8)
		if filedFirst {
			p.file()
		}
		images := p.images()
		p.unref(gone, 7)
		p.s.step("unref: committed")
		p.unref(large, 8)
		p.unref(shared, 7)
		p.s.step("unref: committed")
		p.reapAll()
		p.s.step("reap: forgotten")
		for _, i := range *images {
			a := i.after(t)
			a.reapAll()
			a.want(first, letter(3000))
			a.want(shared, letter(6000))
			if !strings.HasPrefix(i.step, "0 ") {
				a.wantNone(large)
			}
			a.wantNone(gone)
			a.sound(i.step)
			if a.lost() != 0 {
				t.Errorf("%s: %d files in lost", i.step, a.lost())
			}
		}
	}
}

func TestCrashWhileSweeping(t *testing.T) {
	t.Parallel()
	p, first := crashPlace(t)
	stray := filepath.Join(filepath.Dir(p.s.path(first, 7)), "40.eml")
	for _, n := range []string{"40.eml", "41.eml", "note.txt", "041.eml"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(stray), n), []byte(rand.Text()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.reopen()
	images := p.images()
	if err := p.s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p.lost() != 2 {
		t.Errorf("%d files in lost", p.lost())
	}
	for _, i := range *images {
		a := i.after(t)
		if a.lost() != 2 {
			t.Errorf("%s: %d files in lost", i.step, a.lost())
		}
	}
}

// A database that was put back knows nothing of later mail: nothing is swept.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, first := crashPlace(t)
	old := filepath.Join(t.TempDir(), "old.db")
	if err := p.db.Backup(ctx, old); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		p.accept(letter(4000), 7)
	}
	p.file()
	p.saveMark()
	if err := p.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, filepath.Join(p.dir, "mailstead.db")); err != nil {
		t.Fatal(err)
	}
	if err := RenewEpoch(filepath.Join(p.dir, "messages")); err != nil {
		t.Fatal(err)
	}
	p.open()
	images := p.images()
	for range 2 { // also at the start after the one that died before Adopt
		if !p.s.Restored() {
			t.Fatal("not seen as restored")
		}
		if err := p.s.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		p.reopen()
	}
	p.s.stop = func(step string) {
		to := t.TempDir()
		copyTree(t, p.dir, to)
		*images = append(*images, image{step, to})
	}
	renewed := 0
	err := p.s.Adopt(ctx, func(tx *sqlite.Tx) error { renewed++; return nil })
	if err != nil || renewed != 1 || p.s.Restored() {
		t.Fatalf("%v, renewed %d, restored %v", err, renewed, p.s.Restored())
	}
	if err := p.s.Sweep(ctx); err != nil || p.lost() != 0 {
		t.Errorf("the run that began the epoch swept %d files, %v", p.lost(), err)
	}
	for _, i := range *images {
		a := &place{t: t, dir: i.dir}
		a.open()
		if !a.s.Restored() {
			t.Errorf("%s: not seen as restored", i.step)
		}
		a.db.Close()
	}
	id := p.accept(letter(10), 7)
	p.file()
	p.reopen()
	if p.s.Restored() {
		t.Error("still restored")
	}
	if err := p.s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	found, err := p.s.Unknown(ctx)
	if err != nil || len(found) != 100 || p.lost() != 0 {
		t.Errorf("%d files found again, %d lost, err %v", len(found), p.lost(), err)
	}
	if id <= 101 {
		t.Errorf("id %d was used before", id)
	}
	p.want(first, letter(3000))
	p.want(id, letter(10))
}

func (p *place) saveMark() {
	p.t.Helper()
	p.s.work.Lock()
	defer p.s.work.Unlock()
	if err := p.s.saveMark(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}
