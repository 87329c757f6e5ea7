package trace

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
)

// Query is a question. Text is our id of a message, a Message-ID with or
// without brackets, an address, or the number of a queue item.
type Query struct {
	Text  string
	Since time.Time
	Limit int // messages and single events at most, the newest; 0 means 100
}

const selects = "SELECT time, kind, mid, qid, message_id, reverse_path, rcpt, rest FROM "

// Find gives the events that match and all others of the same messages, in the
// order of time.
func (s *Store) Find(ctx context.Context, q Query) ([]maillog.Event, error) {
	q.Text = strings.Trim(strings.TrimSpace(q.Text), "<>")
	if q.Limit == 0 {
		q.Limit = 100
	}
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	var found []maillog.Event
	for _, t := range s.tables() {
		events, err := t.match(ctx, q)
		if err != nil {
			return nil, err
		}
		found = append(found, events...)
	}
	mids := make(map[string]bool)
	var events []maillog.Event
	slices.SortStableFunc(found, byTime)
	taken := 0
	for _, e := range slices.Backward(found) {
		if e.MID != "" && mids[e.MID] {
			continue
		}
		if taken++; taken > q.Limit {
			break
		}
		if e.MID == "" {
			events = append(events, e)
		} else {
			mids[e.MID] = true
		}
	}
	for _, t := range s.tables() {
		more, err := t.messages(ctx, mids)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	slices.SortStableFunc(events, byTime)
	return events, nil
}

// LastReceived tells when the newest message came from one of these addresses;
// zero when none of the newest few hundred did.
func (s *Store) LastReceived(ctx context.Context, from func(netip.Addr) bool) (time.Time, error) {
	events, err := table{s.main, "trace_kept"}.query(ctx, "WHERE kind = ? ORDER BY id DESC LIMIT 300", maillog.Received)
	for _, e := range events {
		if from(e.Remote) {
			return e.Time, err
		}
	}
	return time.Time{}, err
}

func byTime(a, b maillog.Event) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) }

// Messages splits events by message, in the order of their first events.
// Events of no message stand alone.
func Messages(events []maillog.Event) [][]maillog.Event {
	var all [][]maillog.Event
	at := make(map[string]int)
	for _, e := range events {
		i, ok := at[e.MID]
		if !ok || e.MID == "" {
			i = len(all)
			at[e.MID] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], e)
	}
	return all
}

// table is one of the two.
type table struct {
	db   *sqlite.DB
	name string
}

func (s *Store) tables() []table { return []table{{s.main, "trace_kept"}, {s.own, "event"}} }

// match reads a table from its newest row back. It looks at every row of the
// time asked for: some 400,000 a second.
func (t table) match(ctx context.Context, q Query) ([]maillog.Event, error) {
	qid, err := strconv.ParseInt(q.Text, 10, 64)
	if err != nil {
		qid = -1
	}
	since := int64(0)
	if !q.Since.IsZero() {
		since = q.Since.UnixMicro()
	}
	return t.query(ctx, `
		WHERE time >= ? AND (mid = ? OR qid = ? OR message_id = ?
			OR rcpt = ? COLLATE NOCASE OR reverse_path = ? COLLATE NOCASE)
		ORDER BY id DESC LIMIT ?`,
		since, q.Text, qid, q.Text, q.Text, q.Text, q.Limit*20)
}

// messages reads all events of the messages.
func (t table) messages(ctx context.Context, mids map[string]bool) ([]maillog.Event, error) {
	var events []maillog.Event
	all := make([]any, 0, len(mids))
	for mid := range mids {
		all = append(all, mid)
	}
	for some := range slices.Chunk(all, 100) {
		more, err := t.query(ctx, "WHERE mid IN (?"+strings.Repeat(", ?", len(some)-1)+") ORDER BY id", some...)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	return events, nil
}

func (t table) query(ctx context.Context, where string, args ...any) ([]maillog.Event, error) {
	var events []maillog.Event
	err := t.db.View(ctx, func(tx *sqlite.Tx) error {
		events = nil
		rows, err := tx.Query(selects+t.name+" "+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scan(rows)
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read the trace in %s: %w", t.name, err)
	}
	return events, nil
}
