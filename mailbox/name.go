package mailbox

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of names. RFC 9051 sets none; these keep a LIST line and a file name
// made from a level on export within what everything can take.
const (
	maxName  = 1000 // bytes
	maxLevel = 200  // bytes
	maxDepth = 32
)

// afterSeparator is the character that follows Separator, for ranges of names.
const afterSeparator = "0"

// Inbox is the one name that every account has.
const Inbox = "INBOX"

// cleanName gives the one stored form of a name: NFC, INBOX in capitals as
// first level whatever its case (RFC 9051, 5.1), without the trailing separator
// by which CREATE announces children (6.3.4). Errors: ErrName.
func cleanName(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: not UTF-8", ErrName)
	}
	name = foldInbox(strings.TrimSuffix(norm.NFC.String(name), Separator))
	switch {
	case name == "":
		return "", fmt.Errorf("%w: empty", ErrName)
	case len(name) > maxName:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrName, maxName)
	case name[0] == '#': // namespaces, RFC 9051, 5.1.2.1
		return "", fmt.Errorf("%w: begins with #", ErrName)
	}
	levels := strings.Split(name, Separator)
	if len(levels) > maxDepth {
		return "", fmt.Errorf("%w: more than %d levels", ErrName, maxDepth)
	}
	for _, l := range levels {
		if err := checkLevel(l); err != nil {
			return "", err
		}
	}
	return name, nil
}

func checkLevel(l string) error {
	switch {
	case l == "" || l == "." || l == "..":
		return fmt.Errorf("%w: level %q", ErrName, l)
	case len(l) > maxLevel:
		return fmt.Errorf("%w: a level is longer than %d bytes", ErrName, maxLevel)
	}
	for _, r := range l {
		// RFC 5198, 2: no control characters, no line or paragraph separators.
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFEFF' {
			return fmt.Errorf("%w: control character %U", ErrName, r)
		}
	}
	return nil
}

// foldInbox writes INBOX in capitals where it is the whole first level.
func foldInbox(name string) string {
	first, rest, deeper := strings.Cut(name, Separator)
	if !strings.EqualFold(first, Inbox) || len(first) != len(Inbox) {
		return name
	}
	if deeper {
		return Inbox + Separator + rest
	}
	return Inbox
}

// parents lists the names above name, the topmost first.
func parents(name string) []string {
	var out []string
	for i := range len(name) {
		if name[i] == Separator[0] {
			out = append(out, name[:i])
		}
	}
	return out
}

// below gives the open range of names under name: every child sorts between.
func below(name string) (after, before string) {
	return name + Separator, name + afterSeparator
}

// Special uses that a mailbox may carry, RFC 6154. \All and \Flagged name
// virtual mailboxes, which we have none of.
const (
	UseArchive = `\Archive`
	UseDrafts  = `\Drafts`
	UseJunk    = `\Junk`
	UseSent    = `\Sent`
	UseTrash   = `\Trash`
)

// cleanUse gives the one spelling of a special use. Errors: ErrUse.
func cleanUse(use string) (string, error) {
	if use == "" {
		return "", nil
	}
	for _, u := range []string{UseArchive, UseDrafts, UseJunk, UseSent, UseTrash} {
		if strings.EqualFold(u, use) {
			return u, nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrUse, use)
}
