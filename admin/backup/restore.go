package backup

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/smtp/queue"
)

// RestoreOptions of Restore.
type RestoreOptions struct {
	Dir        string // the folder of backups
	From       string // which one; "" is the newest complete one
	Keys       Keys
	To         string  // the data directory: new, empty, or left by a Restore that was broken off
	Migrations []fs.FS // of this program: what a newer one wrote is refused before the work
	KeepQueue  bool    // mail that waited is sent as soon as the server runs
	Progress   func(Progress)
}

// Restored says what Restore did.
type Restored struct {
	Backup   Backup   `json:"backup"`
	Messages int64    `json:"messages"`
	Bytes    int64    `json:"bytes"`
	Held     int64    `json:"held"` // queued messages that wait for `queue retry`
	Problems []string `json:"problems,omitempty"`
}

// restoring is the file that says that a data directory is not whole yet.
const restoring = "RESTORING"

// HalfRestored names the backup that a Restore was bringing into a data directory
// when it was broken off; "" for none. No store may be opened there: what it
// took would be replaced when the Restore goes on.
func HalfRestored(data string) string {
	text, err := os.ReadFile(filepath.Join(data, restoring))
	if err != nil {
		return ""
	}
	return cmp.Or(strings.TrimSpace(string(text)), "?")
}

// Restore puts a whole backup into an empty data directory, every byte compared
// with its hash. Message files and database are then of different epochs, so
// that the first start renews every UIDVALIDITY. Until it is done the database
// does not open; run again it goes on.
func Restore(ctx context.Context, o RestoreOptions) (r Restored, err error) {
	v, b, err := choose(o.Dir, o.From, o.Keys)
	if err != nil {
		return r, err
	}
	r.Backup = b
	if err := begin(o.To, b); err != nil {
		return r, err
	}
	x := &extraction{v: v, b: b, to: o.To, known: o.Migrations, progress: o.Progress, needs: databaseName}
	if err := x.run(ctx); err != nil {
		return r, errors.Join(room(err, o.To), leave(o.To))
	}
	r.Messages, r.Bytes, r.Problems = x.messages, x.bytes, x.problems
	if err := os.MkdirAll(filepath.Join(o.To, "messages"), 0o700); err != nil {
		return r, err
	}
	if err := blob.RenewEpoch(filepath.Join(o.To, "messages")); err != nil {
		return r, err
	}
	database := filepath.Join(o.To, databaseName)
	if !o.KeepQueue {
		if r.Held, err = holdQueue(ctx, database+sqlite.Reverting); err != nil {
			return r, err
		}
	}
	if err := syncAll(o.To); err != nil {
		return r, err
	}
	if err := renameSynced(database+sqlite.Reverting, database); err != nil {
		return r, err
	}
	return r, os.Remove(filepath.Join(o.To, restoring))
}

// choose opens a folder of backups and finds the one that is meant.
func choose(dir, from string, keys Keys) (*vault, Backup, error) {
	v, err := openVault(dir, keys)
	if err != nil {
		return nil, Backup{}, err
	}
	if err := v.seal.mayOpen(v.mark, keys); err != nil {
		return nil, Backup{}, err
	}
	b, err := v.pick(from)
	return v, b, err
}

// begin takes a directory that is new or empty, or one that a restore of the
// same backup has begun.
func begin(to string, b Backup) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(to, restoring))
	if err == nil {
		if of := strings.TrimSpace(string(text)); of != b.Name && of != "" {
			return &Problem{Text: fmt.Sprintf("%s is half restored from the backup %s", to, of), Next: "name it with --from, or empty the directory"}
		}
		return nil
	}
	other, err := inTheWay(to)
	if err != nil {
		return err
	}
	if other != "" {
		return &Problem{Text: fmt.Sprintf("%s is not empty (%s)", to, other),
			Next: "restore into an empty directory with --to, or only one account with --account"}
	}
	return writeSynced(filepath.Join(to, restoring), []byte(b.Name+"\n"))
}

// inTheWay names what keeps a directory from being filled by a restore; "" for
// nothing.
func inTheWay(dir string, besides ...string) (name string, err error) {
	names, err := os.ReadDir(dir)
	for _, e := range names {
		if !slices.Contains(append(besides, "lost+found", "lock"), e.Name()) {
			return e.Name(), err
		}
	}
	return "", err
}

// leave gives a directory back as it was when nothing was brought into it, so
// that another backup may be taken.
func leave(to string) error {
	if other, err := inTheWay(to, restoring); err != nil || other != "" {
		return err
	}
	return os.Remove(filepath.Join(to, restoring))
}

func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// holdQueue keeps back what waited when the backup was made: most of it has
// left since, and nobody wants it twice.
func holdQueue(ctx context.Context, path string) (held int64, err error) {
	db, err := sqlite.Open(ctx, path, sqlite.Options{Readers: 1})
	if err != nil {
		return 0, err
	}
	err = db.Update(ctx, func(tx *sqlite.Tx) error {
		held, err = queue.HoldAll(tx)
		return err
	})
	return held, errors.Join(err, db.Close())
}

// extraction brings files of a backup back.
type extraction struct {
	v        *vault
	b        Backup
	to       string
	known    []fs.FS
	only     func(path string) bool // nil: all
	progress func(Progress)

	messages int64
	bytes    int64
	problems []string
	needs    string // without this one the others are of no use

	last     entry // of the last message file, whose other names are linked to it
	buf      []byte
	made     map[string]bool
	total    int64
	complete int64
}

func (x *extraction) run(ctx context.Context) error {
	x.buf, x.made = make([]byte, 128<<10), map[string]bool{}
	if x.progress == nil {
		x.progress = func(Progress) {}
	}
	return x.v.read(x.b, x.header, func(e entry) error {
		if x.only != nil && !x.only(e.Path) {
			return nil
		}
		err := x.bring(ctx, e)
		var bad *badObject
		if errors.As(err, &bad) {
			if e.Path == x.needs {
				return &Problem{Text: "the backup " + x.b.Name + " holds no readable database", Next: "take another one with --from", Err: bad.err}
			}
			x.problems = append(x.problems, bad.Error())
			return nil
		}
		return err
	})
}

func (x *extraction) header(h header) error {
	x.total = h.Bytes
	x.messages = h.Rows
	if x.known == nil {
		return nil
	}
	last, err := sqlite.Last(x.known)
	if err == nil && h.Schema > last {
		err = &Problem{Text: fmt.Sprintf("the backup %s was made by a newer mailstead (%s)", x.b.Name, h.Version), Next: "restore it with that version"}
	}
	return err
}

// badObject is a file of a backup that cannot be brought back.
type badObject struct {
	path string
	err  error
}

func (b *badObject) Error() string { return fmt.Sprintf("%s: %v", b.path, b.err) }

// bring makes one file, or its further name.
func (x *extraction) bring(ctx context.Context, e entry) error {
	name := e.Path
	if name == databaseName {
		name += sqlite.Reverting
	}
	to := filepath.Join(x.to, filepath.FromSlash(name))
	if err := x.folder(filepath.Dir(to)); err != nil {
		return err
	}
	message := strings.HasPrefix(e.Path, "messages/")
	if message && e.Object == x.last.Object {
		err := os.Link(filepath.Join(x.to, filepath.FromSlash(x.last.Path)), to)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return nil
		}
	}
	if !x.there(to, e) {
		if err := x.extract(ctx, e, to); err != nil {
			return err
		}
	}
	x.bytes += e.Size
	if message {
		x.messages++
		x.last = e
		x.complete += e.Size
		x.progress(Progress{"messages", x.complete, max(x.total, x.complete)})
	}
	return nil
}

// there tells whether an earlier run made the file.
func (x *extraction) there(path string, e entry) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Size() != e.Size {
		return false
	}
	sum, err := sumOf(path)
	return err == nil && bytes.Equal(sum, e.SHA256)
}

func (x *extraction) extract(ctx context.Context, e entry, to string) error {
	in, err := openPlain(filepath.Join(x.v.dir, filepath.FromSlash(e.Object)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &badObject{e.Path, errors.New("is missing in the backup")}
	case errors.Is(err, errNoFile):
		return &badObject{e.Path, err}
	case err != nil:
		return err
	}
	defer in.Close()
	if e.Path == databaseName { // the log of one that an earlier run has brought would be taken for this one's
		for _, rest := range []string{"-wal", "-shm"} {
			if err := os.Remove(to + rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	tmp := to + partName
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = x.pour(ctx, e, in, out)
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, to)
}

// pour decrypts, compares and writes one object.
func (x *extraction) pour(ctx context.Context, e entry, in io.Reader, out io.Writer) error {
	h := hasher{w: out}
	r, err := x.v.seal.read(contextReader{ctx, in})
	if err != nil {
		var p *Problem
		if errors.As(err, &p) || ctx.Err() != nil {
			return err
		}
		return &badObject{e.Path, fmt.Errorf("cannot be decrypted: %w", err)}
	}
	// What is longer than it was may have no end.
	_, err = io.CopyBuffer(&h, struct{ io.Reader }{io.LimitReader(r, e.Size+1)}, x.buf)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case h.failed != nil: // the new disk's fault
		return h.failed
	case err != nil:
		return &badObject{e.Path, fmt.Errorf("cannot be read: %w", err)}
	case !bytes.Equal(h.sum(), e.SHA256):
		return &badObject{e.Path, errors.New("has other bytes than were saved")}
	}
	return nil
}

func (x *extraction) folder(dir string) error {
	if x.made[dir] {
		return nil
	}
	x.made[dir] = true
	return os.MkdirAll(dir, 0o700)
}
