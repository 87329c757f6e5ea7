package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"mailstead/internal/control"
	"mailstead/mailbox/importer"
)

type importCommand struct {
	Account    string   `arg:"" help:"Any address of the account that gets the mail."`
	Paths      []string `arg:"" name:"path" help:"Files and folders."`
	Mailbox    string   `default:"INBOX" help:"Where the mail goes; folders inside become mailboxes inside."`
	Again      bool     `help:"Bring also what was imported before."`
	KeepQuotes bool     `help:"Leave \">From \" in mbox files as it is."`
}

func (importCommand) Help() string {
	return `Reads mbox files, Maildirs (with their folders), files of single messages, and
folders of any of these. What each is, is found by looking at it. Dates and flags
are kept; messages are kept byte for byte, with CRLF line ends.

An import that was broken off is run again as it was: what is there already is
passed over. The server may run meanwhile.

Examples:
  mailstead import alice@example.org ~/Maildir
  mailstead import alice@example.org old.mbox --mailbox Archive/old
  mailstead import alice@example.org thunderbird/Mail/*/`
}

func (c *importCommand) Run(p *program) error {
	caller, err := p.ask()
	if err != nil {
		return err
	}
	var done imported
	src := c.source(&done)
	total, err := src.Size()
	if err != nil {
		return err
	}
	bar := newProgress(p)
	bar.unit = bytesText
	in, feed := io.Pipe()
	fed := make(chan error, 1)
	go func() {
		err := sendAll(p, src, importer.NewEncoder(feed), func(now int64) { bar.show("importing", now, total) })
		feed.CloseWithError(err) // io.EOF at the other end when nil
		fed <- err
	}()
	var res importer.Result
	out := &lineWriter{take: func(line []byte) error {
		res = importer.Result{}
		return json.Unmarshal(line, &res)
	}}
	err = caller.Stream(p.ctx, "import", control.ImportMail{Address: c.Account, Again: c.Again}, in, out)
	in.CloseWithError(errStopped)
	if e := <-fed; e != nil && !errors.Is(e, errStopped) {
		err = e
	}
	bar.end()
	done.add(res)
	if p.ctx.Err() != nil {
		err = errInterrupted
	}
	return done.report(p, err)
}

// source reads the files here, where the person who asked may read them; what
// cannot be read is noted in done.
func (c *importCommand) source(done *imported) *importer.Source {
	for i, path := range c.Paths {
		c.Paths[i] = filepath.Clean(path)
	}
	return &importer.Source{Paths: c.Paths, Mailbox: c.Mailbox, KeepQuotes: c.KeepQuotes, Bad: func(path string, err error) {
		if errors.Is(err, importer.ErrNoMail) && !slices.Contains(c.Paths, path) {
			done.PassedOver = append(done.PassedOver, path)
			return
		}
		done.Fail(path, err)
	}}
}

// report says what was done, and what ended it.
func (i *imported) report(p *program, err error) error {
	if err != nil && i.Imported == 0 && i.Failed == 0 {
		return err
	}
	if e := p.show(i, func(w io.Writer) { i.print(p, w) }); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return goOn(err, "run the same command again: it goes on where it stopped")
	case i.Failed > 0:
		return errFindings
	}
	return nil
}

// imported is what an import did, with what was found on this side.
type imported struct {
	importer.Result
	PassedOver []string `json:"passed_over,omitempty"` // files in folders that hold no mail
}

func (i *imported) add(r importer.Result) {
	i.Imported, i.Present, i.Bytes = r.Imported, r.Present, r.Bytes
	i.Failed += r.Failed
	i.Problems = append(i.Problems, r.Problems...)
}

// errStopped ends the reading of files when nobody takes them any more.
var errStopped = errors.New("import stopped")

// errInterrupted is told instead of what breaks when a person ends long work.
var errInterrupted = errors.New("interrupted")

// goOn is the next step after work that was broken off: doing it again, unless
// what was asked for cannot be.
func goOn(err error, how string) error {
	var h interface{ Hint() string }
	var e *control.Error
	if errors.As(err, &h) && h.Hint() != "" || errors.As(err, &e) && e.Kind != control.Failed && e.Kind != control.Busy {
		return err
	}
	return hinted{err, how}
}

// sendAll writes every message of the source. What cannot be read to its end
// is counted by the receiver.
func sendAll(p *program, src *importer.Source, e *importer.Encoder, passed func(int64)) error {
	err := src.Each(p.ctx, func(it *importer.Item) error {
		var bad *importer.ItemError
		if err := e.Encode(it); err != nil && !errors.As(err, &bad) {
			return err
		}
		passed(src.Done())
		return nil
	})
	if err == nil {
		err = e.Flush()
	}
	return err
}

func (i *imported) print(p *program, w io.Writer) {
	for n, path := range i.PassedOver {
		if n == 20 {
			fmt.Fprintf(w, "%s and %d more\n", p.paint(dim, "no mail in:"), len(i.PassedOver)-n)
			break
		}
		fmt.Fprintf(w, "%s %s\n", p.paint(dim, "no mail in:"), clean(path))
	}
	for _, text := range i.Problems {
		fmt.Fprintf(w, "%s %s\n", p.paint(yellow, "not imported:"), clean(text))
	}
	fmt.Fprintf(w, "%s imported (%s)", plural(i.Imported, "message", "messages"), bytesText(i.Bytes))
	if i.Present > 0 {
		fmt.Fprintf(w, ", %d were there from an earlier import", i.Present)
	}
	if i.Failed > 0 {
		fmt.Fprintf(w, ", %d not", i.Failed)
	}
	fmt.Fprintln(w, ".")
}
