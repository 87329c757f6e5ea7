package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/smtp/queue"
)

// beforePrefix begins the names of the copies that internal/sqlite makes before
// it migrates: before-NNNN-TIME.db, NNNN being the schema that came after.
const beforePrefix = "before-"

// Before lists the copies made before migrations, the newest first.
func Before(dir string) ([]Snapshot, error) {
	return list(dir, beforePrefix, func(name string) string {
		_, at, _ := strings.Cut(name, "-")
		return at
	})
}

// BackOptions of Back.
type BackOptions struct {
	Data  string // the data directory, whose lock the caller holds
	Known int64  // the schema that this program knows
	Yes   bool   // go back though accounts made since would be gone
}

// WentBack says what Back did.
type WentBack struct {
	Snapshot time.Time `json:"snapshot"` // when it was taken; zero when a way back was completed
	Schema   int64     `json:"schema"`   // of the database now
	Former   int64     `json:"former"`   // of the database before
	Aside    string    `json:"aside"`    // where that one is now
	Waiting  int       `json:"waiting"`  // messages in the queue, carried over
	Gone     []string  `json:"gone,omitempty"`
}

// Back puts the copy taken before the last migration in the database's place.
// No message is lost: what the newer database holds as rows becomes files first,
// what waits in its queue is carried over, and files that the older one does not
// know come into the mailboxes Recovered at the next start, which sees another
// epoch. Cut short, it is run again.
func Back(ctx context.Context, o BackOptions) (w WentBack, err error) {
	database := filepath.Join(o.Data, databaseName)
	if _, err := os.Stat(database + sqlite.Reverting); err == nil {
		r := Reverted{}
		if err := r.swap(database); err != nil {
			return w, err
		}
		w.Aside = r.Aside
		w.Schema, err = sqlite.Version(database)
		return w, err
	}
	newer, err := sqlite.Open(ctx, database, sqlite.Options{})
	if err != nil {
		return w, err
	}
	err = o.prepare(ctx, newer, &w)
	if err = errors.Join(err, newer.Close()); err != nil {
		os.Remove(database + partName)
		return w, room(err, o.Data)
	}
	// From here on database and files are of two epochs, whatever happens.
	if err := blob.RenewEpoch(filepath.Join(o.Data, "messages")); err != nil {
		return w, err
	}
	if err := renameSynced(database+partName, database+sqlite.Reverting); err != nil {
		return w, err
	}
	r := Reverted{}
	if err := r.swap(database); err != nil {
		return w, err
	}
	w.Aside = r.Aside
	return w, nil
}

// prepare makes the older database ready beside the newer one.
func (o BackOptions) prepare(ctx context.Context, newer *sqlite.DB, w *WentBack) error {
	err := newer.View(ctx, func(tx *sqlite.Tx) error { return tx.QueryRow("PRAGMA user_version").Scan(&w.Former) })
	if err != nil {
		return err
	}
	s, err := o.pick(ctx, w)
	if err != nil {
		return err
	}
	w.Snapshot = s.Time
	path := filepath.Join(o.Data, databaseName+partName)
	for _, rest := range []string{"-wal", "-shm"} { // of a way back that was cut short
		if err := os.Remove(path + rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := copySynced(s.Path, path); err != nil {
		return err
	}
	older, err := sqlite.Open(ctx, path, sqlite.Options{Readers: 1})
	if err != nil {
		return err
	}
	err = o.carry(ctx, newer, older, w)
	return errors.Join(err, older.Close())
}

// pick finds the newest readable copy of an older schema, one that this program
// knows when it does not know the present one.
func (o BackOptions) pick(ctx context.Context, w *WentBack) (Snapshot, error) {
	all, err := Before(filepath.Join(o.Data, "snapshots"))
	if err != nil {
		return Snapshot{}, err
	}
	for _, s := range all {
		schema, err := sqlite.Version(s.Path)
		if err != nil || schema >= w.Former || w.Former > o.Known && schema > o.Known {
			continue
		}
		if err := sqlite.Verify(ctx, s.Path); err != nil {
			if ctx.Err() != nil {
				return s, err
			}
			continue
		}
		w.Schema = schema
		return s, nil
	}
	return Snapshot{}, &Problem{Text: "there is no copy of the database from before an upgrade", Next: "such copies are snapshots/before-*.db in the data directory; a backup from before the upgrade serves as well: `mailstead restore`", Err: ErrNone}
}

// carry brings over what the older database would not find as files.
func (o BackOptions) carry(ctx context.Context, newer, older *sqlite.DB, w *WentBack) error {
	var err error
	if w.Gone, err = added(ctx, newer, older); err != nil {
		return err
	}
	if len(w.Gone) > 0 && !o.Yes {
		return &Problem{Text: fmt.Sprintf("accounts were made since then, which the older database does not know: %s", strings.Join(w.Gone, ", ")),
			Next: "export their mail first (`mailstead export`), then add --yes; their message files stay in the data directory"}
	}
	messages := filepath.Join(o.Data, "messages")
	now, err := blob.New(ctx, newer, messages, blob.Options{})
	if err != nil {
		return unreadable(err)
	}
	if err := now.File(ctx); err != nil {
		return unreadable(err)
	}
	var rows int64
	if _, _, rows, err = blob.CountKept(ctx, newer); err != nil {
		return unreadable(err)
	}
	if rows > 0 {
		return fmt.Errorf("%d messages did not become files", rows)
	}
	if err := now.Reap(ctx); err != nil {
		return err
	}
	then, err := blob.New(ctx, older, messages, blob.Options{})
	if err != nil {
		return err
	}
	w.Waiting, err = queue.Carry(ctx, queue.Queued{DB: newer, Blobs: now}, queue.Queued{DB: older, Blobs: then})
	return unreadable(err)
}

// unreadable explains why the tables of the newer database are not as this
// program knows them.
func unreadable(err error) error {
	if err == nil {
		return nil
	}
	return &Problem{Text: "the database cannot be emptied by this version", Err: err,
		Next: "run `mailstead upgrade --back` with the version that wrote it, then install the older one"}
}

// added lists the accounts that the older database does not know.
func added(ctx context.Context, newer, older *sqlite.DB) (gone []string, err error) {
	const query = `SELECT c.id, ifnull((SELECT a.local || '@' || d.name FROM address a JOIN domain d ON d.id = a.domain
		WHERE a.account = c.id ORDER BY a.first DESC LIMIT 1), c.id) FROM account c ORDER BY c.id`
	read := func(db *sqlite.DB) (map[int64]string, error) {
		all := map[int64]string{}
		err := db.View(ctx, func(tx *sqlite.Tx) error {
			rows, err := tx.Query(query)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id int64
				var name string
				if err := rows.Scan(&id, &name); err != nil {
					return err
				}
				all[id] = name
			}
			return rows.Err()
		})
		return all, err
	}
	now, err := read(newer)
	if err != nil {
		return nil, unreadable(err)
	}
	then, err := read(older)
	if err != nil {
		return nil, err
	}
	for id, name := range now {
		if _, known := then[id]; !known {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone, nil
}
