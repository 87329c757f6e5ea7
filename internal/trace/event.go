package trace

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
)

// maxText bounds each text of an event.
const maxText = 1000

// rest is the fields of an event that are not columns.
type rest struct {
	CID     string     `json:"cid,omitempty"`
	Account int64      `json:"account,omitempty"`
	Mailbox string     `json:"mailbox,omitempty"`
	UID     uint32     `json:"uid,omitempty"`
	Remote  netip.Addr `json:"remote,omitzero"`
	Host    string     `json:"host,omitempty"`
	Reply   string     `json:"reply,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Size    int64      `json:"size,omitempty"`
	Dur     int64      `json:"dur,omitempty"`  // nanoseconds
	Next    int64      `json:"next,omitempty"` // unix milliseconds
	Err     string     `json:"err,omitempty"`
}

// Add writes an event of an accepted message in the commit that makes it true.
// Record it afterwards with Kept set, for the other sinks.
func Add(tx *sqlite.Tx, e maillog.Event) error { return insert(tx, insertKept, &e) }

const (
	columns     = ` (time, kind, mid, qid, message_id, reverse_path, rcpt, rest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	insertKept  = `INSERT INTO trace_kept` + columns
	insertEvent = `INSERT INTO event` + columns
)

func insert(tx *sqlite.Tx, statement string, e *maillog.Event) error {
	at := e.Time
	if at.IsZero() {
		at = time.Now()
	}
	r := rest{
		CID: e.CID, Account: e.Account, Mailbox: e.Mailbox, UID: e.UID, Remote: e.Remote, Host: clean(e.Host),
		Reply: clean(e.Reply), Reason: clean(e.Reason), Size: e.Size, Dur: int64(e.Dur), Err: clean(e.Err),
	}
	if !e.Next.IsZero() {
		r.Next = e.Next.UnixMilli()
	}
	more, err := json.Marshal(&r)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	var qid any
	if e.QID != 0 {
		qid = e.QID
	}
	_, err = tx.Exec(statement, at.UnixMicro(), e.Kind, text(e.MID), qid, text(e.MessageID),
		text(e.ReversePath), text(e.Rcpt), string(more))
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}

func clean(s string) string { return maillog.Clean(s, maxText) }

// text is NULL for "", which takes one byte of a row.
func text(s string) any {
	if s == "" {
		return nil
	}
	return clean(s)
}

// scan reads a row of "time, kind, mid, qid, message_id, reverse_path, rcpt, rest".
func scan(rows *sqlite.Rows) (maillog.Event, error) {
	var e maillog.Event
	var at int64
	var qid sql.NullInt64
	var mid, messageID, reverse, rcpt, more sql.NullString
	if err := rows.Scan(&at, &e.Kind, &mid, &qid, &messageID, &reverse, &rcpt, &more); err != nil {
		return e, err
	}
	e.Time, e.QID = time.UnixMicro(at), qid.Int64
	e.MID, e.MessageID, e.ReversePath, e.Rcpt = mid.String, messageID.String, reverse.String, rcpt.String
	var r rest
	if more.String != "" {
		if err := json.Unmarshal([]byte(more.String), &r); err != nil {
			return e, fmt.Errorf("decode an event: %w", err)
		}
	}
	e.CID, e.Account, e.Mailbox, e.UID, e.Remote = r.CID, r.Account, r.Mailbox, r.UID, r.Remote
	e.Host, e.Reply, e.Reason, e.Err = r.Host, r.Reply, r.Reason, r.Err
	e.Size, e.Dur = r.Size, time.Duration(r.Dur)
	if r.Next != 0 {
		e.Next = time.UnixMilli(r.Next)
	}
	return e, nil
}
