package backup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mailstead/account"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/smtp/queue"
)

// scratch opens stores on a directory that was brought back, as it is: nothing
// is renewed, swept, or delivered.
func scratch(ctx context.Context, o RestoreOptions) (ops *control.Ops, end func() error, err error) {
	db, err := sqlite.Open(ctx, filepath.Join(o.To, databaseName), sqlite.Options{Migrations: o.Migrations})
	if err != nil {
		return nil, nil, err
	}
	people, err := account.Open(ctx, db, account.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	end = func() error { return errors.Join(people.Close(context.WithoutCancel(ctx)), db.Close()) }
	blobs, err := blob.New(ctx, db, filepath.Join(o.To, "messages"), blob.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return &control.Ops{
		DB: db, Accounts: people, Blobs: blobs, Mail: mailbox.New(db, blobs, mailbox.Options{}),
		Queue: queue.New(queue.Options{DB: db, Blobs: blobs}), Data: o.To,
	}, end, nil
}

// Rehearsed says how a rehearsal went; without findings the backup is good.
type Rehearsed struct {
	Restored
	Findings []string `json:"findings"`
	Accounts int      `json:"accounts"`
}

// Rehearse restores a backup into the scratch directory o.To, compares every
// file with its hash, and every row with its file.
func Rehearse(ctx context.Context, o RestoreOptions) (r Rehearsed, err error) {
	o.KeepQueue = true // the database stays as it is, byte for byte
	r.Findings = []string{}
	if r.Restored, err = Restore(ctx, o); err != nil {
		return r, err
	}
	r.Findings = append(r.Findings, r.Problems...)
	ops, end, err := scratch(ctx, o)
	if err != nil {
		r.Findings = append(r.Findings, "the restored database cannot be opened: "+err.Error())
		return r, ctx.Err()
	}
	err = check(ctx, ops, o.Progress, func(text string) { r.Findings = append(r.Findings, text) })
	if err == nil {
		var all []control.Account
		all, err = control.Call[[]control.Account](ctx, ops, "account.list", nil)
		r.Accounts = len(all)
	}
	return r, errors.Join(err, end())
}

// check is `mailstead check`.
func check(ctx context.Context, ops *control.Ops, progress func(Progress), found func(string)) error {
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var l control.CheckLine
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				out.CloseWithError(err)
				done <- err
				return
			}
			if l.Finding != "" {
				found(l.Finding)
			}
			if l.At != nil && progress != nil {
				progress(Progress{What: "comparing " + l.At.What})
			}
		}
		out.CloseWithError(lines.Err()) // a line that is too long ends it too
		done <- lines.Err()
	}()
	err := ops.Stream(ctx, "check", control.CheckQuery{}, nil, in)
	in.CloseWithError(err)
	if e := <-done; err == nil {
		err = e
	}
	return err
}

// OpenAccount brings database and messages of one account into the scratch
// directory o.To and gives the stores over them, for export. Other accounts'
// messages are not there.
func OpenAccount(ctx context.Context, o RestoreOptions, address string) (ops *control.Ops, end func() error, b Backup, err error) {
	v, b, err := choose(o.Dir, o.From, o.Keys)
	if err != nil {
		return nil, nil, b, err
	}
	x := &extraction{v: v, b: b, to: o.To, known: o.Migrations, needs: databaseName, only: func(path string) bool { return path == databaseName }}
	if err := x.run(ctx); err != nil {
		return nil, nil, b, room(err, o.To)
	}
	database := filepath.Join(o.To, databaseName)
	err = os.Rename(database+sqlite.Reverting, database)
	if err == nil {
		err = os.MkdirAll(filepath.Join(o.To, "messages"), 0o700)
	}
	if err != nil {
		return nil, nil, b, &Problem{Text: "the backup " + b.Name + " holds no readable database", Next: "take another one with --from", Err: err}
	}
	if ops, end, err = scratch(ctx, o); err != nil {
		return nil, nil, b, err
	}
	who, err := control.Call[control.Account](ctx, ops, "account.show", control.Who{Address: address})
	if err == nil {
		err = x.mail(ctx, ops.DB, who.ID, o.Progress)
	}
	if err != nil {
		return nil, nil, b, errors.Join(err, end())
	}
	return ops, end, b, nil
}

// mail brings the files of one account's messages.
func (x *extraction) mail(ctx context.Context, db *sqlite.DB, account int64, progress func(Progress)) error {
	names := map[string]bool{}
	var total int64
	err := blob.EachKept(ctx, db, account, func(k blob.Kept) error {
		names["messages/"+k.Name] = true
		total += k.Size
		return nil
	})
	if err != nil {
		return err
	}
	y := &extraction{v: x.v, b: x.b, to: x.to, progress: progress, only: func(path string) bool { return names[path] }}
	err = y.run(ctx)
	x.problems = y.problems // exporting what is missing tells so
	return room(err, x.to)
}

// Room tells how many bytes a rehearsal or a restore needs, and a Problem when
// the directory's disk has less.
func Room(dir, from string, keys Keys, to string) error {
	v, b, err := choose(dir, from, keys)
	if err != nil {
		return err
	}
	need := int64(0)
	stop := errors.New("header")
	err = v.read(b, func(h header) error { need = h.Bytes; return stop }, nil)
	if !errors.Is(err, stop) {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(to, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < need+need/20 {
		return &Problem{Text: fmt.Sprintf("%s has room for %d MB, and the messages take %d MB", to, free>>20, need>>20),
			Next: "name a folder on another disk with --scratch"}
	}
	return nil
}
