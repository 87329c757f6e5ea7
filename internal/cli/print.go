package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"mailstead/internal/maillog"
)

// clean makes text from outside fit for a terminal.
func clean(s string) string { return maillog.Clean(s, 2000) }

// colour is an ANSI attribute.
type colour string

const (
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// paint colours text where standard output and error are a terminal and the
// person did not say NO_COLOR (no-color.org).
func (p *program) paint(c colour, text string) string {
	if !p.colours() || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

func (p *program) colours() bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(p.out) && isTerminal(p.err)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// table prints rows under a header, each column as wide as its widest cell.
type table struct {
	header []string
	rows   [][]cell
}

// cell is one text with its colour; "" is none.
type cell struct {
	text   string
	colour colour
}

func (t *table) add(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case cell:
			row[i] = cell{clean(c.text), c.colour}
		default:
			row[i] = cell{text: clean(fmt.Sprint(c))}
		}
	}
	t.rows = append(t.rows, row)
}

func (t *table) print(p *program, w io.Writer) {
	head := make([]cell, len(t.header))
	for i, h := range t.header {
		head[i] = cell{h, dim}
	}
	all := append([][]cell{head}, t.rows...)
	width := make([]int, len(t.header))
	for _, row := range all {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, c := range row {
			text := c.text
			if c.colour != "" {
				text = p.paint(c.colour, text)
			}
			line.WriteString(text)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// list prints names with their values, one a line, aligned.
type list [][2]string

func (l *list) add(name, format string, args ...any) {
	*l = append(*l, [2]string{name, clean(fmt.Sprintf(format, args...))})
}

func (l list) print(p *program, w io.Writer) {
	width := 0
	for _, e := range l {
		width = max(width, len(e[0]))
	}
	for _, e := range l {
		fmt.Fprintf(w, "%s%s  %s\n", p.paint(dim, e[0]), strings.Repeat(" ", width-len(e[0])), e[1])
	}
}

// bytesText writes a size as people say it.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 999_500:
		return fmt.Sprintf("%.0f KB", float64(n)/1e3)
	case n < 999_500_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

const (
	dateOnly = "2006-01-02"
	dateTime = "2006-01-02 15:04"
)

// ago says how long ago a time was.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(time.Since(t)) + " ago"
}

// until says when a time will be.
func until(t time.Time) string {
	if d := time.Until(t); d > 0 {
		return "in " + span(d)
	}
	return "now"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// plural says a number with its noun.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
