// Package config reads mailstead.toml: a few keys, each with a default. It is
// not where people change things: domains, accounts and settings live in the
// database and are changed by commands and pages while the server runs. What
// stands here is what must be known before the database can be opened.
//
// Load reads the file once and gives a value that nobody changes. A key that is
// not known is an error with its line, because a misspelt one would otherwise do
// nothing in silence.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// Path is where the file is looked for when none is named.
const Path = "/etc/mailstead/mailstead.toml"

// Config is the file.
type Config struct {
	File     string `toml:"-"` // what was read; "" when there was none
	Hostname string `toml:"hostname"`
	Guessed  bool   `toml:"-"` // Hostname is the system's, no file names one
	Data     string `toml:"data"`
	Limit    Size   `toml:"message_size_limit"`
	// Own certificate; reloaded on change. Empty: a self-signed one.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
	Listen  Listen `toml:"listen"`
	DNS     DNS    `toml:"dns"`
	Log     Log    `toml:"log"`
}

// Listen is lists of addresses; an empty list switches a door off.
type Listen struct {
	SMTP        []string `toml:"smtp"`
	Submission  []string `toml:"submission"`
	Submissions []string `toml:"submissions"`
	IMAP        []string `toml:"imap"`
	IMAPS       []string `toml:"imaps"`
	HTTP        []string `toml:"http"`
	HTTPS       []string `toml:"https"`
	Metrics     []string `toml:"metrics"`

	// Doors that this version does not have. A file may name them already.
	POP3S       []string `toml:"pop3s"`
	ManageSieve []string `toml:"managesieve"`
}

// Absent names the doors that the file asks for and this version does not have.
func (l *Listen) Absent() (doors []string) {
	if len(l.POP3S) > 0 {
		doors = append(doors, "pop3s")
	}
	if len(l.ManageSieve) > 0 {
		doors = append(doors, "managesieve")
	}
	return doors
}

// DNS says whom to ask.
type DNS struct {
	Resolver string `toml:"resolver"` // address, or address:port; "" is the system's
}

// Log says how much to tell.
type Log struct {
	Level string `toml:"level"` // debug, info, warn, error
}

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		Data:  "/var/lib/mailstead",
		Limit: 50_000_000,
		Listen: Listen{
			SMTP:        []string{":25"},
			Submission:  []string{":587"},
			Submissions: []string{":465"},
			IMAP:        []string{":143"},
			IMAPS:       []string{":993"},
			HTTP:        []string{":80"},
			HTTPS:       []string{":443"},
			Metrics:     []string{"127.0.0.1:9725"},
		},
		Log: Log{Level: "info"},
	}
}

// Error is what is wrong with the file.
type Error struct {
	File string
	Line int // 0 when it is not about one
	Text string
	Next string // what to do about it
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Text)
}

// Hint is the next step for a person.
func (e *Error) Hint() string { return e.Next }

// Load reads the named file, or Path where name is empty; that one may be
// missing. Relative paths in it are relative to its folder. Errors: *Error.
func Load(name string) (Config, error) {
	file := name
	if file == "" {
		file = Path
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == "":
		c := Default()
		return c, c.complete()
	case errors.Is(err, fs.ErrNotExist):
		return Config{}, &Error{File: file, Text: "no such file", Next: "name another one with --config, or leave --config out to use the defaults"}
	case err != nil:
		return Config{}, &Error{File: file, Text: err.Error()}
	}
	return Parse(file, string(text))
}

// Parse reads the text of a file; name stands in errors and for its folder.
func Parse(name, text string) (Config, error) {
	c := Default()
	c.File = name
	meta, err := toml.Decode(text, &c)
	if err != nil {
		return Config{}, syntax(name, text, err)
	}
	if left := meta.Undecoded(); len(left) > 0 {
		key := left[0].String()
		return Config{}, &Error{name, lineOf(text, key), fmt.Sprintf("%q is not a key of this file", key), suggest(key)}
	}
	if key, err := c.check(); err != nil {
		return Config{}, &Error{name, lineOf(text, key), fmt.Sprintf("%s: %v", key, err), hints[key]}
	}
	for _, p := range []*string{&c.Data, &c.TLSCert, &c.TLSKey} {
		if *p != "" && !filepath.IsAbs(*p) {
			if *p, err = filepath.Abs(filepath.Join(filepath.Dir(name), *p)); err != nil {
				return Config{}, &Error{File: name, Text: err.Error()}
			}
		}
	}
	return c, c.complete()
}

// complete fills in what only this machine knows.
func (c *Config) complete() error {
	if c.Hostname != "" {
		return nil
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		if d, err := validHost(name); err == nil {
			c.Hostname, c.Guessed = d, true
		}
	}
	return nil
}

// syntax makes an Error of what the TOML parser says.
func syntax(name, text string, err error) error {
	e := &Error{File: name, Text: strings.TrimPrefix(err.Error(), "toml: "), Next: "mailstead.toml is TOML; `mailstead config` prints an example"}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		e.Line, e.Text = parse.Position.Line, parse.Message
		if e.Text != "" {
			return e
		}
	}
	// A wrong type comes as `line 3 (last key "listen.smtp"): why`.
	var line int
	var key, why string
	if n, _ := fmt.Sscanf(e.Text, "line %d (last key %q)", &line, &key); n == 2 {
		_, why, _ = strings.Cut(e.Text, "): ")
		e.Line, e.Text, e.Next = line, key+": "+why, hints[key]
	}
	return e
}

// lineOf finds the line on which a dotted key stands; 0 when it cannot.
func lineOf(text, key string) int {
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table, _, _ = strings.Cut(strings.Trim(line, "[ "), "]")
			table = strings.TrimSpace(table)
			if table == key {
				return i + 1
			}
			continue
		}
		left, _, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		full := strings.Trim(strings.TrimSpace(left), `"'`)
		if table != "" {
			full = table + "." + full
		}
		if full == key {
			return i + 1
		}
	}
	return 0
}
