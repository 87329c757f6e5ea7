package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
)

// CheckQuery is what the stream check takes.
type CheckQuery struct {
	Quick   bool `json:"quick,omitempty"`   // do not read the messages' bytes
	Repair  bool `json:"repair,omitempty"`  // count counters anew
	Rebuild bool `json:"rebuild,omitempty"` // bring index and files together; no server may run
}

// CheckLine is one line that it writes: exactly one of its fields is set.
type CheckLine struct {
	Finding string         `json:"finding,omitempty"` // something is wrong
	Note    string         `json:"note,omitempty"`    // something was done, or is worth knowing
	At      *CheckProgress `json:"at,omitempty"`
}

// CheckProgress says how far it is.
type CheckProgress struct {
	What  string `json:"what"`
	Done  int64  `json:"done,omitempty"`
	Total int64  `json:"total,omitempty"`
}

// checker writes lines and remembers that writing them went wrong.
type checker struct {
	*Ops
	ctx context.Context
	in  CheckQuery
	out *json.Encoder
	err error
}

func (o *Ops) check(ctx context.Context, in CheckQuery, _ io.Reader, w io.Writer) error {
	c := &checker{Ops: o, ctx: ctx, in: in, out: json.NewEncoder(w)}
	if in.Rebuild && !o.Started.IsZero() {
		return invalid("stop the server first: mailboxes are put together anew", "the server is running")
	}
	for _, step := range []struct {
		what string
		run  func() error
	}{
		{"rebuilding", c.rebuild},
		{"the database", c.integrity},
		{"mailboxes", c.mail},
		{"the queue", c.queue},
		{"messages", c.files},
		{"files without a message", c.unknown},
	} {
		c.line(CheckLine{At: &CheckProgress{What: step.what}})
		if err := step.run(); err != nil {
			return err
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

func (c *checker) line(l CheckLine) {
	if c.err == nil {
		c.err = c.out.Encode(l)
	}
}

func (c *checker) finding(text string) { c.line(CheckLine{Finding: text}) }
func (c *checker) note(text string)    { c.line(CheckLine{Note: text}) }

func (c *checker) rebuild() error {
	if !c.in.Rebuild {
		return nil
	}
	n, err := c.Mail.Rebuild(c.ctx, func(f mailbox.Finding) { c.note(f.Text) })
	if n > 0 {
		c.note(fmt.Sprintf("%d messages came back into the mailboxes %s", n, mailbox.RecoveredName))
	}
	return err
}

func (c *checker) integrity() error {
	faults, err := c.Integrity(c.ctx)
	for _, f := range faults {
		c.finding("the database is damaged: " + f)
	}
	return err
}

// Integrity asks SQLite itself whether the database is whole.
func (o *Ops) Integrity(ctx context.Context) (faults []string, err error) {
	err = o.DB.View(ctx, func(tx *sqlite.Tx) error {
		faults = nil
		rows, err := tx.Query(`SELECT quick_check FROM pragma_quick_check WHERE quick_check <> 'ok'`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f string
			if err := rows.Scan(&f); err != nil {
				return err
			}
			faults = append(faults, f)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("check the database: %w", err)
	}
	return faults, nil
}

// mail checks the index. What only counts wrong can be put right at once.
func (c *checker) mail() error {
	wrong := false
	err := c.Mail.Check(c.ctx, func(f mailbox.Finding) {
		if c.in.Repair && f.Counter {
			wrong = true
			c.note("put right: " + f.Text)
			return
		}
		c.finding(f.Text)
	})
	if err == nil && wrong {
		err = c.Mail.Repair(c.ctx)
	}
	return err
}

func (c *checker) queue() error {
	return c.Queue.Check(c.ctx, func(_ int64, text string) { c.finding(text) })
}

func (c *checker) files() error {
	o := blob.CheckOptions{Quick: c.in.Quick, Progress: func(done, total int64) {
		c.line(CheckLine{At: &CheckProgress{"messages", done, total}})
	}}
	return c.Blobs.Check(c.ctx, o, func(f blob.Fault) { c.finding(f.Text) })
}

// unknown tells of files that no message stands behind: what a power cut left of
// mail that was never accepted, or, after a restore, mail that came since.
func (c *checker) unknown() error {
	files, err := c.Blobs.Unknown(c.ctx)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		c.note(fmt.Sprintf("%d message files are not known to the database; `mailstead check --rebuild` puts them into the mailbox %s",
			len(files), mailbox.RecoveredName))
	}
	lost, err := c.Blobs.Lost()
	for _, path := range lost {
		c.note(path + " was found without a message that it belongs to; it is kept for 30 days")
	}
	return err
}
