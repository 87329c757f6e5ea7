package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// Email is an email's row: everything FETCH needs without the message's bytes.
type Email struct {
	ID            int64
	ObjectID      string // EMAILID
	ThreadID      string
	Body          blob.ID
	Prefix        []byte // generated fields that stand before the body
	BodySize      int64
	Received      time.Time // INTERNALDATE, in the zone it was given in
	Envelope      []byte    // wire form
	BodyStructure []byte    // wire form, extended
	Parts         []byte    // message.MarshalParts
	Preview       string
	Summary       message.Summary // sort keys only are guaranteed
}

// Size is RFC822.SIZE: prefix and body.
func (e *Email) Size() int64 { return int64(len(e.Prefix)) + e.BodySize }

// Emails loads rows by id, in chunks; order is that of ids, missing ones are
// left out. No transaction is open while fn runs. An *Email that fn keeps stays
// valid.
func (s *Store) Emails(ctx context.Context, ids []int64, fn func(*Email) error) error {
	q := loader[Email]{columns: emailColumns, scan: scanEmail, id: func(e *Email) int64 { return e.ID }}
	if err := q.load(ctx, s.db, ids, fn); err != nil {
		return fmt.Errorf("load emails: %w", err)
	}
	return nil
}

// emailRow is a row of the table as it stands there: facts and prefix packed.
type emailRow struct {
	id, body, size, head, received, zone, thread int64
	facts, prefix                                []byte
}

const emailColumns = `id, body, size, head, received, zone, thread, facts, prefix`

func (r *emailRow) scan(row interface{ Scan(...any) error }) error {
	return row.Scan(&r.id, &r.body, &r.size, &r.head, &r.received, &r.zone, &r.thread, &r.facts, &r.prefix)
}

func scanEmail(rows *sqlite.Rows, e *Email) error {
	var r emailRow
	if err := r.scan(rows); err != nil {
		return fmt.Errorf("email %d: %w", r.id, err)
	}
	return r.unpack(e)
}

func (r *emailRow) unpack(e *Email) error {
	err := unpackEmail(r.facts, e)
	if err == nil {
		e.Prefix, err = unpack(r.prefix, 0)
	}
	if err == nil && int64(len(e.Prefix)) != r.head {
		err = errFacts
	}
	if err != nil {
		return fmt.Errorf("email %d: %w", r.id, err)
	}
	e.ID = r.id
	e.ObjectID = EmailID(r.id)
	e.ThreadID = ThreadID(r.thread)
	e.Body = blob.ID(r.body)
	e.BodySize = r.size - r.head
	e.Received = time.Unix(r.received, 0).UTC()
	if r.zone != 0 {
		e.Received = e.Received.In(time.FixedZone("", int(r.zone)*60))
	}
	return nil
}

// EmailID is the EMAILID of an email's row, ThreadID the THREADID of a thread
// (RFC 8474): letters first, since ids should not look like numbers.
func EmailID(id int64) string      { return "e" + strconv.FormatInt(id, 10) }
func ThreadID(thread int64) string { return "t" + strconv.FormatInt(thread, 36) }

// loader reads rows of the table email by id.
type loader[T any] struct {
	columns string
	scan    func(*sqlite.Rows, *T) error
	id      func(*T) int64
}

// batches are the lengths of the prepared lists of ids; the rest of a list is
// filled by its last id.
var batches = [...]int{1, 16, 128}

func (q loader[T]) load(ctx context.Context, db *sqlite.DB, ids []int64, fn func(*T) error) error {
	for len(ids) > 0 {
		n := min(len(ids), batches[len(batches)-1])
		found, err := q.some(ctx, db, ids[:n])
		if err != nil {
			return err
		}
		for i := range found {
			if err := fn(&found[i]); err != nil {
				return err
			}
		}
		ids = ids[n:]
	}
	return nil
}

// some loads at most the longest list of ids.
func (q loader[T]) some(ctx context.Context, db *sqlite.DB, ids []int64) (found []T, err error) {
	size := batches[0]
	for _, b := range batches {
		if size = b; b >= len(ids) {
			break
		}
	}
	args := make([]any, size)
	for i := range args {
		args[i] = ids[min(i, len(ids)-1)]
	}
	query := `SELECT ` + q.columns + ` FROM email WHERE id IN (?` + strings.Repeat(`, ?`, size-1) + `) ORDER BY id`
	err = db.View(ctx, func(tx *sqlite.Tx) error {
		found = make([]T, 0, len(ids))
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			found = append(found, *new(T))
			if err := q.scan(rows, &found[len(found)-1]); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return q.inOrder(ids, found), nil
}

// inOrder puts rows found by ascending id into the order of ids.
func (q loader[T]) inOrder(ids []int64, found []T) []T {
	ascending := true
	for i := 1; i < len(ids); i++ {
		ascending = ascending && ids[i-1] < ids[i]
	}
	if ascending {
		return found
	}
	at := make(map[int64]int, len(found))
	for i := range found {
		at[q.id(&found[i])] = i
	}
	out := make([]T, 0, len(ids))
	for _, id := range ids {
		if i, ok := at[id]; ok {
			out = append(out, found[i])
		}
	}
	return out
}

// Content opens prefix and body as one string of bytes.
// Errors: ErrExpunged when the bytes are gone.
func (s *Store) Content(ctx context.Context, e *Email) (blob.Reader, error) {
	body, err := s.blobs.Open(ctx, e.Body)
	if errors.Is(err, blob.ErrNotExist) {
		err = ErrExpunged
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", e.ObjectID, err)
	}
	if len(e.Prefix) == 0 {
		return body, nil
	}
	return &content{prefix: e.Prefix, body: body}, nil
}

// content is a prefix and a body read as one.
type content struct {
	prefix []byte
	body   blob.Reader
}

func (c *content) Size() int64  { return int64(len(c.prefix)) + c.body.Size() }
func (c *content) Close() error { return c.body.Close() }

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read of content: negative offset")
	}
	if off < int64(len(c.prefix)) {
		if n = copy(p, c.prefix[off:]); n == len(p) {
			return n, nil
		}
		off = int64(len(c.prefix))
	}
	m, err := c.body.ReadAt(p[n:], off-int64(len(c.prefix)))
	if n += m; err == io.EOF && n == len(p) {
		err = nil
	}
	return n, err
}

// SavedDate of a placement (RFC 8514). Errors: ErrExpunged.
func (s *Store) SavedDate(ctx context.Context, mailbox int64, uid uint32) (time.Time, error) {
	var saved int64
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT saved FROM placement WHERE mailbox = ? AND uid = ?`, mailbox, uid).Scan(&saved)
	})
	if errors.Is(err, sqlite.ErrNoRows) {
		err = ErrExpunged
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("saved date: %w", err)
	}
	return time.Unix(saved, 0).UTC(), nil
}

// SavedDates gives the saved dates of UIDs (ascending) in one go, for a search
// or FETCH of many; unknown ones are left out.
func (s *Store) SavedDates(ctx context.Context, mailbox int64, uids []uint32) (map[uint32]time.Time, error) {
	spans, err := s.spans(ctx, mailbox, uids)
	if err != nil {
		return nil, fmt.Errorf("saved dates: %w", err)
	}
	out := make(map[uint32]time.Time, len(uids))
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		for _, r := range spans {
			rows, err := tx.Query(`SELECT uid, saved FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`, mailbox, r.first, r.last)
			if err != nil {
				return err
			}
			for rows.Next() {
				var uid uint32
				var saved int64
				if err := rows.Scan(&uid, &saved); err != nil {
					return err
				}
				out[uid] = time.Unix(saved, 0).UTC()
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("saved dates: %w", err)
	}
	return out, nil
}
