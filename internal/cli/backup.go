package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/control"
	"mailstead/internal/machine"
)

type backupCommand struct {
	Make   backupMakeCommand   `cmd:"" default:"withargs" help:"Make a backup in a folder, or set what is made every night."`
	List   backupListCommand   `cmd:"" help:"The backups in a folder."`
	Verify backupVerifyCommand `cmd:"" help:"Rehearse: restore a backup into a scratch directory and compare everything."`
}

// ageKeys are the flags that say who may read a backup.
type ageKeys struct {
	AgeRecipient      []string `sep:"none" placeholder:"age1..." help:"Encrypt for this public key (age); may be repeated."`
	AgeIdentity       string   `placeholder:"FILE" help:"File with the secret key (age) that opens the backup."`
	AgePassphraseFile string   `placeholder:"FILE" help:"File whose first line is the passphrase of the backup."`
}

func (k ageKeys) read(p *program) (backup.Keys, error) {
	keys := backup.Keys{Recipients: k.AgeRecipient}
	if k.AgePassphraseFile != "" {
		if len(k.AgeRecipient) > 0 {
			return keys, usageError{errors.New("a backup is encrypted for recipients or with a passphrase, not both")}
		}
		text, err := firstLine(p, k.AgePassphraseFile)
		if err != nil {
			return keys, err
		}
		keys.Passphrase = text
	}
	if k.AgeIdentity != "" {
		var err error
		if keys.Identities, err = backup.ReadIdentities(k.AgeIdentity); err != nil {
			return keys, err
		}
	}
	return keys, nil
}

type backupMakeCommand struct {
	ageKeys
	Dir        string `arg:"" optional:"" help:"Folder of backups; it is made. Without one: how backups stand."`
	Keep       int    `help:"Keep only so many backups and remove older ones; 0 keeps all. Every night: 14 unless told otherwise." default:"-1"`
	EveryNight string `placeholder:"DIR" help:"Let the server make one in DIR every night; \"none\" ends it."`
}

func (backupMakeCommand) Help() string {
	return `Copies everything that is needed to set the server up again into a folder, best
on another disk: the database, every message, certificates, mailstead.toml. The
server goes on meanwhile. Files that are there from an earlier backup are not
copied again, so a backup that was broken off goes on, and a daily one is quick.

Examples:
  mailstead backup /mnt/disk/mail
  mailstead backup /mnt/disk/mail --age-recipient age1...
  mailstead backup --every-night /mnt/disk/mail --keep 14
  mailstead backup`
}

func (c *backupMakeCommand) Run(p *program) error {
	keys, err := c.read(p)
	if err != nil {
		return err
	}
	switch {
	case c.EveryNight != "" && c.Dir != "":
		return usageError{errors.New("name one folder: DIR for a backup now, --every-night DIR for the nights")}
	case c.EveryNight != "":
		return c.plan(p, keys)
	case c.Dir == "":
		return backupState(p)
	}
	return c.take(p, keys)
}

func (c *backupMakeCommand) take(p *program, keys backup.Keys) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	caller, err := p.ask()
	if err != nil {
		return err
	}
	cfg, err := p.config()
	if err == nil {
		err = outside(dir, cfg.Data)
	}
	if err != nil {
		return err
	}
	bar := newProgress(p)
	bar.unit = bytesText
	t, err := backup.Take(p.ctx, caller, backup.Options{
		Dir: dir, Keys: keys, Config: cfg.File, Keep: max(c.Keep, 0),
		Progress: func(at backup.Progress) { bar.show("backing up "+at.What, at.Done, at.Total) },
	})
	bar.end()
	if p.ctx.Err() != nil {
		err = goOn(errInterrupted, "run the same command again: it goes on where it stopped")
	}
	if err != nil {
		return err
	}
	err = p.show(t, func(w io.Writer) {
		for _, text := range t.Problems {
			fmt.Fprintf(w, "%s %s\n", p.paint(yellow, "not as it ought to be:"), clean(text))
		}
		fmt.Fprintf(w, "Backup %s is complete: %s, %s; %s not there before.\n", t.Name,
			plural(t.Messages, "message", "messages"), bytesText(t.Bytes), plural(t.New, "file was", "files were"))
		if len(t.Removed) > 0 {
			fmt.Fprintf(w, "%s removed.\n", plural(len(t.Removed), "older backup was", "older backups were"))
		}
		if machine.SameDisk(dir, cfg.Data) {
			fmt.Fprintf(w, "%s it is on the same disk as the data, and would be lost with it.\n", p.paint(yellow, "note:"))
		}
	})
	if err == nil && len(t.Problems) > 0 {
		return errFindings
	}
	return err
}

// outside refuses a folder of backups within what is backed up: what takes the
// one takes the other, and a restore needs an empty directory.
func outside(dir, data string) error {
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(data, dir); err == nil && filepath.IsLocal(rel) {
		return hinted{fmt.Errorf("%s lies in the data directory", dir), "name a folder elsewhere, best on another disk"}
	}
	return nil
}

// nightlyKeep is how many nights are kept unless told otherwise.
const nightlyKeep = 14

func (c *backupMakeCommand) plan(p *program, keys backup.Keys) error {
	caller, err := p.ask()
	if err != nil {
		return err
	}
	cfg, err := p.config()
	if err != nil {
		return err
	}
	plan := control.BackupPlan{Keep: c.Keep}
	if c.Keep < 0 {
		plan.Keep = nightlyKeep
	}
	if c.EveryNight != "none" {
		if plan.Dir, err = filepath.Abs(c.EveryNight); err == nil {
			err = outside(plan.Dir, cfg.Data)
		}
		if err != nil {
			return err
		}
	}
	if err := backup.Plan(p.ctx, caller, plan, keys, cfg.Data); err != nil {
		return err
	}
	if plan.Dir == "" {
		return p.say("No backup is made by night any more.")
	}
	note := ""
	if machine.SameDisk(plan.Dir, cfg.Data) {
		note = "\nnote: it is on the same disk as the data, and would be lost with it."
	}
	return p.say("The server makes a backup in %s every night.%s", clean(plan.Dir), note)
}

// backupState says how backups stand.
func backupState(p *program) error {
	caller, err := p.ask()
	if err != nil {
		return err
	}
	cfg, err := p.config()
	if err != nil {
		return err
	}
	s, err := backup.Status(p.ctx, caller, cfg.Data)
	if err != nil {
		return err
	}
	return p.show(s, func(w io.Writer) {
		var l list
		l.add("every night", "%s", or(s.Plan.Dir, "no; `mailstead backup --every-night DIR` sets it"))
		if s.Plan.Dir != "" {
			l.add("kept", "%d", s.Plan.Keep)
			l.add("encrypted", "%v", len(s.Plan.Recipients) > 0)
		}
		l.add("last complete one", "%s", ago(s.Good))
		if !s.Good.IsZero() {
			l.add("it is in", "%s", s.Dir)
		}
		if s.Problem != "" {
			l.add("the last one", "%s", s.Problem)
		}
		if s.Missing {
			l.add("found", "%s is not there, or no folder of backups: is its disk mounted?", s.Plan.Dir)
		}
		l.print(p, w)
	})
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

type backupListCommand struct {
	Dir string `arg:"" help:"Folder of backups."`
}

func (backupListCommand) Help() string {
	return `Example:
  mailstead backup list /mnt/disk/mail`
}

func (c *backupListCommand) Run(p *program) error {
	all, err := backup.Backups(c.Dir)
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		t := table{header: []string{"BACKUP", "MADE", "STATE"}}
		for _, b := range all {
			state := cell{"complete", green}
			if !b.Complete {
				state = cell{"broken off; the next one goes on from it", yellow}
			}
			t.add(b.Name, b.Time.Local().Format(dateTime), state)
		}
		t.print(p, w)
	})
}

type backupVerifyCommand struct {
	ageKeys
	Dir     string `arg:"" help:"Folder of backups."`
	From    string `placeholder:"BACKUP" help:"Which one (default: the newest complete one)."`
	Scratch string `placeholder:"FOLDER" help:"Where the scratch directory is made and removed (default: the folder for temporary files)."`
}

func (backupVerifyCommand) Help() string {
	return `Restores a backup into a scratch directory, as a real restore would, compares
every file with the hash that was noted when it was saved, and checks the restored
database against every message. Exit status 1 when something is wrong. Neither the
server nor the backup is touched.

Example:
  mailstead backup verify /mnt/disk/mail`
}

func (c *backupVerifyCommand) Run(p *program) error {
	keys, err := c.read(p)
	if err != nil {
		return err
	}
	return scratchDir(c.Scratch, func(to string) error {
		if err := backup.Room(c.Dir, c.From, keys, to); err != nil {
			return err
		}
		bar := newProgress(p)
		bar.unit = bytesText
		r, err := backup.Rehearse(p.ctx, backup.RestoreOptions{
			Dir: c.Dir, From: c.From, Keys: keys, To: to, Migrations: app.Migrations(),
			Progress: func(at backup.Progress) { bar.show("rehearsing: "+at.What, at.Done, at.Total) },
		})
		bar.end()
		if p.ctx.Err() != nil {
			err = errInterrupted
		}
		if err != nil {
			return err
		}
		err = p.show(r, func(w io.Writer) {
			for _, text := range r.Findings {
				fmt.Fprintf(w, "%s %s\n", p.paint(red, "found:"), clean(text))
			}
			if len(r.Findings) == 0 {
				fmt.Fprintf(w, "%s %s of %s, every byte as it was saved.\n", p.paint(green, "The backup "+r.Backup.Name+" is good:"),
					plural(r.Messages, "message", "messages"), plural(r.Accounts, "account", "accounts"))
			}
		})
		if err == nil && len(r.Findings) > 0 {
			return errFindings
		}
		return err
	})
}

// scratchDir lends a directory that is removed at the end.
func scratchDir(in string, fn func(dir string) error) error {
	dir, err := os.MkdirTemp(in, "mailstead-")
	if err != nil {
		return err
	}
	return errors.Join(fn(dir), os.RemoveAll(dir))
}
