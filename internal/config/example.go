package config

import (
	"fmt"
	"strings"
)

// known is every key with what it is for, in the order of the file.
var known = []struct{ key, about string }{
	{"hostname", "The name of this machine as other mail servers reach it. Without it the\nsystem's own name is taken, if it is a full one."},
	{"data", "Where everything is kept."},
	{"message_size_limit", "The largest message that is accepted, as SMTP and IMAP announce it."},
	{"tls_cert", "A certificate of your own (PEM, with its chain) and its key; read again when\nthe files change. Without them a self-signed one is made."},
	{"tls_key", ""},
	{"listen.smtp", "Where other mail servers deliver."},
	{"listen.submission", "Where mail programs send: with STARTTLS, and with TLS from the first byte."},
	{"listen.submissions", ""},
	{"listen.imap", "Where mail programs read: with STARTTLS, and with TLS from the first byte."},
	{"listen.imaps", ""},
	{"listen.http", "Web: the proof that certificates need, and the way to https. Pages, mail\npolicy and the settings of mail programs stand behind https. Where one of\nthese ports is taken, mail goes on without it."},
	{"listen.https", ""},
	{"listen.metrics", "Figures for Prometheus, and whether the server is well; for this machine alone."},
	{"dns.resolver", "The DNS resolver to ask; empty means the system's."},
	{"log.level", "How much is logged: debug, info, warn or error."},
}

// Example is a file that holds every key, commented, with its default.
func Example() string {
	var b strings.Builder
	b.WriteString("# mailstead.toml: what the server must know before it starts. Everything else is\n" +
		"# changed by commands while it runs. Each key is shown with its default.\n")
	values, table := Default().values(), ""
	for _, k := range known {
		section, key, nested := strings.Cut(k.key, ".")
		if !nested {
			section, key = "", k.key
		}
		if section != table {
			table = section
			fmt.Fprintf(&b, "\n[%s]\n", section)
			if section == "listen" {
				b.WriteString("# Lists of addresses; an empty list switches a door off.\n")
			}
		} else if k.about != "" && section == "" {
			b.WriteString("\n")
		}
		for line := range strings.Lines(k.about) {
			fmt.Fprintf(&b, "# %s\n", strings.TrimSuffix(line, "\n"))
		}
		fmt.Fprintf(&b, "#%s = %s\n", key, values[k.key])
	}
	return b.String()
}

// values are the keys as the file writes them.
func (c Config) values() map[string]string {
	list := func(l []string) string {
		quoted := make([]string, len(l))
		for i, a := range l {
			quoted[i] = fmt.Sprintf("%q", a)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	text := func(s string) string { return fmt.Sprintf("%q", s) }
	return map[string]string{
		"hostname":           text(c.Hostname),
		"data":               text(c.Data),
		"message_size_limit": text(c.Limit.String()),
		"tls_cert":           text(c.TLSCert),
		"tls_key":            text(c.TLSKey),
		"listen.smtp":        list(c.Listen.SMTP),
		"listen.submission":  list(c.Listen.Submission),
		"listen.submissions": list(c.Listen.Submissions),
		"listen.imap":        list(c.Listen.IMAP),
		"listen.imaps":       list(c.Listen.IMAPS),
		"listen.http":        list(c.Listen.HTTP),
		"listen.https":       list(c.Listen.HTTPS),
		"listen.metrics":     list(c.Listen.Metrics),
		"dns.resolver":       text(c.DNS.Resolver),
		"log.level":          text(c.Log.Level),
	}
}

// suggest names the known key that is most like an unknown one.
func suggest(key string) string {
	var all []string
	for _, k := range known {
		// "smtp" for "listen.smtp": right key, wrong table
		if _, last, ok := strings.Cut(k.key, "."); ok && last == key {
			return fmt.Sprintf("did you mean %q? It stands below [%s]", k.key, strings.TrimSuffix(k.key, "."+last))
		}
		all = append(all, k.key)
	}
	best := Nearest(key, all)
	if best == "" {
		return "`mailstead config` prints every key with its default"
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// Nearest is the word of a list that somebody may have meant, "" for none.
func Nearest(word string, list []string) string {
	best, least := "", len(word)/2+1
	for _, l := range list {
		if d := distance(word, l); d < least {
			best, least = l, d
		}
	}
	return best
}

// distance is how many letters must be added, removed or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
