package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode"

	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
)

// program is one run of the command line: where it reads and writes, and whom it
// asks.
type program struct {
	ctx   context.Context
	in    *os.File
	out   io.Writer
	err   io.Writer
	flags globals

	caller control.Caller
	ends   []func() error
}

// config reads the configuration as --config and --data say.
func (p *program) config() (config.Config, error) {
	cfg, err := config.Load(p.flags.ConfigFile)
	if err != nil {
		return cfg, err
	}
	if p.flags.Data != "" {
		if cfg.Data, err = filepath.Abs(p.flags.Data); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// ask gives whom to ask: the server that runs on the data directory, or the
// stores themselves, held until the command ends. The directory must be there;
// found gives one that need not.
func (p *program) ask() (control.Caller, error) { return p.open(false) }

// found is ask for commands that begin a new data directory.
func (p *program) found() (control.Caller, error) { return p.open(true) }

func (p *program) open(fresh bool) (control.Caller, error) {
	if p.caller != nil {
		return p.caller, nil
	}
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	client, err := control.Dial(p.ctx, cfg.Data)
	switch {
	case err == nil:
		p.ends = append(p.ends, func() error { client.Close(); return nil })
		p.caller = client
		return client, nil
	case !errors.Is(err, control.ErrNoServer):
		return nil, err
	}
	if app.Missing(cfg.Data) {
		return nil, &app.MissingError{Data: cfg.Data}
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "mailstead.db")); !fresh && errors.Is(err, os.ErrNotExist) {
		return nil, hinted{fmt.Errorf("%w in %s", errNoData, cfg.Data),
			"name the directory with --data, or begin with `mailstead domain add DOMAIN`"}
	}
	ops, end, err := offline(p.ctx, cfg)
	if err != nil {
		return nil, err
	}
	p.ends = append(p.ends, end)
	p.caller = ops
	return ops, nil
}

// close lets go of what open took.
func (p *program) close() error {
	var errs []error
	for i := len(p.ends) - 1; i >= 0; i-- {
		errs = append(errs, p.ends[i]())
	}
	p.ends, p.caller = nil, nil
	return errors.Join(errs...)
}

// call asks for one operation on an existing data directory.
func call[Out any](p *program, name string, in any) (out Out, err error) {
	c, err := p.ask()
	if err != nil {
		return out, err
	}
	return control.Call[Out](p.ctx, c, name, in)
}

// show prints a value: as JSON, or as human writes it.
func (p *program) show(value any, human func(w io.Writer)) error {
	if !p.flags.JSON {
		var b bytes.Buffer
		human(&b)
		_, err := p.out.Write(b.Bytes())
		return err
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s\n", plain(text))
	return err
}

// say prints one sentence about what was done, nothing with --json beyond {}.
func (p *program) say(format string, args ...any) error {
	return p.show(struct{}{}, func(w io.Writer) { fmt.Fprintf(w, format+"\n", args...) })
}

// plain escapes what JSON leaves alone and a terminal may obey: DEL, the C1
// controls, and the marks that turn the direction of text.
func plain(text []byte) []byte {
	if !bytes.ContainsFunc(text, obeyed) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		if obeyed(r) && r <= 0xffff {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

func obeyed(r rune) bool { return r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }
