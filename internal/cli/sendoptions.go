package cli

import (
	"fmt"
	"strings"

	"mailstead/smtp/submission"
)

// sendOptions is what the letters said.
type sendOptions struct {
	letter        submission.Letter
	mode          byte // of -b
	dots          bool // a line with a dot alone ends the message
	flush         bool
	verbose, help bool
	json          bool
	config, data  string
}

// takes is what belongs to a letter.
type takes int

const (
	nothing takes = iota
	value         // behind it, or the next argument
	perhaps       // behind it or nothing
)

// sendLetter is one option of sendmail. Those without help are understood and
// change nothing here.
type sendLetter struct {
	letter byte
	takes  takes
	shown  string
	help   string
	set    func(o *sendOptions, v string) error
}

func sendLetters() []sendLetter {
	ignore := func(*sendOptions, string) error { return nil }
	sender := func(o *sendOptions, v string) error {
		v = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(v), "<"), ">")
		o.letter.Sender = &v
		return nil
	}
	return []sendLetter{
		{'t', nothing, "-t", "the recipients are those in To, Cc and Bcc, and the addresses named", func(o *sendOptions, _ string) error { o.letter.Header = true; return nil }},
		{'i', nothing, "-i", "a line with a dot alone does not end the message (also -oi)", func(o *sendOptions, _ string) error { o.dots = false; return nil }},
		{'f', value, "-f ADDRESS", "the sender that reports go back to (also -r)", sender},
		{'r', value, "", "", sender},
		{'F', value, "-F NAME", "the author's full name, where From is missing", func(o *sendOptions, v string) error { o.letter.Name = v; return nil }},
		{'b', value, "-bm", "send a message: so it is without this", sendMode},
		{0, nothing, "-bp", "list the queue, as mailq", nil},
		{0, nothing, "-bi", "nothing: aliases live in the database, as newaliases", nil},
		{'q', perhaps, "-q", "try all that waits in the queue now", func(o *sendOptions, _ string) error { o.flush = true; return nil }},
		{'v', nothing, "-v", "say the id of the message", func(o *sendOptions, _ string) error { o.verbose = true; return nil }},
		{'o', value, "-o…, -B, -N, -R, …", "other options of sendmail are understood and do nothing", func(o *sendOptions, v string) error {
			if v == "i" {
				o.dots = false
			}
			return nil
		}},
		{'I', nothing, "", "", func(o *sendOptions, _ string) error { return sendMode(o, "i") }},
		{'A', value, "", "", ignore}, {'B', value, "", "", ignore}, {'C', value, "", "", ignore}, {'L', value, "", "", ignore},
		{'N', value, "", "", ignore}, {'O', value, "", "", ignore}, {'R', value, "", "", ignore}, {'V', value, "", "", ignore},
		{'X', value, "", "", ignore}, {'e', value, "", "", ignore}, {'h', value, "", "", ignore}, {'p', value, "", "", ignore}, {'d', perhaps, "", "", ignore},
		{'G', nothing, "", "", ignore}, {'U', nothing, "", "", ignore}, {'m', nothing, "", "", ignore}, {'n', nothing, "", "", ignore},
		{'s', nothing, "", "", ignore}, {'c', nothing, "", "", ignore}, {'x', nothing, "", "", ignore},
	}
}

func sendMode(o *sendOptions, v string) error {
	if len(v) != 1 {
		return fmt.Errorf("-b%s is no option", v)
	}
	if o.mode = v[0]; o.mode == 'D' {
		o.mode = 'd'
	}
	return nil
}

func sendOptionText() string {
	var b strings.Builder
	for _, l := range sendLetters() {
		if l.help != "" {
			fmt.Fprintf(&b, "  %-20s %s\n", l.shown, l.help)
		}
	}
	return b.String()
}

// parseSend reads the arguments as getopt does.
func parseSend(args []string) (*sendOptions, error) {
	o := &sendOptions{mode: 'm', dots: true}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			o.letter.Recipients = append(o.letter.Recipients, args...)
			return o, nil
		case strings.HasPrefix(arg, "--"):
			args, err = o.long(arg, args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = o.short(arg[1:], args)
		default:
			o.letter.Recipients = append(o.letter.Recipients, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// long reads the flags that every command has.
func (o *sendOptions) long(arg string, rest []string) ([]string, error) {
	name, v, given := strings.Cut(arg, "=")
	switch name {
	case "--help":
		o.help = true
		return rest, nil
	case "--json":
		o.json = true
		return rest, nil
	}
	to, ok := map[string]*string{"--config": &o.config, "--data": &o.data}[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s is no option", arg)
	case !given && len(rest) == 0:
		return nil, fmt.Errorf("%s wants a value", arg)
	case !given:
		v, rest = rest[0], rest[1:]
	}
	*to = v
	return rest, nil
}

// short reads a run of letters, "ti" or "fADDRESS".
func (o *sendOptions) short(run string, rest []string) ([]string, error) {
	for run != "" {
		l, ok := letterOf(run[0])
		if !ok {
			return nil, fmt.Errorf("-%c is no option", run[0])
		}
		v := ""
		if run = run[1:]; l.takes != nothing {
			v, run = run, ""
		}
		if l.takes == value && v == "" {
			if len(rest) == 0 {
				return nil, fmt.Errorf("-%c wants a value", l.letter)
			}
			v, rest = rest[0], rest[1:]
		}
		if err := l.set(o, v); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func letterOf(c byte) (sendLetter, bool) {
	for _, l := range sendLetters() {
		if l.letter == c && c != 0 {
			return l, true
		}
	}
	return sendLetter{}, false
}
