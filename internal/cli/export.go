package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailstead/internal/control"
	"mailstead/mailbox/importer"
)

type exportCommand struct {
	Account string   `arg:"" help:"Any address of the account."`
	Dir     string   `arg:"" help:"Folder to write into; it is made."`
	Format  string   `enum:"maildir,mbox" default:"maildir" help:"maildir (keeps all flags) or mbox (a file for each mailbox)."`
	Mailbox []string `sep:"none" help:"Only this mailbox with what is below it; may be repeated."`
	CRLF    bool     `name:"crlf" help:"Keep the line ends of mail (CRLF) instead of the system's (LF)."`
	Status  bool     `help:"With mbox: write flags as fields Status, X-Status and X-Keywords, which changes the messages."`
}

func (exportCommand) Help() string {
	return `Writes every message as it is kept. Maildir++ folders hold dates and flags, and
an export that was broken off, or a later one into the same folder, adds only
what is missing. An mbox (mboxrd) holds dates, and flags only with --status.

Examples:
  mailstead export alice@example.org alice-mail
  mailstead export alice@example.org archive --format mbox --mailbox Archive`
}

// exported is what an export did.
type exported struct {
	Messages int64    `json:"messages"`
	Present  int64    `json:"present"` // from an earlier export
	Failed   int64    `json:"failed"`
	Problems []string `json:"problems,omitempty"`
}

func (c *exportCommand) Run(p *program) error {
	caller, err := p.ask()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	var w importer.Writer = &importer.Maildir{Dir: dir, CRLF: c.CRLF}
	switch {
	case c.Format == "mbox":
		w = &importer.Mbox{Dir: dir, CRLF: c.CRLF, Status: c.Status}
	case c.Status:
		return usageError{errors.New("--status is for --format mbox; a Maildir keeps flags anyway")}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	out, in := io.Pipe()
	got := make(chan error, 1)
	var res exported
	bar := newProgress(p)
	go func() {
		err := receiveAll(importer.NewDecoder(out), w, &res, bar)
		out.CloseWithError(errors.Join(errStopped, err))
		got <- err
	}()
	err = caller.Stream(p.ctx, "export", control.ExportMail{Address: c.Account, Mailboxes: c.Mailbox}, nil, in)
	in.CloseWithError(err)
	mine := <-got
	bar.end()
	switch {
	case p.ctx.Err() != nil:
		err = errInterrupted
	case errors.Is(mine, os.ErrExist):
		return hinted{mine, "name a new folder, or move the file away"}
	case err == nil || errors.Is(err, errStopped):
		err = mine
	}
	if err != nil {
		return goOn(err, "run the same command again")
	}
	if err := p.show(res, func(w io.Writer) { printExport(p, w, res, dir) }); err != nil {
		return err
	}
	if res.Failed > 0 {
		return errFindings
	}
	return nil
}

// receiveAll writes every message that comes. One that cannot be read on the
// other side is reported.
func receiveAll(d *importer.Decoder, w importer.Writer, res *exported, bar *progress) error {
	for {
		it, err := d.Next()
		if err == io.EOF {
			return w.Close()
		} else if err != nil {
			return err
		}
		written, err := w.Write(it)
		var bad *importer.ItemError
		switch {
		case errors.As(err, &bad):
			res.Failed++
			res.Problems = append(res.Problems, fmt.Sprintf("%s: %v", it.Origin, bad))
		case err != nil:
			return err
		case written:
			res.Messages++
		default:
			res.Present++
		}
		bar.show("exporting: "+plural(res.Messages+res.Present, "message", "messages"), 1, 0)
	}
}

func printExport(p *program, w io.Writer, r exported, dir string) {
	for _, text := range r.Problems {
		fmt.Fprintf(w, "%s %s\n", p.paint(yellow, "not exported:"), clean(text))
	}
	fmt.Fprintf(w, "%s written to %s", plural(r.Messages, "message", "messages"), clean(dir))
	if r.Present > 0 {
		fmt.Fprintf(w, ", %d were there from an earlier export", r.Present)
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, ", %d could not be read", r.Failed)
	}
	fmt.Fprintln(w, ".")
}
