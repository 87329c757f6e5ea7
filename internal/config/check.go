package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailstead/message"
)

// Size is a number of bytes, written as 52428800 or "50 MB".
type Size int64

const (
	leastLimit = 64 << 10 // RFC 5321, 4.5.3.1.7: at least 64K octets
	mostLimit  = 1 << 30
)

var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// ParseSize reads "50 MB", "10GiB" or "1048576".
func ParseSize(text string) (Size, error) {
	number, factor := strings.TrimSpace(text), int64(1)
	for _, u := range units {
		if rest, ok := cutSuffixFold(number, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n*float64(factor) <= 1<<60) {
		return 0, fmt.Errorf("%q is not a size such as \"50 MB\"", text)
	}
	return Size(n * float64(factor)), nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}

// UnmarshalTOML takes a number or a text.
func (s *Size) UnmarshalTOML(v any) (err error) {
	switch v := v.(type) {
	case int64:
		*s = Size(v)
	case string:
		*s, err = ParseSize(v)
	default:
		err = fmt.Errorf("%v is not a size such as \"50 MB\"", v)
	}
	return err
}

// String writes it for people: "50 MB".
func (s Size) String() string {
	for _, u := range []string{"GiB", "GB", "MiB", "MB", "KiB", "KB"} {
		for _, unit := range units {
			if unit.name == u && int64(s) >= unit.bytes && int64(s)%unit.bytes == 0 {
				return fmt.Sprintf("%d %s", int64(s)/unit.bytes, u)
			}
		}
	}
	return fmt.Sprintf("%d", int64(s))
}

// hints say what to write instead, by key.
var hints = map[string]string{
	"hostname":           `write the name under which other mail servers reach this machine, such as "mail.example.org"`,
	"message_size_limit": `write a size such as "50 MB"`,
	"tls_cert":           "tls_cert and tls_key name one certificate: give both or none",
	"dns.resolver":       `write an IP address such as "127.0.0.1" or "[::1]:5353", or "" for the system's resolver`,
	"log.level":          `write "debug", "info", "warn" or "error"`,
	"listen.smtp":        listenHint,
	"listen.submission":  listenHint,
	"listen.submissions": listenHint,
	"listen.imap":        listenHint,
	"listen.imaps":       listenHint,
	"listen.http":        listenHint,
	"listen.https":       listenHint,
	"listen.metrics":     listenHint,
	"listen.pop3s":       listenHint,
	"listen.managesieve": listenHint,
}

const listenHint = `write addresses such as ":25" or "192.0.2.1:25"; an empty list switches the door off`

// check finds the first key whose value cannot work.
func (c *Config) check() (key string, err error) {
	if c.Hostname != "" {
		if c.Hostname, err = validHost(c.Hostname); err != nil {
			return "hostname", err
		}
	}
	if c.Data == "" {
		return "data", errors.New("is empty")
	}
	if c.Limit < leastLimit || c.Limit > mostLimit {
		return "message_size_limit", fmt.Errorf("%s is not between %s and %s", c.Limit, Size(leastLimit), Size(mostLimit))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return "tls_cert", errors.New("one of tls_cert and tls_key is missing")
	}
	if key, err := c.Listen.check(); err != nil {
		return key, err
	}
	if err := validResolver(c.DNS.Resolver); err != nil {
		return "dns.resolver", err
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return "log.level", fmt.Errorf("%q is no level", c.Log.Level)
	}
	return "", nil
}

// validHost wants a fully qualified name and gives its A-label form.
func validHost(name string) (string, error) {
	d, err := message.ParseDomain(name)
	switch {
	case err != nil:
		return "", err
	case strings.HasPrefix(string(d), "["):
		return "", fmt.Errorf("%q is an address, not a name", name)
	case !strings.Contains(string(d), "."):
		return "", fmt.Errorf("%q has no domain", name)
	}
	return string(d), nil
}

func (l *Listen) check() (key string, err error) {
	taken := map[string]string{}
	for _, door := range []struct {
		key   string
		addrs []string
	}{
		{"listen.smtp", l.SMTP}, {"listen.submission", l.Submission}, {"listen.submissions", l.Submissions},
		{"listen.imap", l.IMAP}, {"listen.imaps", l.IMAPS},
		{"listen.http", l.HTTP}, {"listen.https", l.HTTPS}, {"listen.metrics", l.Metrics},
		{"listen.pop3s", l.POP3S}, {"listen.managesieve", l.ManageSieve},
	} {
		for _, a := range door.addrs {
			if err := validListen(a); err != nil {
				return door.key, err
			}
			if other := taken[a]; other != "" && !strings.HasSuffix(a, ":0") {
				return door.key, fmt.Errorf("%q is used by %s too", a, other)
			}
			taken[a] = door.key
		}
	}
	return "", nil
}

func validListen(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("%q is not address:port", a)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("%q has no port number", a)
	}
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%q is not an IP address of this machine", host)
	}
	return nil
}

func validResolver(a string) error {
	if a == "" {
		return nil
	}
	if _, err := netip.ParseAddr(a); err == nil {
		return nil
	}
	if _, err := netip.ParseAddrPort(a); err == nil {
		return nil
	}
	return fmt.Errorf("%q is no IP address", a)
}
