package blob

import (
	"context"
	"path"
	"strconv"

	"mailstead/internal/sqlite"
)

// Hold keeps every file where it is until release: nothing is unlinked
// meanwhile, so that a copy of the database and the files that it names can be
// copied one after the other. Mail is received, filed and expunged as ever.
func (s *Store) Hold() (release func()) {
	s.held.Add(1)
	s.work.Lock() // a reap that runs ends at its next batch
	defer s.work.Unlock()
	return func() { s.held.Add(-1) }
}

// Kept is one name of a message file, as a database knows it.
type Kept struct {
	Body   ID
	Name   string // below the folder messages, with slashes
	Size   int64
	SHA256 []byte
}

// Everybody asks EachKept for the files of all owners.
const Everybody int64 = -1

// CountKept tells how many bodies of a database are files, with their bytes, and
// how many are rows.
func CountKept(ctx context.Context, db *sqlite.DB) (files, bytes, rows int64, err error) {
	err = db.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT ifnull(sum(state = 1), 0), ifnull(sum(CASE WHEN state = 1 THEN size ELSE 0 END), 0), ifnull(sum(state = 0), 0)
			FROM body WHERE gone IS NULL`).Scan(&files, &bytes, &rows)
	})
	return files, bytes, rows, err
}

// EachKept lists the files that a database names, by body; the names of one
// body follow each other. Of one owner's bodies it gives the name alone by which
// they are opened. Those whose bytes are rows, and those that are gone, have none.
func EachKept(ctx context.Context, db *sqlite.DB, owner int64, fn func(Kept) error) error {
	s := &Store{db: db}
	for last := ID(0); ; {
		rows, err := s.checkRows(ctx, last)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			last = r.id
			if r.state != filed {
				continue
			}
			if owner != Everybody {
				held, err := s.holds(ctx, r, owner)
				if err != nil {
					return err
				}
				if !held {
					continue
				}
				r.owners = r.owners[:1]
			}
			for _, o := range r.owners {
				shard := strconv.FormatInt(int64(r.id)/perFolder, 10)
				if err := fn(Kept{r.id, path.Join(ownerName(o), shard, name(r.id)), r.size, r.sum}); err != nil {
					return err
				}
			}
		}
	}
}

// holds tells whether an owner holds a body, linked into its folder or not.
func (s *Store) holds(ctx context.Context, r checked, owner int64) (yes bool, err error) {
	if r.owners[0] == owner {
		return true, nil
	}
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT EXISTS (SELECT 1 FROM body_owner WHERE body = ? AND owner = ?)", int64(r.id), owner).Scan(&yes)
	})
	return yes, err
}
