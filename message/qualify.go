package message

import "strings"

// ParseAddressList reads an address-list as people and programs write it, on a
// command line or in a field: groups are resolved, and addresses without a
// domain are kept, with an empty Host.
func ParseAddressList(s string) (list []ImapAddress) {
	for _, a := range appendAddresses(nil, s) {
		if a.HasHost && a.Mailbox != "" {
			list = append(list, a)
		}
	}
	return list
}

// Rehost gives every address of a field the host that home names for it: "" asks
// for one that has none. The field is made anew only where that changes
// something, and else comes back byte for byte.
func (f Field) Rehost(home func(host string) string) Field {
	list := appendAddresses(nil, f.Body())
	changed := false
	for i, a := range list {
		if a.HasHost && a.Mailbox != "" {
			if h := home(a.Host); h != a.Host {
				list[i].Host, changed = h, true
			}
		}
	}
	if !changed {
		return f
	}
	return Field{f.Name, appendField(nil, f.Name, formatList(list))}
}

// formatList is the inverse of appendAddresses, without comments and routes.
func formatList(list []ImapAddress) string {
	var b strings.Builder
	first := true
	for _, a := range list {
		switch {
		case a.HasHost && a.Mailbox == "":
			continue
		case !a.HasMailbox: // a group's end
			b.WriteString(";")
			first = false
			continue
		case !first:
			b.WriteString(", ")
		}
		first = false
		if !a.HasHost { // a group's name
			b.WriteString(phrase(a.Mailbox) + ": ")
			first = true
			continue
		}
		b.WriteString(FormatMailbox(DecodeText(a.Name), quoteLocal(a.Mailbox)+"@"+a.Host))
	}
	return b.String()
}

// FormatMailbox writes `Name <address>` for a header field, in ASCII as far as
// the address is; without a name the address alone.
func FormatMailbox(name, address string) string {
	if name == "" {
		return address
	}
	return phrase(name) + " <" + address + ">"
}

// specials of a phrase want quotes (RFC 5322, 3.2.3), and what would be read as
// an encoded word.
const specials = "()<>[]:;@\\,.\"=?"

// phrase makes a name fit to stand before an address.
func phrase(name string) string {
	name = strings.ToValidUTF8(withoutControls(name), "\uFFFD")
	switch {
	case !isASCII(name):
		return encodeWords(name)
	case strings.ContainsAny(name, specials):
		return quote(name)
	}
	return name
}
