package mailbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// SortKeys is what SORT and THREAD (RFC 5256) compare, and what a list of
// messages shows without their bytes.
type SortKeys struct {
	Email       int64
	Thread      int64
	Size        int64
	Received    time.Time
	Date        time.Time // zero when the message has none; SORT then takes Received
	BaseSubject string
	From        string
	To          string
	Cc          string
	FromName    string
	Attachments bool
}

var errSortKeys = errors.New("damaged sort keys")

// appendSort writes the keys that come from the message: a byte of booleans,
// the date as varint, then each string with its length.
func appendSort(dst []byte, s *message.Summary) []byte {
	var bits byte
	if s.Attachments {
		bits |= 1
	}
	dst = append(dst, bits)
	dst = binary.AppendVarint(dst, s.Date)
	for _, v := range [...]string{s.BaseSubject, s.From, s.To, s.Cc, s.FromName} {
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		dst = append(dst, v...)
	}
	return dst
}

func parseSort(b []byte, k *SortKeys) error {
	if len(b) == 0 {
		return errSortKeys
	}
	k.Attachments = b[0]&1 != 0
	date, n := binary.Varint(b[1:])
	if n <= 0 {
		return errSortKeys
	}
	if date != 0 {
		k.Date = time.Unix(date, 0).UTC()
	}
	all := string(b[1+n:]) // one allocation for all strings
	for _, v := range [...]*string{&k.BaseSubject, &k.From, &k.To, &k.Cc, &k.FromName} {
		size, n := uvarint(all)
		if n <= 0 || uint64(len(all)-n) < size {
			return errSortKeys
		}
		*v, all = all[n:n+int(size)], all[n+int(size):]
	}
	return nil
}

// uvarint is binary.Uvarint for a string.
func uvarint(s string) (v uint64, n int) {
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		v |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// SortKeys loads the keys of emails by id; order is that of ids, missing ones
// are left out. k is reused between calls of fn.
func (s *Store) SortKeys(ctx context.Context, ids []int64, fn func(k *SortKeys) error) error {
	q := loader[SortKeys]{
		columns: `id, thread, size, received, sort`,
		scan: func(rows *sqlite.Rows, k *SortKeys) error {
			var received int64
			var sort []byte
			if err := rows.Scan(&k.Email, &k.Thread, &k.Size, &received, &sort); err != nil {
				return err
			}
			k.Received = time.Unix(received, 0).UTC()
			return parseSort(sort, k)
		},
		id: func(k *SortKeys) int64 { return k.Email },
	}
	if err := q.load(ctx, s.db, ids, fn); err != nil {
		return fmt.Errorf("load sort keys: %w", err)
	}
	return nil
}
