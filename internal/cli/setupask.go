package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/huh/v2"
	"golang.org/x/term"
	"rsc.io/qr"

	"mailstead/admin/setup"
)

// errAskedAway: the person left a question with Ctrl-C.
var errAskedAway = errors.New("nobody answered")

// plainAsking tells that questions come line by line, without moving the cursor:
// for screen readers (ACCESSIBLE) and terminals that can do no more.
func (p *program) plainAsking() bool {
	return os.Getenv("ACCESSIBLE") != "" || os.Getenv("TERM") == "dumb" || !isTerminal(p.err)
}

// asker puts the questions of a step: as one form, or plainly one by one.
func (p *program) asker() setup.Asker {
	var keys *keyboard // of forms that move the cursor
	return func(ctx context.Context, step setup.Step, list []setup.Asked) (map[string]string, error) {
		for _, q := range list {
			if q.Trouble != nil {
				p.complain(q.Trouble)
			}
		}
		given := map[string]string{}
		if !p.plainAsking() {
			fmt.Fprint(p.err, clearLine)
			if keys == nil {
				keys = newKeyboard(p.in)
			}
			return given, p.form(ctx, keys, step, list, given)
		}
		for _, q := range list {
			fmt.Fprintln(p.err, cleanLines(q.Help))
			for _, c := range q.Picks {
				if c.Value == q.Preset {
					fmt.Fprintf(p.err, "An empty answer means: %s.\n", clean(c.Title))
				}
			}
			if len(q.Picks) == 0 && q.Preset != "" {
				fmt.Fprintf(p.err, "An empty answer means: %s.\n", clean(q.Preset))
			}
			if err := p.form(ctx, keys, step, []setup.Asked{q}, given); err != nil {
				return nil, err
			}
			if q.Kind != setup.YesNo && q.Valid(given[q.Key]) != nil {
				return nil, errAskedAway // the input has ended: nothing else gets past the form
			}
		}
		return given, nil
	}
}

// form puts questions together and adds their answers.
func (p *program) form(ctx context.Context, keys *keyboard, step setup.Step, list []setup.Asked, given map[string]string) error {
	answers := make([]string, len(list))
	yes := make([]bool, len(list))
	var fields []huh.Field
	for i, q := range list {
		if answers[i], yes[i] = q.Preset, q.Preset == "yes"; q.Kind == setup.Secret {
			answers[i] = ""
		}
		fields = append(fields, p.field(q, &answers[i], &yes[i]))
	}
	form := huh.NewForm(huh.NewGroup(fields...).Title(clean(step.Title))).
		WithAccessible(p.plainAsking()).WithOutput(p.err).WithShowHelp(true)
	if keys == nil {
		form = form.WithInput(p.in)
	} else {
		see := keys.view()
		defer see.Close()
		form = form.WithInput(see)
	}
	if !p.colours() {
		form = form.WithTheme(huh.ThemeFunc(huh.ThemeBase))
	}
	if err := p.run(ctx, form); err != nil {
		return err
	}
	for i, q := range list {
		if given[q.Key] = answers[i]; q.Kind == setup.YesNo {
			given[q.Key] = yesNo(yes[i])
		}
	}
	return nil
}

// field is a question's place in a form.
func (p *program) field(q setup.Asked, answer *string, yes *bool) huh.Field {
	title, help := cleanLines(q.Title), cleanLines(q.Help)
	valid := func(text string) error {
		err := q.Valid(text)
		var h interface{ Hint() string }
		if errors.As(err, &h) && h.Hint() != "" {
			return fmt.Errorf("%s (%s)", clean(err.Error()), clean(h.Hint()))
		}
		return err
	}
	switch q.Kind {
	case setup.YesNo:
		return huh.NewConfirm().Title(title).Description(help).Affirmative("Yes").Negative("No").Value(yes)
	case setup.Pick:
		var options []huh.Option[string]
		for _, c := range q.Picks {
			options = append(options, huh.NewOption(clean(c.Title), c.Value))
		}
		return huh.NewSelect[string]().Title(title).Description(help).Options(options...).Value(answer)
	}
	in := huh.NewInput().Title(title).Description(help).Placeholder(q.Example).Validate(valid).Value(answer)
	if q.Kind == setup.Secret {
		in = in.EchoMode(huh.EchoModePassword).Placeholder("")
	}
	return in
}

// run shows a form until it is answered, or left, or the program is told to end;
// then nobody waits for the terminal, which gets its state back.
func (p *program) run(ctx context.Context, form *huh.Form) error {
	fd := int(p.in.Fd())
	state, _ := term.GetState(fd)
	done := make(chan error, 1)
	go func() { done <- form.RunWithContext(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errAskedAway
	}
	if state != nil {
		_ = term.Restore(fd, state)
	}
	if errors.Is(err, huh.ErrUserAborted) {
		return errAskedAway
	}
	return err
}

func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

// clearLine removes a line that told of work in progress.
const clearLine = "\r\x1b[K"

// printQR draws a QR code in halves of characters, dark on light whatever the
// terminal's colours are, with the margin that readers need.
func printQR(w io.Writer, text string) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return
	}
	const margin = 2
	for y := -margin; y < code.Size+margin; y += 2 {
		fmt.Fprint(w, "  \x1b[30;107m")
		for x := -margin; x < code.Size+margin; x++ {
			switch up, down := code.Black(x, y), code.Black(x, y+1); {
			case up && down:
				fmt.Fprint(w, "█")
			case up:
				fmt.Fprint(w, "▀")
			case down:
				fmt.Fprint(w, "▄")
			default:
				fmt.Fprint(w, " ")
			}
		}
		fmt.Fprintln(w, "\x1b[0m")
	}
}
