package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCommand) Help() string {
	return `Prints a script that lets a shell complete subcommands and flags. The package
installs it; a program that was copied by hand is completed after one of these.

Examples:
  source <(mailstead completion bash)
  mailstead completion zsh > ~/.zfunc/_mailstead
  mailstead completion fish > ~/.config/fish/completions/mailstead.fish`
}

func (c *completionCommand) Run(p *program) error {
	app, err := model()
	if err != nil {
		return err
	}
	write := map[string]func(io.Writer, []place){"bash": completeBash, "zsh": completeZsh, "fish": completeFish}[c.Shell]
	write(p.out, places(app.Node, ""))
	return nil
}

// model is the command line without anybody to run it.
func model() (*kong.Application, error) {
	parser, err := newParser(&program{out: io.Discard, err: io.Discard}, new(root))
	if err != nil {
		return nil, err
	}
	return parser.Model, nil
}

// place is one command with what may follow it.
type place struct {
	path  string // "account add"; "" is the program itself
	words []word
}

type word struct{ text, help string }

// places lists all commands that help shows, outer ones first.
func places(n *kong.Node, path string) []place {
	here := place{path: path}
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && !c.Hidden {
			here.words = append(here.words, word{c.Name, c.Help})
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			here.words = append(here.words, word{"--" + f.Name, f.Help})
		}
	}
	list := []place{here}
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && !c.Hidden {
			list = append(list, places(c, strings.TrimSpace(path+" "+c.Name))...)
		}
	}
	return list
}

func (p place) texts() string {
	var list []string
	for _, w := range p.words {
		list = append(list, w.text)
	}
	return strings.Join(list, " ")
}

// completeBash walks the words before the cursor down the table; what is in no
// entry of it is an argument or a file's name, which bash completes itself.
func completeBash(w io.Writer, list []place) {
	io.WriteString(w, `# bash completion for mailstead
_mailstead_words() {
	case "$1" in
`)
	for _, p := range list {
		fmt.Fprintf(w, "\t%q) echo %q ;;\n", p.path, p.texts())
	}
	io.WriteString(w, `	*) return 1 ;;
	esac
}
_mailstead() {
	local path='' i next
	for ((i = 1; i < COMP_CWORD; i++)); do
		next="${path:+$path }${COMP_WORDS[i]}"
		_mailstead_words "$next" >/dev/null && path=$next
	done
	mapfile -t COMPREPLY < <(compgen -W "$(_mailstead_words "$path")" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _mailstead mailstead
`)
}

func completeZsh(w io.Writer, list []place) {
	io.WriteString(w, `#compdef mailstead
_mailstead_words() {
	case "$1" in
`)
	for _, p := range list {
		fmt.Fprintf(w, "\t(%q) reply=(", p.path)
		for _, x := range p.words {
			fmt.Fprintf(w, "\n\t\t%s", shellQuote(strings.ReplaceAll(x.text, ":", `\:`)+":"+x.help))
		}
		io.WriteString(w, ") ;;\n")
	}
	io.WriteString(w, `	(*) return 1 ;;
	esac
}
_mailstead() {
	local at='' next i
	local -a reply
	for ((i = 2; i < CURRENT; i++)); do
		next="${at:+$at }${words[i]}"
		_mailstead_words "$next" && at=$next
	done
	_mailstead_words "$at"
	_describe mailstead reply || _files
}
_mailstead "$@"
`)
}

func completeFish(w io.Writer, list []place) {
	io.WriteString(w, `# fish completion for mailstead
function __mailstead_at
	set -l at ''
	for word in (commandline -opc)[2..-1]
		set -l next (string trim -- "$at $word")
		contains -- "$next" $__mailstead_places; and set at $next
	end
	test "$at" = "$argv[1]"
end
set -g __mailstead_places`)
	for _, p := range list {
		fmt.Fprintf(w, " %s", shellQuote(p.path))
	}
	io.WriteString(w, "\n")
	for _, p := range list {
		for _, x := range p.words {
			what := "-f -a " + shellQuote(x.text)
			if flag, ok := strings.CutPrefix(x.text, "--"); ok {
				what = "-l " + flag
			}
			fmt.Fprintf(w, "complete -c mailstead -n %s %s -d %s\n", shellQuote("__mailstead_at "+shellQuote(p.path)), what, shellQuote(x.help))
		}
	}
}

// shellQuote is one word for a shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
