package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mailstead/internal/sqlite"
)

// Fault is one thing that Check found wrong with a body.
type Fault struct {
	Body  ID
	Owner int64  // whose name of it
	Path  string // "" for an inline one
	Text  string // a plain sentence
}

// CheckOptions of Check.
type CheckOptions struct {
	Quick    bool                    // names and sizes only; the bytes are not read
	Progress func(done, total int64) // bodies; may be nil
}

// checkChunk is how many rows one read transaction takes.
const checkChunk = 500

// Check compares every body's row with its bytes: inline ones have theirs in the
// database, filed ones a file of the right size in each owner's folder, and the
// bytes have the hash of the row. It changes nothing and runs beside a server.
func (s *Store) Check(ctx context.Context, o CheckOptions, report func(Fault)) error {
	var total, done int64
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM body WHERE gone IS NULL").Scan(&total)
	})
	for last := ID(0); err == nil; {
		var rows []checked
		if rows, err = s.checkRows(ctx, last); err != nil || len(rows) == 0 {
			break
		}
		for _, r := range rows {
			if err = ctx.Err(); err != nil {
				break
			}
			if err = s.checkOne(ctx, r, o.Quick, report); err != nil {
				break
			}
			last = r.id
		}
		if done += int64(len(rows)); o.Progress != nil {
			o.Progress(done, max(done, total))
		}
	}
	if err != nil {
		return fmt.Errorf("check message files: %w", err)
	}
	return nil
}

// checked is a row as Check reads it.
type checked struct {
	id          ID
	state, size int64
	sum         []byte
	owners      []int64 // with a name each
}

func (s *Store) checkRows(ctx context.Context, after ID) (out []checked, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		out = nil
		rows, err := tx.Query("SELECT id, state, size, sha256, ifnull(owner, 0) FROM body WHERE id > ? AND gone IS NULL ORDER BY id LIMIT ?",
			int64(after), checkChunk)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := checked{owners: make([]int64, 1)}
			if err := rows.Scan(&r.id, &r.state, &r.size, &r.sum, &r.owners[0]); err != nil {
				return err
			}
			out = append(out, r)
		}
		if err := rows.Err(); err != nil || len(out) == 0 {
			return err
		}
		return linkedOwners(tx, out)
	})
	return out, err
}

// linkedOwners adds the further owners that have a name.
func linkedOwners(tx *sqlite.Tx, out []checked) error {
	at := make(map[ID]int, len(out))
	for i, r := range out {
		at[r.id] = i
	}
	rows, err := tx.Query("SELECT body, owner FROM body_owner WHERE linked = 1 AND body BETWEEN ? AND ?",
		int64(out[0].id), int64(out[len(out)-1].id))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id ID
		var owner int64
		if err := rows.Scan(&id, &owner); err != nil {
			return err
		}
		if i, ok := at[id]; ok {
			out[i].owners = append(out[i].owners, owner)
		}
	}
	return rows.Err()
}

func (s *Store) checkOne(ctx context.Context, r checked, quick bool, report func(Fault)) error {
	if r.state == inlined {
		return s.checkInline(ctx, r, report)
	}
	for i, owner := range r.owners {
		path := s.path(r.id, owner)
		f := Fault{Body: r.id, Owner: owner, Path: path}
		text, err := checkFile(path, r, quick || i > 0) // one inode: the bytes are read once
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		// It may have moved or gone between the row and the file.
		same, err := s.stillFiled(ctx, r.id, owner)
		if err != nil {
			return err
		}
		if same {
			f.Text = fmt.Sprintf("%s, the file of message body %d, %s", path, r.id, text)
			report(f)
		}
	}
	return nil
}

// checkFile says what is wrong with a file, "" for nothing. A disk that cannot
// read it is a fault of the file, not of the check.
func checkFile(path string, r checked, quick bool) (string, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing", nil
	case errors.Is(err, fs.ErrPermission):
		return "", err
	case err != nil:
		return fmt.Sprintf("cannot be opened: %v", err), nil
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Sprintf("cannot be read: %v", err), nil
	case info.Size() != r.size:
		return fmt.Sprintf("has %d bytes instead of %d", info.Size(), r.size), nil
	case quick:
		return "", nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Sprintf("cannot be read: %v", err), nil
	}
	if !bytes.Equal(h.Sum(nil), r.sum) {
		return "has other bytes than were received", nil
	}
	return "", nil
}

// stillFiled tells whether the row still says that the owner's file is there.
func (s *Store) stillFiled(ctx context.Context, id ID, owner int64) (same bool, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM body WHERE id = ?1 AND state = ?2 AND gone IS NULL AND (ifnull(owner, 0) = ?3
			OR EXISTS (SELECT 1 FROM body_owner WHERE body = ?1 AND owner = ?3 AND linked = 1)))`,
			int64(id), filed, owner).Scan(&same)
	})
	return same, err
}

// checkInline looks at the bytes in the database.
func (s *Store) checkInline(ctx context.Context, r checked, report func(Fault)) error {
	var state int64
	var mem []byte
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		mem = nil
		err := tx.QueryRow("SELECT state FROM body WHERE id = ? AND gone IS NULL", int64(r.id)).Scan(&state)
		if err != nil || state != inlined {
			return err
		}
		return tx.QueryRow("SELECT bytes FROM inline_body WHERE id = ?", int64(r.id)).Scan(&mem)
	})
	gone := errors.Is(err, sqlite.ErrNoRows)
	switch {
	case gone && state == inlined:
		report(Fault{Body: r.id, Owner: r.owners[0], Text: fmt.Sprintf("the bytes of message body %d are missing from the database", r.id)})
		return nil
	case gone:
		return nil // it went meanwhile
	case err != nil:
		return err
	case state != inlined:
		return s.checkOne(ctx, checked{r.id, state, r.size, r.sum, r.owners}, false, report)
	}
	if sum := sha256.Sum256(mem); !bytes.Equal(sum[:], r.sum) {
		report(Fault{Body: r.id, Owner: r.owners[0], Text: fmt.Sprintf("message body %d in the database has other bytes than were received", r.id)})
	}
	return nil
}

// Lost lists the files in the folder lost: found by a start without a row, and
// kept for 30 days.
func (s *Store) Lost() ([]string, error) {
	var all []string
	err := filepath.WalkDir(filepath.Join(s.dir, "lost"), func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil && e.Type().IsRegular():
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list lost files: %w", err)
	}
	return all, nil
}
