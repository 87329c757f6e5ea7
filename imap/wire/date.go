package wire

import (
	"strings"
	"time"
)

const months = "janfebmaraprmayjunjulaugsepoctnovdec"

// Date takes a date as SEARCH has it, 1-Feb-1994, quoted or not, and gives
// midnight UTC of that day.
func (r *Reader) Date() time.Time {
	quoted := r.Accept('"')
	y, m, d := r.dayMonthYear()
	if quoted {
		r.Expect('"')
	}
	return r.checkedDate(y, m, d, 0, 0, 0, time.UTC)
}

// DateTime takes the date-time of APPEND: "17-Jul-1996 02:44:25 -0700", the
// day padded with a space when it has one digit.
func (r *Reader) DateTime() time.Time {
	r.Expect('"')
	r.Accept(' ')
	y, m, d := r.dayMonthYear()
	r.Expect(' ')
	hour := r.twoDigits()
	r.Expect(':')
	minute := r.twoDigits()
	r.Expect(':')
	sec := r.twoDigits()
	r.Expect(' ')
	sign := 1
	if r.Accept('-') {
		sign = -1
	} else {
		r.Expect('+')
	}
	zh, zm := r.twoDigits(), r.twoDigits()
	r.Expect('"')
	if hour > 23 || minute > 59 || sec > 60 || zm > 59 || zh > 23 {
		r.Fail("bad time")
		return time.Time{}
	}
	zone := time.UTC
	if off := sign * (zh*3600 + zm*60); off != 0 {
		zone = time.FixedZone("", off)
	}
	return r.checkedDate(y, m, d, hour, minute, sec, zone)
}

func (r *Reader) checkedDate(y int, m time.Month, d, hour, minute, sec int, zone *time.Location) time.Time {
	if r.err != nil {
		return time.Time{}
	}
	t := time.Date(y, m, d, hour, minute, min(sec, 59), 0, zone) // a leap second stays in its minute
	if t.Day() != d || y < 1 {
		r.Fail("no such day")
		return time.Time{}
	}
	return t
}

func (r *Reader) dayMonthYear() (y int, m time.Month, d int) {
	n := r.Number()
	r.Expect('-')
	start := r.pos
	for range 3 {
		if c := r.Peek() | 0x20; c >= 'a' && c <= 'z' {
			r.pos++
		}
	}
	if r.err == nil {
		name := strings.ToLower(string(r.line[start:r.pos]))
		if i := strings.Index(months, name); len(name) == 3 && i%3 == 0 {
			m = time.Month(i/3 + 1)
		} else {
			r.Fail("bad month")
		}
	}
	r.Expect('-')
	start = r.pos
	year := r.Number()
	if r.err == nil && r.pos-start != 4 {
		r.Fail("year of four digits expected")
	}
	if n < 1 || n > 31 {
		r.Fail("no such day")
	}
	return int(year), m, int(n)
}

func (r *Reader) twoDigits() int {
	n := 0
	for range 2 {
		if !r.isDigit() {
			r.Fail("two digits expected")
			return 0
		}
		n = n*10 + int(r.line[r.pos]-'0')
		r.pos++
	}
	return n
}
