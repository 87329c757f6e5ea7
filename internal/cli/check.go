package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
)

type checkCommand struct {
	Quick   bool `help:"Compare names and sizes only; do not read the messages."`
	Repair  bool `help:"Count counters anew where they are wrong."`
	Rebuild bool `help:"Bring database and message files together again, from the newest snapshot if the database is damaged. The server must be stopped."`
}

func (checkCommand) Help() string {
	return `Compares the database with itself and with every message's bytes. Exit status 1
when something is wrong. Nothing is ever deleted: files that no message stands
behind come back with --rebuild into the mailbox Recovered.

Examples:
  mailstead check
  mailstead check --rebuild`
}

// checked is what check prints with --json.
type checked struct {
	Findings []string `json:"findings"`
	Notes    []string `json:"notes"`
}

func (c *checkCommand) Run(p *program) error {
	result := checked{Findings: []string{}, Notes: []string{}}
	if c.Rebuild {
		notes, err := p.restore()
		if err != nil {
			return err
		}
		result.Notes = append(result.Notes, notes...)
	}
	caller, err := p.ask()
	if err != nil {
		return err
	}
	bar := newProgress(p)
	lines := &lineWriter{take: func(line []byte) error {
		var l control.CheckLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		switch {
		case l.At != nil:
			bar.show("Checking "+l.At.What, l.At.Done, l.At.Total)
		case l.Finding != "":
			result.Findings = append(result.Findings, l.Finding)
		case l.Note != "":
			result.Notes = append(result.Notes, l.Note)
		}
		return nil
	}}
	err = caller.Stream(p.ctx, "check", control.CheckQuery{Quick: c.Quick, Repair: c.Repair, Rebuild: c.Rebuild}, nil, lines)
	bar.end()
	if err != nil {
		return err
	}
	err = p.show(result, func(w io.Writer) { result.print(p, w) })
	if err == nil && len(result.Findings) > 0 {
		return errFindings
	}
	return err
}

func (r checked) print(p *program, w io.Writer) {
	for _, n := range r.Notes {
		fmt.Fprintf(w, "%s %s\n", p.paint(dim, "note:"), clean(n))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s %s\n", p.paint(red, "found:"), clean(f))
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, p.paint(green, "Everything is in order."))
		return
	}
	fmt.Fprintf(w, "%s wrong. `mailstead check --repair` puts counters right; for the rest stop the server and see `mailstead check --rebuild`.\n",
		plural(len(r.Findings), "thing is", "things are"))
}

// restore sets the database up again from a snapshot when it is damaged or gone.
// The notes say so; there are none when it was good.
func (p *program) restore() (notes []string, err error) {
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	client, err := control.Dial(p.ctx, cfg.Data)
	if err == nil {
		client.Close()
		return nil, hinted{errors.New("the server is running"), "stop the server first: mailboxes are put together anew"}
	}
	if !errors.Is(err, control.ErrNoServer) {
		return nil, err
	}
	damage, err := p.damage(cfg)
	if err != nil || damage == "" {
		return nil, err
	}
	// The start after this sees that database and files are not of one epoch,
	// renews every UIDVALIDITY and sweeps nothing.
	if err := blob.RenewEpoch(filepath.Join(cfg.Data, "messages")); err != nil {
		return nil, err
	}
	r, err := backup.Revert(p.ctx, filepath.Join(cfg.Data, "mailstead.db"), filepath.Join(cfg.Data, "snapshots"))
	if errors.Is(err, backup.ErrNone) {
		return nil, hinted{fmt.Errorf("%s, and there is no readable snapshot: %w", damage, err),
			"where there is a backup: `mailstead restore BACKUP --to DIR`; without one move " + cfg.Data + " aside, add domains and accounts anew, and " +
				"take the mail in: `mailstead import ADDRESS OLD/messages/NUMBER --mailbox " + mailbox.RecoveredName + "`, each numbered folder being one account's"}
	}
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%s; it was set up again from the snapshot of %s", damage, r.Snapshot.Time.Local().Format(dateTime))
	if r.Aside != "" {
		note += "; the damaged one is kept as " + filepath.Base(r.Aside)
	}
	ops, end, err := offline(p.ctx, cfg)
	if err != nil {
		return nil, err
	}
	return append([]string{note}, ops.Rebuilt...), end()
}

// damage says what is wrong with the database, "" when it is good.
func (p *program) damage(cfg config.Config) (string, error) {
	if _, err := os.Stat(filepath.Join(cfg.Data, "mailstead.db")); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(cfg.Data, "messages")); err != nil {
			return "", fmt.Errorf("there is no mail server's data in %s", cfg.Data)
		}
		return "the database is missing", nil
	}
	ops, end, err := offline(p.ctx, cfg)
	var locked *app.LockedError
	switch {
	case errors.As(err, &locked), errors.Is(err, os.ErrPermission), errors.Is(err, sqlite.ErrNewerSchema), p.ctx.Err() != nil:
		return "", err
	case err != nil:
		return fmt.Sprintf("the database cannot be opened (%v)", err), nil
	}
	faults, err := ops.Integrity(p.ctx)
	if e := end(); err == nil && len(faults) == 0 {
		return "", e
	}
	if p.ctx.Err() != nil {
		return "", p.ctx.Err()
	}
	if err != nil {
		return fmt.Sprintf("the database cannot be read (%v)", err), nil
	}
	return "the database is damaged", nil
}

// progress shows how far long work is, on a terminal only.
type progress struct {
	p    *program
	on   bool
	unit func(int64) string // of what is counted; nil: plain numbers
	last time.Time
	wide int
}

func newProgress(p *program) *progress { return &progress{p: p, on: isTerminal(p.err)} }

const barWidth = 30

// show draws the bar anew, at most ten times a second.
func (b *progress) show(what string, done, total int64) {
	if !b.on || done != total && time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	line := clean(what)
	if total > 0 {
		filled := int(barWidth * min(done, total) / total)
		line += fmt.Sprintf(" [%s%s] %s of %s", strings.Repeat("█", filled), strings.Repeat("·", barWidth-filled), b.text(done), b.text(total))
	}
	n := len([]rune(line))
	fmt.Fprintf(b.p.err, "\r%s%s", line, strings.Repeat(" ", max(0, b.wide-n)))
	b.wide = n
}

func (b *progress) text(n int64) string {
	if b.unit != nil {
		return b.unit(n)
	}
	return fmt.Sprint(n)
}

// end wipes the bar away.
func (b *progress) end() {
	if b.on && b.wide > 0 {
		fmt.Fprintf(b.p.err, "\r%s\r", strings.Repeat(" ", b.wide))
	}
	b.wide = 0
}

// lineWriter hands over whole lines.
type lineWriter struct {
	take func(line []byte) error
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		advance, line, err := bufio.ScanLines(w.rest, false)
		if err != nil || advance == 0 {
			return len(b), err
		}
		if err := w.take(bytes.TrimSpace(line)); err != nil {
			return 0, err
		}
		w.rest = w.rest[advance:]
	}
}
