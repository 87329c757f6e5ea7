package cli

import (
	"fmt"
	"io"

	"mailstead/internal/config"
)

type configCommand struct {
	Check bool `help:"Read the configuration that the server would, and say what is wrong with it."`
}

func (configCommand) Help() string {
	return `Examples:
  mailstead config > /etc/mailstead/mailstead.toml
  mailstead config --check`
}

func (c *configCommand) Run(p *program) error {
	if !c.Check {
		_, err := io.WriteString(p.out, config.Example())
		return err
	}
	cfg, err := p.config()
	if err != nil {
		return err
	}
	return p.show(cfg, func(w io.Writer) {
		if cfg.File == "" {
			fmt.Fprintf(w, "There is no %s: the defaults are taken.\n", config.Path)
		} else {
			fmt.Fprintf(w, "%s is good.\n", clean(cfg.File))
		}
		for _, door := range cfg.Listen.Absent() {
			fmt.Fprintf(w, "But listen.%s asks for a door that this version does not have: it stays closed.\n", door)
		}
		if cfg.Hostname == "" {
			fmt.Fprintln(w, "But hostname is not set, and this machine has no full name: the server will not start without.")
		}
	})
}
