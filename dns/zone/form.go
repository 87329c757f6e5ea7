package zone

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mailstead/message"
)

// Form is a record as the web forms of DNS providers ask for it.
type Form struct {
	Name     string `json:"name"` // relative to the zone, "@" for the zone itself
	Type     string `json:"type"`
	TTL      int    `json:"ttl"`                // seconds
	Priority *int   `json:"priority,omitempty"` // of MX and SRV, where the form has a field for it
	Value    string `json:"value"`              // TXT in one piece and without quotes
}

// Form gives the record for the form of a zone.
func (r Record) Form(origin message.Domain) Form {
	f := Form{Name: Relative(r.Name, origin), Type: r.Type, TTL: int(r.TTL / time.Second), Value: r.Data}
	switch r.Type {
	case "TXT":
		f.Value = r.Text()
	case "MX", "SRV":
		first, rest, _ := strings.Cut(r.Data, " ")
		if n, err := strconv.Atoi(first); err == nil {
			f.Priority, f.Value = &n, rest
		}
	}
	return f
}

// Relative is a name as it is written inside of a zone: "@" for the zone itself,
// the whole name with its final dot where it lies outside.
func Relative(name string, origin message.Domain) string {
	switch {
	case name == string(origin):
		return "@"
	case Within(name, origin):
		return strings.TrimSuffix(name, "."+string(origin))
	}
	return name + "."
}

// WriteFile writes the records as a part of a zone file (RFC 1035, 5), without
// SOA and NS. Records outside of the zone stand in comments.
func WriteFile(w io.Writer, origin message.Domain, records []Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s.\n", origin)
	for _, r := range records {
		fmt.Fprintf(&b, "; %s\n", oneLine(r.Purpose))
		if !Within(r.Name, origin) {
			b.WriteString("; in another zone: ")
		}
		fmt.Fprintf(&b, "%s\t%d\tIN\t%s\t%s\n", Relative(r.Name, origin), int(r.TTL/time.Second), r.Type, r.Data)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
