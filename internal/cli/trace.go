package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mailstead/internal/control"
)

type traceCommand struct {
	Text  string        `arg:"" help:"Our id of a message (as in \"250 2.0.0 ID\"), its Message-ID, an address, or a queue number."`
	Since time.Duration `placeholder:"TIME" help:"Only what happened since, such as 48h."`
	Limit int           `default:"20" help:"At most so many messages, the newest (default: 20)."`
}

func (traceCommand) Help() string {
	return `Exit status 1 when nothing is found.

Examples:
  mailstead trace '<1234@mail.example.com>'
  mailstead trace alice@example.org --since 48h`
}

func (c *traceCommand) Run(p *program) error {
	in := control.TraceQuery{Text: c.Text, Limit: c.Limit}
	if c.Since > 0 {
		in.Since = time.Now().Add(-c.Since)
	}
	all, err := call[[]control.Traced](p, "trace", in)
	if err != nil {
		return err
	}
	err = p.show(all, func(w io.Writer) {
		for i, m := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if m.MID != "" {
				fmt.Fprintln(w, p.paint(bold, "Message "+clean(m.MID)))
			}
			for _, line := range m.Story {
				printStory(p, w, line)
			}
		}
	})
	if err == nil && len(all) == 0 {
		fmt.Fprintf(p.err, "Nothing is known of %s. What happened is kept for 30 days.\n", clean(c.Text))
		return errFindings
	}
	return err
}

// printStory prints one line of a story, its time dim and its end bright.
func printStory(p *program, w io.Writer, line string) {
	line = clean(line)
	if now, ok := strings.CutPrefix(line, "Now: "); ok {
		fmt.Fprintf(w, "%s %s\n", p.paint(bold, "Now:"), now)
		return
	}
	if stamp, rest, ok := strings.Cut(line, "  "); ok {
		line = p.paint(dim, stamp) + "  " + rest
	}
	fmt.Fprintln(w, line)
}
