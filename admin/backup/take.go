package backup

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

// Progress says how far long work is.
type Progress struct {
	What        string
	Done, Total int64 // bytes
}

// Options of Take.
type Options struct {
	Dir      string // the folder of backups
	Keys     Keys
	Config   string         // configuration file; "" when there is none
	Keep     int            // how many backups are kept; 0 for all
	Progress func(Progress) // may be nil
}

// Taken says what a backup is.
type Taken struct {
	Name     string   `json:"name"`
	Dir      string   `json:"dir"`
	Messages int64    `json:"messages"`
	Bytes    int64    `json:"bytes"`
	New      int64    `json:"new"`       // files that were not there from earlier backups
	NewBytes int64    `json:"new_bytes"` // of those that were copied, not linked
	Removed  []string `json:"removed,omitempty"`
	Problems []string `json:"problems,omitempty"` // files that are damaged or missing
}

// Take makes a backup of what c serves: a running server, or the stores. The
// files are read here, by whoever calls. What is broken off stays marked as
// incomplete, and the next Take goes on with what is there.
func Take(ctx context.Context, c control.Caller, o Options) (t Taken, err error) {
	note := control.BackupNote{Dir: o.Dir, Began: time.Now().UTC()}
	err = take(ctx, c, o, &t)
	note.Name, note.Ended, note.Messages, note.Bytes = t.Name, time.Now().UTC(), t.Messages, t.Bytes
	if ctx.Err() != nil {
		note.Problem = "it was interrupted"
	} else if err != nil {
		note.Problem = err.Error()
	} else if len(t.Problems) > 0 {
		note.Problem = fmt.Sprintf("%d message files could not be saved as they ought to be", len(t.Problems))
	}
	e := c.Do(context.WithoutCancel(ctx), "backup.note", note, nil)
	if err == nil {
		err = e
	}
	return t, err
}

func take(ctx context.Context, c control.Caller, o Options, t *Taken) error {
	v, err := newVault(o.Dir, o.Keys)
	if err != nil {
		return room(err, o.Dir)
	}
	defer v.close()
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	o.Progress(Progress{What: "the database"})
	err = hold(ctx, c, func(ctx context.Context, held control.BackupHeld) error {
		return v.fill(ctx, held, o, t)
	})
	if err == nil && o.Keep > 0 {
		t.Removed, err = v.prune(o.Keep)
	}
	return room(err, o.Dir)
}

// room says in plain words that a disk is full.
func room(err error, dir string) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return &Problem{Text: "the disk that holds " + dir + " is full", Err: err,
			Next: "make room and run it again: it goes on where it stopped"}
	}
	return err
}

// hold runs fn while the server holds the files and a copy of its database.
func hold(ctx context.Context, c control.Caller, fn func(context.Context, control.BackupHeld) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in, release := io.Pipe()
	out, answer := io.Pipe()
	over := make(chan error, 1)
	go func() {
		err := c.Stream(ctx, "backup.hold", nil, in, answer)
		if err == nil {
			err = errors.New("the server let go of the files")
		}
		answer.CloseWithError(err)
		cancel(err) // what is not held may not be copied on
		over <- err
	}()
	var held control.BackupHeld
	err := json.NewDecoder(out).Decode(&held)
	if err == nil {
		go io.Copy(io.Discard, out)
		err = fn(ctx, held)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	release.Close()
	out.Close()
	<-over
	return err
}

// fill fills the folder of one backup and gives it its name at the end.
func (v *vault) fill(ctx context.Context, held control.BackupHeld, o Options, t *Taken) error {
	if err := v.dropUnfinished(); err != nil {
		return err
	}
	t.Dir = o.Dir
	at, err := v.next(time.Now().UTC())
	if err != nil {
		return err
	}
	t.Name = at.Format(layout)
	dir := filepath.Join(v.dir, t.Name)
	part := dir + unfinished
	if err := v.mkdir(part); err != nil {
		return err
	}
	p, err := v.openPool(held.Names)
	if err != nil {
		return err
	}
	defer p.close()
	r := &round{v: v, p: p, o: o, t: t, held: held}
	if err := r.run(ctx, part); err != nil {
		return err
	}
	t.New, t.NewBytes = p.written, p.bytes
	if err := renameSynced(part, dir); err != nil {
		return err
	}
	return nil
}

// dropUnfinished removes what a backup that was broken off knew of the database
// of then; its message files stay.
func (v *vault) dropUnfinished() error {
	all, err := Backups(v.dir)
	for _, b := range all {
		if !b.Complete && err == nil {
			err = os.RemoveAll(filepath.Join(v.dir, b.Name+unfinished))
		}
	}
	return err
}

// round is one backup on its way.
type round struct {
	v    *vault
	p    *pool
	o    Options
	t    *Taken
	held control.BackupHeld
	m    *manifestWriter
}

func (r *round) run(ctx context.Context, part string) error {
	db, err := r.database(ctx, part)
	if err != nil {
		return err
	}
	// Opened where it was copied from; closing it leaves nothing behind.
	copied, err := sqlite.Open(ctx, r.held.Database, sqlite.Options{Readers: 1})
	if err != nil {
		return err
	}
	defer copied.Close()
	h := header{Format: format, Time: time.Now().UTC(), Version: r.held.Version}
	if err := copied.View(ctx, func(tx *sqlite.Tx) error { return tx.QueryRow("PRAGMA user_version").Scan(&h.Schema) }); err != nil {
		return err
	}
	if _, h.Bytes, h.Rows, err = blob.CountKept(ctx, copied); err != nil {
		return err
	}
	r.t.Messages = h.Rows
	if r.m, err = r.v.newManifest(part, h); err != nil {
		return err
	}
	defer r.m.drop()
	if err := r.m.add(db); err != nil {
		return err
	}
	if err := r.messages(ctx, copied, h.Bytes); err != nil {
		return err
	}
	if err := r.others(ctx); err != nil {
		return err
	}
	if err := r.p.finish(); err != nil {
		return err
	}
	return r.m.finish()
}

// database puts the copy into the backup's own folder: it is another one every
// time.
func (r *round) database(ctx context.Context, part string) (entry, error) {
	tmp, size, sum, err := r.p.copy(ctx, r.held.Database)
	if err != nil {
		return entry{}, err
	}
	name := databaseName + r.v.seal.suffix()
	r.t.Bytes += size
	e := entry{Path: databaseName, Object: r.t.Name + "/" + name, Size: size, SHA256: sum}
	return e, os.Rename(tmp, filepath.Join(part, name))
}

const databaseName = "mailstead.db"

func (r *round) messages(ctx context.Context, db *sqlite.DB, total int64) error {
	var done int64
	var last blob.ID
	return blob.EachKept(ctx, db, blob.Everybody, func(k blob.Kept) error {
		name := "messages/" + k.Name
		e, err := r.p.put(ctx, filepath.Join(r.held.Data, filepath.FromSlash(name)), entry{Path: name, Size: k.Size, SHA256: k.SHA256})
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.t.Problems = append(r.t.Problems, name+" is missing")
			return nil
		case errors.Is(err, errChanged):
			r.t.Problems = append(r.t.Problems, name+" has "+errChanged.Error()+"; it is kept as it is")
		case err != nil:
			return err
		}
		if k.Body != last {
			last = k.Body
			done += k.Size
			r.t.Messages++
			r.t.Bytes += k.Size
			r.o.Progress(Progress{"messages", done, max(total, done)})
		}
		return r.m.add(e)
	})
}

// configName is where the configuration lies in a backup, and after a restore.
const configName = "mailstead.toml"

// others are the certificates and the configuration.
func (r *round) others(ctx context.Context) error {
	var paths []string
	root := filepath.Join(r.held.Data, "acme")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // none yet, or renewed at this moment
		case err == nil && d.Type().IsRegular() && !strings.HasSuffix(path, ".lock"):
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range paths {
		name, err := filepath.Rel(r.held.Data, path)
		if err == nil {
			err = r.other(ctx, path, filepath.ToSlash(name))
		}
		if err != nil {
			return err
		}
	}
	if r.o.Config == "" {
		return nil
	}
	return r.other(ctx, r.o.Config, configName)
}

// other keeps a small file that may change: it is copied, never linked.
func (r *round) other(ctx context.Context, path, name string) error {
	tmp, size, sum, err := r.p.copy(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e := entry{Path: name, Object: r.v.seal.object(sum, r.p.key), Size: size, SHA256: sum}
	to := filepath.Join(r.v.dir, filepath.FromSlash(e.Object))
	if err := r.p.folder(to); err != nil {
		return err
	}
	r.t.Bytes += size
	r.p.pending = append(r.p.pending, rename{tmp, to})
	return r.m.add(e)
}

// sumOf hashes a file.
func sumOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}
