package zone

import (
	"slices"
	"strings"
)

// SPF is the domain's SPF record: what was there, with our mechanisms added.
// It says ~all where nothing said otherwise: receivers that refuse on -all alone
// refuse forwarded mail whose DKIM signature is good, before DMARC is asked
// (RFC 9989, 7.4).
func SPF(s Settings) string {
	own := "a:" + string(s.Host)
	if s.Host == s.Domain {
		own = "a"
	}
	ours := []string{own}
	for _, d := range s.Include {
		ours = append(ours, "include:"+d)
	}
	return mergeSPF(ours, s.ExistingSPF, "~all")
}

// MergeSPF is what stands in the zone when a wanted record meets what is there
// already, which is one record and should be. Merging twice changes nothing.
func MergeSPF(wanted string, existing ...string) string {
	var ours []string
	fallback := "~all"
	for _, t := range Terms(wanted) {
		if strings.TrimLeft(strings.ToLower(t), "+-~?") == "all" {
			fallback = t
			continue
		}
		ours = append(ours, t)
	}
	return mergeSPF(ours, existing, fallback)
}

// mergeSPF puts our mechanisms first, where nothing that fails stands before
// them, then those of the existing records in their order, each once, then what
// ends the record: one "all", or a redirect, which takes effect only without one
// (RFC 7208, 5.1 and 6.1). What stood behind an "all" had no effect and gets
// none: it is left out.
func mergeSPF(ours, existing []string, fallback string) string {
	terms := slices.Clone(ours)
	all, redirect := "", ""
	var modifiers []string
	add := func(list []string, term string) []string {
		same := func(t string) bool { return canonical(t) == canonical(term) }
		if slices.ContainsFunc(list, same) {
			return list
		}
		return append(list, term)
	}
	for _, record := range existing {
		ended := false
		for _, term := range Terms(record) {
			name := strings.ToLower(term)
			switch {
			case strings.HasPrefix(name, "redirect="):
				redirect = term
			case isModifier(name):
				modifiers = add(modifiers, term)
			case strings.TrimLeft(name, "+-~?") == "all":
				if all == "" || strictness(name) < strictness(all) {
					all = name // of two records the milder one, so that nobody's mail is lost
				}
				ended = true
			case !ended:
				terms = add(terms, term)
			}
		}
	}
	switch {
	case all != "":
		terms = append(terms, all)
	case redirect != "":
		terms = append(terms, redirect)
	default:
		terms = append(terms, fallback)
	}
	return strings.Join(append(append([]string{"v=spf1"}, terms...), modifiers...), " ")
}

// Terms are the parts of an SPF record after its version; nil when it is none.
func Terms(record string) []string {
	f := strings.Fields(record)
	if len(f) == 0 || !strings.EqualFold(f[0], "v=spf1") {
		return nil
	}
	return f[1:]
}

// IsSPF tells whether a TXT record is an SPF record (RFC 7208, 4.5).
func IsSPF(text string) bool {
	text = strings.ToLower(text)
	return text == "v=spf1" || strings.HasPrefix(text, "v=spf1 ")
}

// isModifier tells name=value from a mechanism, whose value comes after a colon
// (RFC 7208, 4.6.1).
func isModifier(term string) bool {
	eq := strings.IndexByte(term, '=')
	return eq > 0 && !strings.ContainsAny(term[:eq], ":/")
}

// canonical is a term as it is compared.
func canonical(term string) string {
	term = strings.TrimSuffix(strings.ToLower(term), ".")
	return strings.TrimPrefix(term, "+")
}

// strictness of an "all", whose qualifier is + where none is written.
func strictness(all string) int { return max(0, strings.IndexByte("+?~-", all[0])) }

// Lookups counts the terms of one record that make a receiver ask the DNS; ten
// are allowed in all, with those of the included records (RFC 7208, 4.6.4).
func Lookups(record string) int { return len(Asking(record)) }

// Asking gives these terms: those before an "all", at which a receiver has come
// to its result, and the redirect, which counts only without one (RFC 7208, 5.1
// and 6.1).
func Asking(record string) []string {
	var all []string
	redirect, ended := "", false
	for _, t := range Terms(record) {
		switch name := strings.ToLower(t); {
		case strings.HasPrefix(name, "redirect="):
			redirect = t
		case strings.TrimLeft(name, "+-~?") == "all":
			ended = true
		case !ended && lookups(t) > 0:
			all = append(all, t)
		}
	}
	if redirect != "" && !ended {
		all = append(all, redirect)
	}
	return all
}

func lookups(term string) int {
	name := strings.TrimLeft(strings.ToLower(term), "+-~?")
	if end := strings.IndexAny(name, ":/="); end >= 0 {
		name = name[:end]
	}
	switch name {
	case "include", "a", "mx", "ptr", "exists", "redirect":
		return 1
	}
	return 0
}
