package powercut

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// record makes calls from lines as strace writes them, one second apart.
func record(t *testing.T, lines ...string) []Call {
	t.Helper()
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "7 %d.000000000 %s\n", 1000+i, l)
	}
	calls, err := Read(strings.NewReader(b.String()), "/d", 100)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// left gives the files after a cut as "path=content" lines.
func left(t *testing.T, d *Disk, luck Luck, seed uint64) []string {
	t.Helper()
	dir := t.TempDir()
	if err := d.Cut(dir, luck, rand.New(rand.NewPCG(seed, 1))); err != nil {
		t.Fatal(err)
	}
	var out []string
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if e.IsDir() {
			out = append(out, rel+"/")
			return nil
		}
		b, err := os.ReadFile(p)
		out = append(out, rel+"="+string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNothingUnsyncedSurvivesTheWorstCut(t *testing.T) {
	const create = `openat(AT_FDCWD</x>, "/d/a", O_RDWR|O_CREAT, 0600) = 3</d/a>`
	const write = `write(3</d/a>, "one\ntwo\0\1774", 10) = 10`
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"created", []string{create}, nil},
		{"file synced, folder not", []string{create, write, `fsync(3</d/a>) = 0`}, nil},
		{"folder synced, file not", []string{create, write, `fsync(4</d>) = 0`}, []string{"a="}},
		{"both", []string{create, write, `fdatasync(3</d/a>) = 0`, `fsync(4</d>) = 0`}, []string{"a=one\ntwo\x00\x7f4"}},
		{"all at once", []string{create, write, `syncfs(4</d>) = 0`}, []string{"a=one\ntwo\x00\x7f4"}},
		{"all at once, failed", []string{create, write, `syncfs(4</d>) = -1 EIO (Input/output error)`}, nil},
		{"a failed sync is none", []string{create, write, `fsync(3</d/a>) = -1 EIO (Input/output error)`, `fsync(4</d>) = 0`}, []string{"a="}},
		{"written after the sync", []string{create, `fsync(3</d/a>) = 0`, write, `fsync(4</d>) = 0`}, []string{"a="}},
		{"written while the sync ran", []string{create, `fsync(4</d>) = 0`,
			`fsync(3</d/a> <unfinished ...>`, `<... fsync resumed>) = 0`}, []string{"a="}},
		{"renamed, folder not synced again", []string{create, write, `fsync(3</d/a>) = 0`, `fsync(4</d>) = 0`,
			`renameat2(AT_FDCWD</x>, "/d/a", AT_FDCWD</x>, "/d/b", RENAME_NOREPLACE) = 0`}, []string{"a=one\ntwo\x00\x7f4"}},
		{"renamed by folder descriptor, synced", []string{create, `fsync(4</d>) = 0`,
			`renameat(5</d>, "a", 5</d>, "b") = 0`, `fsync(4</d>) = 0`}, []string{"b="}},
		{"a link in an unsynced folder", []string{`mkdirat(AT_FDCWD</x>, "/d/m", 0700) = 0`, create, `fsync(4</d>) = 0`,
			`linkat(AT_FDCWD</x>, "/d/a", AT_FDCWD</x>, "/d/m/a", 0) = 0`}, []string{"a=", "m/"}},
		{"moved between folders: both ends or none", []string{`mkdirat(AT_FDCWD</x>, "/d/m", 0700) = 0`, create, `fsync(4</d>) = 0`,
			`renameat(AT_FDCWD</x>, "/d/a", AT_FDCWD</x>, "/d/m/a") = 0`, `fsync(5</d/m>) = 0`}, []string{"m/", "m/a="}},
		{"a folder without its parent's sync", []string{`mkdir("/d/m", 0700) = 0`, `openat(AT_FDCWD</x>, "/d/m/a", O_RDWR|O_CREAT, 0600) = 3</d/m/a>`,
			`fsync(3</d/m/a>) = 0`, `fsync(5</d/m>) = 0`}, nil},
		{"an unnamed file gets a name", []string{`openat(AT_FDCWD</x>, "/d", O_RDWR|O_CLOEXEC|O_TMPFILE, 0600) = 7</d/#12>(deleted)`,
			`write(7</d/#12>(deleted), "abc", 3) = 3`, `fsync(7</d/#12>(deleted)) = 0`, `write(7</d/#12>(deleted), "lost", 4) = 4`,
			`linkat(AT_FDCWD</x>, "/proc/self/fd/7", AT_FDCWD</x>, "/d/a", AT_SYMLINK_FOLLOW) = 0`, `fsync(4</d>) = 0`}, []string{"a=abc"}},
		{"the whole file system synced", []string{`mkdir("/d/m", 0700) = 0`, `openat(AT_FDCWD</x>, "/d/m/a", O_RDWR|O_CREAT, 0600) = 3</d/m/a>`,
			`write(3</d/m/a>, "abc", 3) = 3`, `syncfs(5</d/m>) = 0`, `write(3</d/m/a>, "lost", 4) = 4`}, []string{"m/", "m/a=abc"}},
		{"unlinked, not synced", []string{create, `fsync(4</d>) = 0`, `unlinkat(AT_FDCWD</x>, "/d/a", 0) = 0`}, []string{"a="}},
		{"positions", []string{create, `write(3</d/a>, "abc", 3) = 3`, `write(3</d/a>, "de", 2) = 2`, `pwrite64(3</d/a>, "X", 1, 1) = 1`,
			`lseek(3</d/a>, 0, SEEK_SET) = 0`, `write(3</d/a>, "Y", 1) = 1`, `ftruncate(3</d/a>, 4) = 0`, `fsync(3</d/a>) = 0`, `fsync(4</d>) = 0`}, []string{"a=YXcd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := NewDisk(t.TempDir(), "/d")
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Run(record(t, c.lines...), func(int) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, left(t, d, Nothing, 1)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A write of three sectors over old bytes leaves each sector old or new, and
// every way of that happens; what was synced never changes.
func TestCutsTearAtSectors(t *testing.T) {
	old, fresh := strings.Repeat("o", 4*Sector), strings.Repeat("n", 3*Sector)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := NewDisk(dir, "/d")
	if err != nil {
		t.Fatal(err)
	}
	calls := record(t, fmt.Sprintf(`pwrite64(3</d/a>, "%s", %d, %d) = %d`, fresh, len(fresh), Sector, len(fresh)))
	if err := d.Run(calls, func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for seed := range uint64(200) {
		got := strings.TrimPrefix(left(t, d, Chance, seed)[0], "a=")
		shape := ""
		for i := 0; i < len(got); i += Sector {
			s := got[i : i+Sector]
			if s != strings.Repeat(s[:1], Sector) {
				t.Fatalf("sector %d is torn inside", i/Sector)
			}
			shape += s[:1]
		}
		if len(got) != len(old) || shape[0] != 'o' {
			t.Fatalf("shape %s", shape)
		}
		seen[shape] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d shapes of 8: %v", len(seen), seen)
	}
}

func TestOrderSeesMissingSyncs(t *testing.T) {
	// a log of two frames of 512 bytes, the second one ends the transaction
	header := `pwrite64(3</d/m.db-wal>, "` + strings.Repeat(`\0`, 10) + `\2\0` + strings.Repeat(`\0`, 20) + `", 32, 0) = 32`
	frame := func(at int, commit byte, text string) []string {
		return []string{
			fmt.Sprintf(`pwrite64(3</d/m.db-wal>, "\0\0\0\1\0\0\0\%d%s", 24, %d) = 24`, commit, strings.Repeat(`\0`, 16), at),
			fmt.Sprintf(`pwrite64(3</d/m.db-wal>, "%s%s", 512, %d) = 512`, text, strings.Repeat(`\0`, 512-len(text)), at+24),
		}
	}
	const sync, reply = `fsync(3</d/m.db-wal>) = 0`, `write(9<TCP:[127.0.0.1:25->127.0.0.1:5001]>, "250 2.0.0 ok\r\n", 14) = 14`
	start := []string{`openat(AT_FDCWD</x>, "/d/m.db-wal", O_RDWR|O_CREAT, 0600) = 3</d/m.db-wal>`, header}
	file := []string{`openat(AT_FDCWD</x>, "/d/f/1", O_RDWR|O_CREAT, 0600) = 4</d/f/1>`, `write(4</d/f/1>, "body the-tail", 13) = 13`}
	join := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	one := func(s string) []string { return []string{s} }
	rows, tail := frame(32, 0, "the-row"), frame(568, 1, "the-tail")
	end := frame(568, 1, "-")
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"inline, synced", join(start, rows, tail, one(sync), one(reply)), ""},
		{"no sync", join(start, rows, tail, one(reply)), "rows are not synced"},
		{"synced before the commit frame", join(start, rows, one(sync), tail, one(reply)), "rows are not synced"},
		{"synced after the reply", join(start, rows, tail, one(reply), one(sync)), "rows are not synced"},
		{"nothing written", join(start, end, one(sync), one(reply)), "rows were not written"},
		{"bytes nowhere", join(start, rows, end, one(sync), one(reply)), "neither in the log nor in a file"},
		{"file not synced", join(start, file, rows, end, one(sync), one(reply)), "file is not synced"},
		{"folder not synced", join(start, file, one(`fsync(4</d/f/1>) = 0`), rows, end, one(sync), one(reply)), "folder is not synced"},
		{"file whole", join(start, file, one(`fsync(4</d/f/1>) = 0`), one(`fsync(5</d/f>) = 0`), rows, end, one(sync), one(reply)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "f"), 0o700); err != nil {
				t.Fatal(err)
			}
			d, err := NewDisk(dir, "/d")
			if err != nil {
				t.Fatal(err)
			}
			ack := Ack{What: "mail", Port: 5001, Sent: time.Unix(1000, 0), Got: time.Unix(2000, 0), Row: "the-row", Tail: "the-tail"}
			broken, err := d.Order(record(t, c.lines...), []Ack{ack}, "/d/m.db", "/d/f")
			got := strings.Join(broken, ", ")
			if err != nil {
				got = err.Error()
			}
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
