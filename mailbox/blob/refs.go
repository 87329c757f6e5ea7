package blob

import (
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
)

// Ref counts one more holder of the body in owner's name. Errors: ErrNotExist
// when there is no such body or its last holder has left.
func (s *Store) Ref(tx *sqlite.Tx, id ID, owner int64) error {
	r, err := tx.Exec("UPDATE body SET owner = ?2, refs = refs + 1 WHERE id = ?1 AND gone IS NULL AND (owner = ?2 OR owner IS NULL)", int64(id), owner)
	if err != nil {
		return fmt.Errorf("refer to body %d: %w", id, err)
	}
	if n, _ := r.RowsAffected(); n == 1 {
		return nil
	}
	return s.refFurther(tx, id, owner)
}

// refFurther counts for an owner that is not the first. The filer links the
// bytes into its folder; until then the first owner's name serves.
func (s *Store) refFurther(tx *sqlite.Tx, id ID, owner int64) error {
	r, err := tx.Exec(`INSERT INTO body_owner (body, owner, refs, linked)
		SELECT id, ?2, 1, 0 FROM body WHERE id = ?1 AND gone IS NULL
		ON CONFLICT DO UPDATE SET refs = refs + 1`, int64(id), owner)
	if err != nil {
		return fmt.Errorf("refer to body %d: %w", id, err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		return fmt.Errorf("refer to body %d: %w", id, ErrNotExist)
	}
	tx.AfterCommit(s.wakeFn)
	return nil
}

// Unref counts one holder less. With the last one the body is gone: Reap
// unlinks it when no session can name it any more.
func (s *Store) Unref(tx *sqlite.Tx, id ID, owner int64) error {
	var left int64
	err := tx.QueryRow("UPDATE body SET refs = refs - 1 WHERE id = ?1 AND owner = ?2 AND refs > 0 RETURNING refs", int64(id), owner).Scan(&left)
	switch {
	case err == nil && left > 0:
		return nil
	case err == nil:
		err = s.leave(tx, id, owner)
	default:
		err = s.unrefFurther(tx, id, owner)
	}
	if err != nil {
		return fmt.Errorf("release body %d: %w", id, err)
	}
	return nil
}

// unrefFurther releases for an owner that is not the first.
func (s *Store) unrefFurther(tx *sqlite.Tx, id ID, owner int64) error {
	var left int64
	var linked bool
	err := tx.QueryRow("UPDATE body_owner SET refs = refs - 1 WHERE body = ?1 AND owner = ?2 RETURNING refs, linked", int64(id), owner).Scan(&left, &linked)
	if errors.Is(err, sqlite.ErrNoRows) {
		return ErrNotExist
	}
	if err != nil || left > 0 {
		return err
	}
	if _, err := tx.Exec("DELETE FROM body_owner WHERE body = ?1 AND owner = ?2", int64(id), owner); err != nil {
		return err
	}
	if !linked { // the name may be there already: Settle gave it before the filer has noted it
		if err := tx.QueryRow("SELECT state = 1 FROM body WHERE id = ?", int64(id)).Scan(&linked); err != nil {
			return err
		}
	}
	if linked {
		if err := unlinkLater(tx, id, owner); err != nil {
			return err
		}
	}
	return s.goneIfFree(tx, id, owner)
}

// leave is called when the first owner's count has reached zero.
func (s *Store) leave(tx *sqlite.Tx, id ID, owner int64) error {
	var further, refs, state int64
	var linked bool
	err := tx.QueryRow(`SELECT o.owner, o.refs, o.linked, b.state FROM body_owner o JOIN body b ON b.id = o.body
		WHERE o.body = ? ORDER BY o.linked DESC LIMIT 1`, int64(id)).Scan(&further, &refs, &linked, &state)
	switch {
	case errors.Is(err, sqlite.ErrNoRows):
		return s.goneIfFree(tx, id, owner)
	case err != nil:
		return err
	case state == filed && !linked:
		return nil // the only name is the leaving owner's: the filer links first, then promotes
	}
	return promote(tx, id, further, refs, state == filed)
}

// promote makes a further owner the first.
func promote(tx *sqlite.Tx, id ID, owner, refs int64, named bool) error {
	if named {
		_, err := tx.Exec("INSERT OR REPLACE INTO body_unlink (body, owner, gone) SELECT id, owner, ?2 FROM body WHERE id = ?1", int64(id), now())
		if err != nil {
			return err
		}
	}
	if _, err := tx.Exec("UPDATE body SET owner = ?2, refs = ?3 WHERE id = ?1", int64(id), owner, refs); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM body_owner WHERE body = ?1 AND owner = ?2", int64(id), owner)
	return err
}

func unlinkLater(tx *sqlite.Tx, id ID, owner int64) error {
	_, err := tx.Exec("INSERT OR REPLACE INTO body_unlink (body, owner, gone) VALUES (?, ?, ?)", int64(id), owner, goneAt(owner))
	return err
}

// goneIfFree marks the body gone when nobody holds it any more. What only the
// queue held inline goes at once: no session can name it.
func (s *Store) goneIfFree(tx *sqlite.Tx, id ID, owner int64) error {
	if owner == Queue {
		r, err := tx.Exec("DELETE FROM body WHERE id = ?1 AND state = 0 AND refs = 0 AND NOT EXISTS (SELECT 1 FROM body_owner WHERE body = ?1)", int64(id))
		if err != nil {
			return err
		}
		if n, _ := r.RowsAffected(); n == 1 {
			tx.AfterCommit(func() { s.recent.drop(id) })
			if err := s.retire(tx, id); err != nil {
				return err
			}
			_, err := tx.Exec("DELETE FROM inline_body WHERE id = ?", int64(id))
			return err
		}
	}
	_, err := tx.Exec("UPDATE body SET gone = ?2 WHERE id = ?1 AND refs = 0 AND NOT EXISTS (SELECT 1 FROM body_owner WHERE body = ?1)", int64(id), goneAt(owner))
	return err
}

func now() int64 { return time.Now().Unix() }

// goneAt is the time that Reap counts from: no session names what the queue held.
func goneAt(owner int64) int64 {
	if owner == Queue {
		return 0
	}
	return now()
}
