package message

import (
	"strconv"
	"strings"
)

// section is one piece of a value that RFC 2231, 3 let continue.
type section struct {
	base    string
	number  int
	encoded bool
	value   string
}

// joinContinuations does RFC 2231, 3: "name*0", "name*1*" become "name" or, when
// one of them is encoded, "name*". The joined one stands where section 0 stood;
// sections may come in any order. Those that miss a predecessor stay as they are.
func joinContinuations(list []Param) []Param {
	var sections []section
	for _, p := range list {
		if base, number, encoded, ok := cutSection(p.Name); ok {
			sections = append(sections, section{base, number, encoded, p.Value})
		}
	}
	out := list[:0]
	for _, p := range list {
		base, number, _, ok := cutSection(p.Name)
		switch last := lastSection(sections, base); {
		case !ok || number > last:
			out = append(out, p)
		case number == 0:
			out = append(out, joinSections(sections, base, last))
		}
	}
	return out
}

// lastSection is the number up to which all sections of base are there, or -1.
func lastSection(sections []section, base string) int {
	for n := 0; ; n++ {
		if findSection(sections, base, n) == nil {
			return n - 1
		}
	}
}

func findSection(sections []section, base string, number int) *section {
	for i := range sections {
		if sections[i].base == base && sections[i].number == number {
			return &sections[i]
		}
	}
	return nil
}

func joinSections(sections []section, base string, last int) Param {
	encoded := false
	for n := 0; n <= last; n++ {
		encoded = encoded || findSection(sections, base, n).encoded
	}
	var b strings.Builder
	for n := 0; n <= last; n++ {
		if s := findSection(sections, base, n); encoded && !s.encoded {
			percentEncode(&b, s.value)
		} else {
			b.WriteString(s.value)
		}
	}
	if encoded {
		base += "*"
	}
	return Param{base, b.String()}
}

// cutSection divides "name*3*" into its name, section number and whether the
// value is encoded.
func cutSection(name string) (base string, section int, encoded, ok bool) {
	base, number, ok := strings.Cut(name, "*")
	if !ok || base == "" || number == "" {
		return "", 0, false, false
	}
	if n := strings.TrimSuffix(number, "*"); n != number {
		number, encoded = n, true
	}
	section, err := strconv.Atoi(number)
	return base, section, encoded, err == nil && section >= 0
}

func percentEncode(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; tspecial(c) || c == '%' || c == '*' || c == '\'' || c >= 0x80 {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
}
