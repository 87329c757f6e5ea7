package publish

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// step is one request to the provider, with what it replaces.
type step struct {
	seq           int
	removes, adds []Record
	beside        []Record // what stood with them and stays
	state         string
}

// States of changes and steps; the package comment has the table of the steps.
const (
	waiting  = "waiting"
	begun    = "begun"
	applying = "applying"
	done     = "done"
	undoing  = "undoing"
	undone   = "undone"
)

// owned lists what we published for a domain.
func (p *Publisher) owned(ctx context.Context, domain message.Domain) (all []Record, err error) {
	err = p.DB.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(`SELECT name, type, data, base FROM publish_owned WHERE domain = ? ORDER BY name, type, data`, string(domain))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := Record{Ours: true}
			if err := rows.Scan(&r.Name, &r.Type, &r.Data, &r.Base); err != nil {
				return err
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read what we published for %s: %w", domain, err)
	}
	return all, nil
}

// own and disown write down whose the records are. Records of removes that were
// foreign are none of ours when they come back.
func own(tx *sqlite.Tx, domain message.Domain, records []Record) error {
	for _, r := range records {
		if !r.Ours {
			continue
		}
		if _, err := tx.Exec(`INSERT INTO publish_owned (domain, name, type, data, base) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (domain, name, type, data) DO UPDATE SET base = excluded.base`, string(domain), r.Name, r.Type, r.Data, r.Base); err != nil {
			return err
		}
	}
	return nil
}

func disown(tx *sqlite.Tx, domain message.Domain, records []Record) error {
	for _, r := range records {
		if _, err := tx.Exec(`DELETE FROM publish_owned WHERE domain = ? AND name = ? AND type = ? AND data = ?`, string(domain), r.Name, r.Type, r.Data); err != nil {
			return err
		}
	}
	return nil
}

// begin writes a change down, or goes on with one that was left in the middle:
// one undo then takes back both parts of it.
func (p *Publisher) begin(ctx context.Context, d Diff, steps []step) (id int64, err error) {
	err = p.DB.Update(ctx, func(tx *sqlite.Tx) error {
		seq := 0
		err := tx.QueryRow(applyingChange, string(d.Domain), d.Zone, d.Provider, applying).Scan(&id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			id, err = tx.Insert(`INSERT INTO publish_change (domain, zone, provider, begun, state) VALUES (?, ?, ?, ?, ?)`,
				string(d.Domain), d.Zone, d.Provider, time.Now().Unix(), applying)
		case err == nil:
			// What waits was planned again, with what is there now.
			if _, err = tx.Exec(`DELETE FROM publish_step WHERE change = ? AND state = ?`, id, waiting); err == nil {
				err = tx.QueryRow(`SELECT COALESCE(MAX(seq), 0) FROM publish_step WHERE change = ?`, id).Scan(&seq)
			}
		}
		if err != nil {
			return err
		}
		for i := range steps {
			steps[i].seq = seq + i + 1
			text, err := steps[i].marshal()
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO publish_step (change, seq, removes, adds, beside, state) VALUES (?, ?, ?, ?, ?, ?)`,
				id, steps[i].seq, text[0], text[1], text[2], waiting); err != nil {
				return err
			}
		}
		return disown(tx, d.Domain, d.lost)
	})
	if err != nil {
		return 0, fmt.Errorf("write the change of %s down: %w", d.Domain, err)
	}
	return id, nil
}

func (s step) marshal() (text [3]string, err error) {
	for i, list := range [][]Record{s.removes, s.adds, s.beside} {
		b, err := json.Marshal(list)
		if err != nil {
			return text, err
		}
		text[i] = string(b)
	}
	return text, nil
}

func (s *step) unmarshal(text [3]string) error {
	for i, list := range []*[]Record{&s.removes, &s.adds, &s.beside} {
		if err := json.Unmarshal([]byte(text[i]), list); err != nil {
			return err
		}
	}
	return nil
}

// mark commits the state of a step, and with it whose the records are. It does
// so even when ctx has ended: what was asked of the provider has happened.
func (p *Publisher) mark(ctx context.Context, domain message.Domain, change int64, s step, state string) error {
	err := p.DB.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`UPDATE publish_step SET state = ? WHERE change = ? AND seq = ?`, state, change, s.seq); err != nil {
			return err
		}
		switch state {
		case begun: // before the request: what may be there from now on is ours
			return own(tx, domain, s.adds)
		case done:
			return disown(tx, domain, s.removes)
		case undone:
			if err := disown(tx, domain, s.adds); err != nil {
				return err
			}
			return own(tx, domain, s.removes)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write a step for %s down: %w", domain, err)
	}
	return nil
}

func (p *Publisher) markChange(ctx context.Context, id int64, state string) error {
	err := p.DB.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`UPDATE publish_change SET state = ? WHERE id = ?`, state, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("write a change down: %w", err)
	}
	return nil
}

// unfinished finds a change that was left in the middle; 0 for none.
func (p *Publisher) unfinished(ctx context.Context, d Diff) (id int64, err error) {
	err = p.DB.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow(applyingChange, string(d.Domain), d.Zone, d.Provider, applying).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("read the last change of %s: %w", d.Domain, err)
	}
	return id, err
}

const applyingChange = `SELECT id FROM publish_change WHERE domain = ? AND zone = ? AND provider = ? AND state = ? ORDER BY id DESC LIMIT 1`

// end says that all of a change is there now.
func (p *Publisher) end(ctx context.Context, d Diff, id int64) error {
	err := p.DB.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`DELETE FROM publish_step WHERE change = ? AND state = ?`, id, waiting); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE publish_step SET state = ? WHERE change = ? AND state = ?`, done, id, begun); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE publish_change SET state = ? WHERE id = ?`, done, id); err != nil {
			return err
		}
		return disown(tx, d.Domain, d.lost)
	})
	if err != nil {
		return fmt.Errorf("write the end of a change of %s down: %w", d.Domain, err)
	}
	return nil
}

// last is the domain's last change that was not taken back, with its steps from
// the last to the first.
func (p *Publisher) last(ctx context.Context, domain message.Domain) (id int64, d Diff, steps []step, err error) {
	d.Domain = domain
	err = p.DB.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow(`SELECT id, zone, provider FROM publish_change AS c WHERE domain = ? AND state <> ?
			AND EXISTS (SELECT 1 FROM publish_step WHERE change = c.id AND state IN (?, ?)) ORDER BY id DESC LIMIT 1`,
			string(domain), undone, begun, done).Scan(&id, &d.Zone, &d.Provider)
		if errors.Is(err, sql.ErrNoRows) {
			return &Error{Kind: ErrNothing, Text: fmt.Sprintf("nothing was published for %s that could be taken back", domain),
				Next: "`mailstead dns publish` shows what is there and what is wanted"}
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT seq, removes, adds, beside, state FROM publish_step WHERE change = ? AND state IN (?, ?) ORDER BY seq DESC`, id, begun, done)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s step
			var text [3]string
			if err := rows.Scan(&s.seq, &text[0], &text[1], &text[2], &s.state); err != nil {
				return err
			}
			if err := s.unmarshal(text); err != nil {
				return err
			}
			steps = append(steps, s)
		}
		return rows.Err()
	})
	var known *Error
	if err != nil && !errors.As(err, &known) {
		err = fmt.Errorf("read the last change of %s: %w", domain, err)
	}
	return id, d, steps, err
}
