package importer

import (
	"context"
	"errors"
	"fmt"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// start commits the batch beside.
func (r *run) start() {
	c := commit{r: r, batch: r.batch}
	r.batch, r.bytes = nil, 0
	r.pending = make(chan Result, 1)
	go func() {
		r.err = c.run()
		for _, a := range c.batch {
			a.in.Close()
		}
		r.pending <- c.result
	}()
}

// wait ends when nothing is being committed.
func (r *run) wait() error {
	if r.pending == nil {
		return nil
	}
	done := <-r.pending
	r.pending = nil
	r.result.Imported += done.Imported
	r.result.Present += done.Present
	r.result.Bytes += done.Bytes
	if r.o.Progress != nil {
		r.o.Progress(r.result)
	}
	return r.err
}

// drop lets go of what was read and not kept.
func (r *run) drop() {
	for _, a := range r.batch {
		a.in.Close()
	}
}

// commit keeps one batch.
type commit struct {
	r      *run
	batch  []arrived
	result Result
}

func (c *commit) run() error {
	if err := c.passOver(); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	for _, a := range c.batch {
		if err := a.in.Draft.Settle(c.r.ctx, c.r.account); err != nil {
			return fmt.Errorf("import %s: %w", a.origin, err)
		}
	}
	err := c.keep(c.batch)
	if errors.Is(err, mailbox.ErrOverQuota) && len(c.batch) > 1 { // as many as fit
		for i := range c.batch {
			if err = c.keep(c.batch[i : i+1]); err != nil {
				return fmt.Errorf("import %s: %w", c.batch[i].origin, err)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return nil
}

// passOver takes out of the batch what was imported before, so that no file is
// made for it.
func (c *commit) passOver() error {
	if c.r.o.Again || len(c.batch) == 0 {
		return nil
	}
	var left []arrived
	err := c.r.DB.View(c.r.ctx, func(tx *sqlite.Tx) error {
		left = nil
		for _, a := range c.batch {
			var n int
			err := tx.QueryRow(`SELECT count(*) FROM import_done WHERE account = ? AND key = ?`, c.r.account, a.key[:]).Scan(&n)
			if err != nil {
				return err
			}
			if n == 0 {
				left = append(left, a)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.result.Present += int64(len(c.batch) - len(left))
	kept := map[*mailbox.Incoming]bool{}
	for _, a := range left {
		kept[a.in] = true
	}
	for _, a := range c.batch {
		if !kept[a.in] {
			a.in.Close()
		}
	}
	c.batch = left
	return nil
}

// keep commits messages together with their keys.
func (c *commit) keep(all []arrived) error {
	if len(all) == 0 {
		return nil
	}
	// Who gives up waiting must not close drafts that the writer may be reading.
	err := c.r.DB.Update(context.WithoutCancel(c.r.ctx), func(tx *sqlite.Tx) error {
		for _, a := range all {
			if _, err := tx.Exec(`INSERT OR IGNORE INTO import_done (account, key) VALUES (?, ?)`, c.r.account, a.key[:]); err != nil {
				return err
			}
			id, err := a.in.Draft.Commit(tx)
			if err != nil {
				return err
			}
			p := a.place
			p.Body = id
			if _, err := c.r.Mail.Append(tx, a.in, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.result.Imported += int64(len(all))
	for _, a := range all {
		c.result.Bytes += a.in.Draft.Size()
	}
	return nil
}
