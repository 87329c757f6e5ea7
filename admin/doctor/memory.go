package doctor

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
	"mailstead/internal/sqlite"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the tables of this room.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Memory keeps mutes, the last findings, and the free space of each day.
type Memory struct{ DB *sqlite.DB }

// Mute is what somebody does not want to hear of any more.
type Mute struct {
	ID      string    `json:"id"`
	Subject string    `json:"subject,omitempty"` // "" is every subject
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
}

// ErrNotMuted: there is no such mute.
var ErrNotMuted = errors.New("is not muted")

// Mute silences a finding, of one subject or of all; the reason is shown with it.
func (m *Memory) Mute(ctx context.Context, id, subject, reason string, now time.Time) error {
	return m.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO doctor_mute (id, subject, reason, since) VALUES (?, ?, ?, ?)
			ON CONFLICT (id, subject) DO UPDATE SET reason = excluded.reason, since = excluded.since`, id, subject, reason, now.Unix())
		return err
	})
}

// Mute is Memory's, now.
func (d *Doctor) Mute(ctx context.Context, id, subject, reason string) error {
	if d.Memory == nil {
		return errors.New("nothing can be kept before the server is set up")
	}
	return d.Memory.Mute(ctx, id, subject, reason, d.now())
}

// Unmute is Memory's. Errors: ErrNotMuted.
func (d *Doctor) Unmute(ctx context.Context, id, subject string) error {
	if d.Memory == nil {
		return fmt.Errorf("%s %w", id, ErrNotMuted)
	}
	return d.Memory.Unmute(ctx, id, subject)
}

// Unmute ends it. Errors: ErrNotMuted.
func (m *Memory) Unmute(ctx context.Context, id, subject string) error {
	return m.DB.Update(ctx, func(tx *sqlite.Tx) error {
		r, err := tx.Exec(`DELETE FROM doctor_mute WHERE id = ?1 AND (?2 = '' OR subject = ?2)`, id, subject)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return fmt.Errorf("%s %w", id, ErrNotMuted)
	})
}

// Last gives what the last night found, without looking. The zero time: there was
// no night yet.
func (d *Doctor) Last(ctx context.Context) ([]check.Finding, time.Time, error) {
	if d.Memory == nil {
		return nil, time.Time{}, nil
	}
	return d.Memory.Last(ctx)
}

// Mark writes into findings which of them are muted now, and why.
func (d *Doctor) Mark(ctx context.Context, found []check.Finding) {
	if d.Memory == nil {
		return
	}
	for i := range found {
		found[i].Muted = ""
	}
	d.Memory.markMuted(ctx, found)
}

// Mutes lists them.
func (m *Memory) Mutes(ctx context.Context) ([]Mute, error) {
	var all []Mute
	err := m.DB.View(ctx, func(tx *sqlite.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT id, subject, reason, since FROM doctor_mute ORDER BY id, subject`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var one Mute
			var since int64
			if err := rows.Scan(&one.ID, &one.Subject, &one.Reason, &since); err != nil {
				return err
			}
			one.Since = time.Unix(since, 0)
			all = append(all, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read what is muted: %w", err)
	}
	return all, nil
}

// markMuted writes the reasons into findings. What is well is not muted: when
// the trouble comes back for another reason the mute still stands.
func (m *Memory) markMuted(ctx context.Context, found []check.Finding) {
	mutes, err := m.Mutes(ctx)
	if err != nil {
		return // rather too much is said than too little
	}
	for i := range found {
		f := &found[i]
		for _, one := range mutes {
			if f.Severity != check.OK && (f.ID == one.ID || strings.HasPrefix(f.ID, one.ID+".")) && (one.Subject == "" || one.Subject == f.Subject) {
				f.Muted = one.Reason
			}
		}
	}
}

// Last gives the findings that Remember kept, by ID and subject, and when they
// were found; the zero time when nothing was ever kept.
func (m *Memory) Last(ctx context.Context) (all []check.Finding, found time.Time, err error) {
	err = m.DB.View(ctx, func(tx *sqlite.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT finding, found FROM doctor_finding ORDER BY id, subject`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			var f check.Finding
			var seconds int64
			if err := rows.Scan(&text, &seconds); err != nil {
				return err
			}
			found = time.Unix(seconds, 0)
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				return err
			}
			all = append(all, f)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the last findings: %w", err)
	}
	return all, found, nil
}

// Remember keeps the findings of a whole run in place of the last.
func (m *Memory) Remember(ctx context.Context, found []check.Finding, now time.Time) error {
	texts := make([]string, len(found))
	for i, f := range found {
		b, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("keep the findings: %w", err)
		}
		texts[i] = string(b)
	}
	err := m.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`DELETE FROM doctor_finding`); err != nil {
			return err
		}
		for i, f := range found {
			if _, err := tx.Exec(`INSERT INTO doctor_finding (id, subject, finding, found) VALUES (?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, f.ID, f.Subject, texts[i], now.Unix()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep the findings: %w", err)
	}
	return nil
}

// DiskDay is the free space of a day.
type DiskDay struct {
	Day  int64 // since 1970
	Free int64
}

// Disk gives the days since a time, the oldest first.
func (m *Memory) Disk(ctx context.Context, since time.Time) ([]DiskDay, error) {
	var all []DiskDay
	err := m.DB.View(ctx, func(tx *sqlite.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT day, free FROM doctor_disk WHERE day >= ? ORDER BY day`, since.Unix()/86400)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var one DiskDay
			if err := rows.Scan(&one.Day, &one.Free); err != nil {
				return err
			}
			all = append(all, one)
		}
		return rows.Err()
	})
	return all, err
}

// NoteDisk keeps the free space of today, and forgets what is older than a year.
func (m *Memory) NoteDisk(ctx context.Context, now time.Time, free uint64) error {
	return m.DB.Update(ctx, func(tx *sqlite.Tx) error {
		today := now.Unix() / 86400
		if _, err := tx.Exec(`INSERT INTO doctor_disk (day, free) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET free = excluded.free`, today, int64(free)); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM doctor_disk WHERE day < ?`, today-366)
		return err
	})
}

// middle is the median, 0 of nothing.
func middle(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
