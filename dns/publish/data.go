package publish

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"mailstead/dns/zone"
	"mailstead/message"
)

// normal writes a record's data in one way, so that equal ones are equal: names
// in lower case with their final dot, numbers without zeros before them, TXT as
// plain text. Data that cannot be read stays as it is.
func normal(r libdns.RR) libdns.RR {
	r.Type = strings.ToUpper(r.Type)
	r.Name = strings.ToLower(r.Name)
	f := strings.Fields(r.Data)
	switch r.Type {
	case "TXT":
	case "A", "AAAA":
		if a, err := netip.ParseAddr(strings.TrimSpace(r.Data)); err == nil {
			r.Data = a.String()
		}
	case "CNAME", "NS", "PTR", "DNAME":
		r.Data = hostName(r.Data)
	case "MX", "SRV":
		if len(f) > 1 {
			f[len(f)-1] = hostName(f[len(f)-1])
			r.Data = strings.Join(numbers(f), " ")
		}
	case "CAA":
		if p := strings.SplitN(strings.TrimSpace(r.Data), " ", 3); len(p) == 3 {
			value := zone.Record{Type: "TXT", Data: p[2]}.Text()
			if !strings.HasPrefix(p[2], `"`) {
				value = p[2]
			}
			r.Data = strings.Join(numbers(p[:1]), "") + " " + strings.ToLower(p[1]) + " " + zone.Quote(value)
		}
	case "TLSA":
		if len(f) > 3 {
			r.Data = strings.Join(numbers(f[:3]), " ") + " " + strings.ToLower(strings.Join(f[3:], ""))
		}
	default:
		r.Data = strings.Join(f, " ")
	}
	return r
}

func numbers(fields []string) []string {
	for i, f := range fields {
		if n, err := strconv.ParseUint(f, 10, 32); err == nil {
			fields[i] = strconv.FormatUint(n, 10)
		}
	}
	return fields
}

// hostName is a name in data: lower case, one final dot.
func hostName(s string) string {
	return ascii(strings.TrimRight(strings.TrimSpace(s), ".")) + "."
}

// wire is the presentation form that most providers take: TXT quoted, in
// strings of at most 255 octets.
func wire(r libdns.RR) string {
	if r.Type == "TXT" {
		return zone.Quote(r.Data)
	}
	return r.Data
}

// unwire undoes wire.
func unwire(typ, data string) string {
	if typ == "TXT" {
		return zone.Record{Type: "TXT", Data: data}.Text()
	}
	return data
}

// same tells whether two records are one, whatever their times to live.
func same(a, b libdns.RR) bool { return a.Name == b.Name && a.Type == b.Type && a.Data == b.Data }

// matches is how libdns deletes: what is empty in the pattern matches all. Of a
// record with its data the TTL does not count: who added it may have asked for
// one that the provider raised.
func matches(r, pattern libdns.RR) bool {
	return r.Name == pattern.Name && (pattern.Type == "" || r.Type == pattern.Type) &&
		(pattern.Data == "" || r.Data == pattern.Data) && (pattern.TTL == 0 || pattern.Data != "" || r.TTL == pattern.TTL)
}

// reduce takes records as libdns gives them.
func reduce(records []libdns.Record) []libdns.RR {
	all := make([]libdns.RR, len(records))
	for i, r := range records {
		all[i] = normal(r.RR())
		if all[i].Name == "" {
			all[i].Name = "@"
		}
	}
	return all
}

// expand gives records as libdns wants them: typed where it knows the type.
func expand(all []libdns.RR) []libdns.Record {
	records := make([]libdns.Record, len(all))
	for i, r := range all {
		records[i] = r
		if typed, err := r.Parse(); err == nil && normal(typed.RR()) == r {
			records[i] = typed
		}
	}
	return records
}

// seconds is a time to live as providers take it.
func seconds(d time.Duration, least int) int { return max(int(d/time.Second), least) }

// ascii is a name in A-labels and lower case: some providers show people, and
// programs, the letters of an internationalised name.
func ascii(name string) string {
	for i := range len(name) {
		if name[i] >= 0x80 {
			bare, star := strings.CutPrefix(name, "*.")
			d, err := message.ParseDomain(bare)
			if err != nil {
				break
			}
			if star {
				return "*." + string(d)
			}
			return string(d)
		}
	}
	return strings.ToLower(name)
}

// relative is a name inside of a zone, "@" for the zone itself.
func relative(name, zone string) string {
	name, zone = ascii(strings.TrimSuffix(name, ".")), ascii(strings.TrimSuffix(zone, "."))
	if name == zone || name == "" {
		return "@"
	}
	return strings.TrimSuffix(name, "."+zone)
}

// absolute is a fully qualified name without the final dot.
func absolute(name, zone string) string {
	zone = strings.TrimSuffix(zone, ".")
	if name == "@" || name == "" {
		return zone
	}
	return name + "." + zone
}

// parents gives a name and what it lies below, without the top.
func parents(name string) []string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	var all []string
	for strings.Contains(name, ".") {
		all = append(all, name)
		_, name, _ = strings.Cut(name, ".")
	}
	return all
}

func atoi(s string) (int, error) { return strconv.Atoi(s) }

// deleteMatching deletes, at a provider that changes a zone in one go, what the
// patterns match (libdns.RecordDeleter).
func deleteMatching(ctx context.Context, p interface {
	looker
	replacer
}, zone string, patterns []libdns.Record) ([]libdns.Record, error) {
	wanted := reduce(patterns)
	old, err := p.LookupRecords(ctx, zone, namesOf(wanted))
	if err != nil {
		return nil, err
	}
	gone := expand(slices.DeleteFunc(reduce(old), func(o libdns.RR) bool {
		return !slices.ContainsFunc(wanted, func(r libdns.RR) bool { return matches(o, r) })
	}))
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, p.ReplaceRecords(ctx, zone, gone, nil)
}
