package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
)

type upgradeCommand struct {
	Back bool `help:"Go back to the database of before the last upgrade. The server must be stopped."`
	Yes  bool `help:"Go back even though accounts that were made since would be gone."`
}

func (upgradeCommand) Help() string {
	return `A new version changes the database by itself when it first opens it, after it has
taken a copy (snapshots/before-*.db in the data directory). Without --back this
says which copies there are.

With --back the newest such copy becomes the database again. No message is lost:
what was received since comes into the mailbox Recovered of each account, what
waits in the queue goes on waiting. Flags, passwords and settings are those of
then. Run it with either version, then start the older one.

Example:
  mailstead upgrade --back`
}

// upgraded is what upgrade --back prints with --json.
type upgraded struct {
	backup.WentBack
	Notes []string `json:"notes,omitempty"`
}

func (c *upgradeCommand) Run(p *program) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	known, err := sqlite.Last(app.Migrations())
	if err != nil {
		return err
	}
	if !c.Back {
		return upgradeState(p, cfg, known)
	}
	client, err := control.Dial(p.ctx, cfg.Data)
	if err == nil {
		client.Close()
		return hinted{errors.New("the server is running"), "stop the server first: its database is put back"}
	}
	if !errors.Is(err, control.ErrNoServer) {
		return err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "messages")); err != nil {
		return fmt.Errorf("there is no mail server's data in %s", cfg.Data)
	}
	release, err := app.Lock(cfg.Data)
	if err != nil {
		return explainOpen(err, cfg)
	}
	w, err := backup.Back(p.ctx, backup.BackOptions{Data: cfg.Data, Known: known, Yes: c.Yes})
	if err = errors.Join(err, app.HandOver(cfg.Data), release()); err != nil {
		return err
	}
	out := upgraded{WentBack: w}
	if w.Schema == known { // this is the older program: the new epoch begins here and now
		ops, end, err := offlineAt(p.ctx, cfg, slog.LevelError)
		if err != nil {
			return err
		}
		out.Notes = ops.Rebuilt
		if err := end(); err != nil {
			return err
		}
	} else {
		out.Notes = append(out.Notes, "start the version that wrote this database next; this one would upgrade it again",
			"messages received since come into the mailboxes Recovered at that start")
	}
	return p.show(out, func(wr io.Writer) {
		for _, text := range out.Notes {
			fmt.Fprintf(wr, "%s %s\n", p.paint(dim, "note:"), clean(text))
		}
		fmt.Fprintf(wr, "The database is that of before the upgrade again (schema %d). The newer one is kept as %s.\n", w.Schema, clean(w.Aside))
	})
}

// upgradeState lists what one could go back to.
func upgradeState(p *program, cfg config.Config, known int64) error {
	all, err := backup.Before(filepath.Join(cfg.Data, "snapshots"))
	if err != nil {
		return err
	}
	out := struct {
		Known  int64             `json:"known"` // the schema of this program
		Before []backup.Snapshot `json:"before"`
	}{known, append([]backup.Snapshot{}, all...)}
	return p.show(out, func(w io.Writer) {
		fmt.Fprintf(w, "This version knows schema %d and brings an older database to it when it opens it.\n", known)
		for _, s := range all {
			fmt.Fprintf(w, "A copy of before an upgrade: %s, %s\n", s.Time.Local().Format(dateTime), clean(filepath.Base(s.Path)))
		}
		if len(all) == 0 {
			fmt.Fprintln(w, "There is no copy from before an upgrade: this data directory has had none.")
		}
	})
}
