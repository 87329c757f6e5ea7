package message

import (
	"errors"
	"strings"
	"time"
)

// DateFormat is RFC 5322's date-time as we write it.
const DateFormat = "Mon, 02 Jan 2006 15:04:05 -0700"

// FormatDate writes a Date field's body.
func FormatDate(t time.Time) string { return t.Format(DateFormat) }

var errDate = errors.New("not a date")

// ParseDate reads RFC 5322, 3.3 and what is found in its place: no or a wrong
// day of the week, two-digit years, names of months in full, no seconds, no or
// a named zone, asctime's order ("Mon Jan  2 15:04:05 2006"), ISO 8601's.
// The zone of the result is the one that was written; UTC when none was.
func ParseDate(s string) (time.Time, error) {
	d := dateParser{month: -1, day: -1, year: -1, hour: -1}
	for s = skipSpace(s); s != ""; s = skipSpace(s) {
		i := 0
		for i < len(s) && s[i] != ' ' && s[i] != '\t' && s[i] != ',' && s[i] != '(' {
			i++
		}
		if i == 0 {
			s = s[1:]
			continue
		}
		d.word(s[:i])
		s = s[i:]
	}
	return d.time()
}

type dateParser struct {
	year, month, day, hour, minute, second int
	zone                                   int // seconds east
	pm, am                                 bool
}

// word takes one word for what it can still be.
func (d *dateParser) word(w string) {
	switch c := w[0]; {
	case len(w) > 10 && w[10]|0x20 == 't' && w[4] == '-': // "2006-01-02T15:04:05Z"
		d.digits(w[:10])
		d.clock(w[11:])
	case strings.IndexByte(w, ':') > 0 && d.hour < 0 && '0' <= c && c <= '9':
		d.clock(w)
	case (c == '+' || c == '-') && d.hour >= 0:
		d.offset(w)
	case '0' <= c && c <= '9':
		d.digits(w)
	case alphanumeric(c):
		d.name(w)
	}
}

// clock reads "15:04", "15:04:05", "15:04:05.9", "15:04:05+0100", "15:04Z".
func (d *dateParser) clock(w string) {
	if i := strings.LastIndexAny(w, "+-"); i > 3 {
		d.offset(w[i:])
		w = w[:i]
	}
	if i := strings.IndexAny(w, ".Zz"); i >= 0 {
		w = w[:i]
	}
	parts := strings.SplitN(w, ":", 3)
	if len(parts) < 2 {
		return
	}
	d.hour, d.minute = number(parts[0]), number(parts[1])
	if len(parts) == 3 {
		d.second = max(number(parts[2]), 0)
	}
}

func (d *dateParser) offset(w string) {
	digits := strings.ReplaceAll(w[1:], ":", "")
	n := number(digits)
	if n < 0 || len(digits) > 4 {
		return
	}
	if len(digits) <= 2 {
		n *= 100
	}
	d.zone = (n/100*60 + n%100) * 60
	if w[0] == '-' {
		d.zone = -d.zone
	}
	if n/100 > 23 || n%100 > 59 {
		d.zone = 0
	}
}

// digits reads a day, a year, "2-Jan-2006", "2006-01-02".
func (d *dateParser) digits(w string) {
	if parts := strings.Split(w, "-"); len(parts) == 3 {
		if len(parts[0]) == 4 {
			d.year, d.month, d.day = number(parts[0]), number(parts[1])-1, number(parts[2])
			return
		}
		for _, p := range parts {
			if p != "" {
				d.word(p)
			}
		}
		return
	}
	n := number(w)
	switch {
	case n < 0:
	case d.day < 0 && len(w) <= 2:
		d.day = n
	case d.year < 0 && len(w) >= 2:
		d.year = n
		if len(w) < 4 { // RFC 5322, 4.3
			if d.year += 1900; len(w) == 2 && n < 50 {
				d.year += 100
			}
		}
	}
}

// name reads a month, a day of the week (ignored) or a zone.
func (d *dateParser) name(w string) {
	if len(w) >= 3 && d.month < 0 {
		if i := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", lower(w[:3])); i >= 0 && i%3 == 0 {
			d.month = i / 3
			return
		}
	}
	if d.hour < 0 {
		return
	}
	for _, z := range [...]struct {
		name  string
		hours int
	}{{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6}, {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8},
		{"CET", 1}, {"CEST", 2}, {"BST", 1}, {"JST", 9}} {
		if strings.EqualFold(w, z.name) {
			d.zone = z.hours * 3600
		}
	}
	d.pm = d.pm || strings.EqualFold(w, "pm")
	d.am = d.am || strings.EqualFold(w, "am")
	if len(w) > 3 && (w[3] == '+' || w[3] == '-') { // "GMT+0200"
		d.offset(w[3:])
	}
}

func (d *dateParser) time() (time.Time, error) {
	if d.hour < 0 {
		d.hour = 0
	}
	if d.pm && d.hour < 12 {
		d.hour += 12
	} else if d.am && d.hour == 12 {
		d.hour = 0
	}
	if d.day < 1 || d.day > 31 || d.month < 0 || d.month > 11 || d.year < 1900 || d.year > 9999 ||
		d.hour > 24 || d.minute < 0 || d.minute > 59 || d.second < 0 || d.second > 61 {
		return time.Time{}, errDate
	}
	loc := time.UTC
	if d.zone != 0 {
		loc = time.FixedZone("", d.zone)
	}
	return time.Date(d.year, time.Month(d.month+1), d.day, d.hour, d.minute, min(d.second, 59), 0, loc), nil
}

// number reads at most nine digits; -1 for anything else.
func number(s string) int {
	if s == "" || len(s) > 9 {
		return -1
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
