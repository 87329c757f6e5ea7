package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/mailbox/importer"
)

type restoreCommand struct {
	ageKeys
	Dir       string `arg:"" help:"Folder of backups."`
	From      string `placeholder:"BACKUP" help:"Which one (default: the newest complete one); see mailstead backup list."`
	Account   string `placeholder:"ADDRESS" help:"Only this account's mail, as copies into the server."`
	Mailbox   string `placeholder:"NAME" help:"Only this mailbox of the account, with what is below it."`
	Into      string `placeholder:"NAME" default:"Restored" help:"Mailbox under which the copies go."`
	To        string `placeholder:"FOLDER" help:"Everything: the data directory to fill. An account: a Maildir to write, instead of the server."`
	Again     bool   `help:"Bring also copies that were brought before."`
	KeepQueue bool   `help:"Send what was waiting in the queue; otherwise it is held, since most of it has left since."`
	Scratch   string `placeholder:"FOLDER" help:"Where a scratch directory may be made (default: the folder for temporary files)."`
}

func (restoreCommand) Help() string {
	return `Without --account everything comes back, into an empty data directory: the one of
the configuration, or --to. Every byte is compared with its hash. The mailboxes get
new UIDVALIDITYs, so that mail programs fetch what they show anew. A restore that
was broken off is run again and goes on.

With --account the mail of one account comes into the server, which may run, as
copies below the mailbox Restored, with dates and flags; nothing that is there is
changed. With --to it is written as a Maildir instead.

Examples:
  mailstead restore /mnt/disk/mail
  mailstead restore /mnt/disk/mail --from 20260131T021500Z --to /srv/mail
  mailstead restore /mnt/disk/mail --account alice@example.org
  mailstead restore /mnt/disk/mail --account alice@example.org --mailbox Archive`
}

func (c *restoreCommand) Run(p *program) error {
	keys, err := c.read(p)
	if err != nil {
		return err
	}
	switch {
	case c.Account != "":
		return c.account(p, keys)
	case c.Mailbox != "":
		return usageError{errors.New("--mailbox goes with --account")}
	}
	return c.whole(p, keys)
}

// whole fills an empty data directory.
func (c *restoreCommand) whole(p *program, keys backup.Keys) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	if c.To != "" {
		if cfg.Data, err = filepath.Abs(c.To); err != nil {
			return err
		}
	}
	client, err := control.Dial(p.ctx, cfg.Data)
	if err == nil {
		client.Close()
		return hinted{errors.New("the server is running"), "stop it and move its data directory away, or name another one with --to"}
	}
	if !errors.Is(err, control.ErrNoServer) {
		return err
	}
	// No server may begin here meanwhile, and no second restore.
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	release, err := app.Lock(cfg.Data)
	if err != nil {
		return explainOpen(err, cfg)
	}
	bar := newProgress(p)
	bar.unit = bytesText
	r, err := backup.Restore(p.ctx, backup.RestoreOptions{
		Dir: c.Dir, From: c.From, Keys: keys, To: cfg.Data, Migrations: app.Migrations(), KeepQueue: c.KeepQueue,
		Progress: func(at backup.Progress) { bar.show("restoring "+at.What, at.Done, at.Total) },
	})
	bar.end()
	if p.ctx.Err() != nil {
		err = goOn(errInterrupted, "run the same command again: it goes on where it stopped")
	}
	if err = errors.Join(err, release()); err != nil {
		return err
	}
	return c.wake(p, cfg, r)
}

// restored is what restore prints with --json.
type restored struct {
	backup.Restored
	Data  string   `json:"data"`
	Notes []string `json:"notes,omitempty"`
}

// wake opens the restored stores once, which begins their new epoch.
func (c *restoreCommand) wake(p *program, cfg config.Config, r backup.Restored) error {
	// That database and files are of two epochs is no news here.
	ops, end, err := offlineAt(p.ctx, cfg, slog.LevelError)
	if err != nil {
		return err
	}
	out := restored{Restored: r, Data: cfg.Data, Notes: ops.Rebuilt}
	if err := end(); err != nil {
		return err
	}
	if r.Held > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d queued messages are held, since most of them have left since: `mailstead queue list` shows them, `mailstead queue retry all` sends them", r.Held))
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "mailstead.toml")); err == nil && cfg.File == "" {
		out.Notes = append(out.Notes, "the configuration of then is "+filepath.Join(cfg.Data, "mailstead.toml")+"; its place is "+config.Path)
	}
	if text := handBack(cfg.Data); text != "" {
		out.Notes = append(out.Notes, text)
	}
	err = p.show(out, func(w io.Writer) {
		for _, text := range out.Problems {
			fmt.Fprintf(w, "%s %s\n", p.paint(red, "not restored:"), clean(text))
		}
		for _, text := range out.Notes {
			fmt.Fprintf(w, "%s %s\n", p.paint(dim, "note:"), clean(text))
		}
		fmt.Fprintf(w, "The backup %s is restored into %s: %s, %s.\n", r.Backup.Name, clean(cfg.Data),
			plural(r.Messages, "message", "messages"), bytesText(r.Bytes))
	})
	if err == nil && len(r.Problems) > 0 {
		return errFindings
	}
	return err
}

// handBack says when the files belong to root, as the directory did.
func handBack(data string) string {
	info, err := os.Stat(data)
	if err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 {
		return ""
	}
	return "the files belong to root; if the server runs as another user: chown -R USER " + data
}

// account brings one account's mail as copies.
func (c *restoreCommand) account(p *program, keys backup.Keys) error {
	return scratchDir(c.Scratch, func(to string) error {
		bar := newProgress(p)
		bar.unit = bytesText
		old, end, b, err := backup.OpenAccount(p.ctx, backup.RestoreOptions{
			Dir: c.Dir, From: c.From, Keys: keys, To: to, Migrations: app.Migrations(),
			Progress: func(at backup.Progress) { bar.show("looking at "+at.What, at.Done, at.Total) },
		}, c.Account)
		bar.end()
		if err != nil {
			return err
		}
		err = c.copies(p, old, b)
		return errors.Join(err, end())
	})
}

// copied is what a restore of an account prints with --json.
type copied struct {
	Backup   string   `json:"backup"`
	Account  string   `json:"account"`
	Where    string   `json:"where"`
	Messages int64    `json:"messages"`
	Present  int64    `json:"present"` // from an earlier restore
	Failed   int64    `json:"failed"`
	Problems []string `json:"problems,omitempty"`
}

// copies lets the stores of then export what it is about.
func (c *restoreCommand) copies(p *program, old control.Caller, b backup.Backup) error {
	what := control.ExportMail{Address: c.Account}
	if c.Mailbox != "" {
		what.Mailboxes = []string{c.Mailbox}
	}
	out, in := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := old.Stream(p.ctx, "export", what, nil, in)
		in.CloseWithError(err)
		sent <- err
	}()
	res := copied{Backup: b.Name, Account: c.Account, Where: c.Into}
	var err error
	if c.To != "" {
		res.Where = c.To
		err = c.maildir(p, importer.NewDecoder(out), &res)
	} else {
		err = c.intoServer(p, importer.NewDecoder(out), &res)
	}
	out.CloseWithError(errors.Join(errStopped, err))
	if e := <-sent; e != nil && !errors.Is(e, errStopped) && (err == nil || errors.Is(err, errStopped)) {
		err = e
	}
	if p.ctx.Err() != nil {
		err = errInterrupted
	}
	if err != nil {
		return goOn(err, "run the same command again: it goes on where it stopped")
	}
	err = p.show(res, func(w io.Writer) {
		for _, text := range res.Problems {
			fmt.Fprintf(w, "%s %s\n", p.paint(yellow, "not restored:"), clean(text))
		}
		fmt.Fprintf(w, "%s restored from the backup %s into %s.", plural(res.Messages, "message was", "messages were"), b.Name, clean(res.Where))
		if res.Present > 0 {
			fmt.Fprintf(w, " %d were brought before; --again brings them once more.", res.Present)
		}
		fmt.Fprintln(w)
	})
	if err == nil && res.Failed > 0 {
		return errFindings
	}
	return err
}

func (c *restoreCommand) maildir(p *program, d *importer.Decoder, res *copied) error {
	var e exported
	bar := newProgress(p)
	err := receiveAll(d, &importer.Maildir{Dir: c.To}, &e, bar)
	bar.end()
	res.Messages, res.Present, res.Failed, res.Problems = e.Messages, e.Present, e.Failed, e.Problems
	return err
}

// intoServer imports the copies below the mailbox that was named.
func (c *restoreCommand) intoServer(p *program, d *importer.Decoder, res *copied) error {
	caller, err := p.ask()
	if err != nil {
		return err
	}
	in, feed := io.Pipe()
	fed := make(chan error, 1)
	go func() {
		err := c.below(d, importer.NewEncoder(feed))
		feed.CloseWithError(err)
		fed <- err
	}()
	bar := newProgress(p)
	var r importer.Result
	lines := &lineWriter{take: func(line []byte) error {
		r = importer.Result{}
		err := json.Unmarshal(line, &r)
		bar.show("restoring: "+plural(r.Imported+r.Present, "message", "messages"), 1, 0)
		return err
	}}
	err = caller.Stream(p.ctx, "import", control.ImportMail{Address: c.Account, Again: c.Again}, in, lines)
	in.CloseWithError(errStopped)
	if e := <-fed; e != nil && !errors.Is(e, errStopped) && err == nil {
		err = e
	}
	bar.end()
	res.Messages, res.Present, res.Failed = r.Imported, r.Present, r.Failed
	res.Problems = r.Problems
	return err
}

// below puts every item below the mailbox --into.
func (c *restoreCommand) below(d *importer.Decoder, e *importer.Encoder) error {
	for {
		it, err := d.Next()
		if err == io.EOF {
			return e.Flush()
		} else if err != nil {
			return err
		}
		it.Mailbox = c.Into + "/" + it.Mailbox
		var bad *importer.ItemError
		if err := e.Encode(it); err != nil && !errors.As(err, &bad) {
			return err
		}
	}
}
