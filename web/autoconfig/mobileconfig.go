package autoconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailstead/message"
)

// Profile answers ProfilePath: an Apple configuration profile for the address,
// signed with the host's certificate. It holds no password, which the device
// asks for; the name that others see may come with the request.
func (h *Handler) Profile(w http.ResponseWriter, r *http.Request) {
	address := r.URL.Query().Get("address")
	if strings.TrimSpace(address) == "" {
		h.refuse(w, errAddress)
		return
	}
	who, domain, err := h.about(r, address)
	if err != nil {
		h.refuse(w, err)
		return
	}
	s, err := h.settings(domain)
	if err != nil {
		h.refuse(w, err)
		return
	}
	cert, err := h.Sign()
	if err != nil {
		h.refuse(w, fmt.Errorf("a certificate to sign with: %w", err))
		return
	}
	body, err := sign(s.profile(who, personName(r)), cert, h.now())
	if err != nil {
		h.refuse(w, err)
		return
	}
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": string(domain) + ".mobileconfig"}))
	answer(w, "application/x-apple-aspen-config", body)
}

// maxPerson is how long a person's name may be.
const maxPerson = 100

// personName is the name in a request, "" for none that can be shown.
func personName(r *http.Request) string {
	name := strings.TrimSpace(r.URL.Query().Get("name"))
	if len(name) > 4*maxPerson || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) || !utf8.ValidString(name) {
		return ""
	}
	return clip(name, maxPerson)
}

// profile is the property list: one payload with IMAP and SMTP, which is what
// com.apple.mail.managed is. The UUIDs are made of the address, so that a newer
// profile takes the older one's place.
func (s Settings) profile(who message.Address, name string) []byte {
	in, out := s.Incoming[0], s.Outgoing[0]
	user, shown := who.String(), who.Unicode()
	id := identifier(who)
	mail := dict{
		{"PayloadType", "com.apple.mail.managed"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", id + ".mail"},
		{"PayloadUUID", uuid("mail", user)},
		{"PayloadDisplayName", shown},
		{"EmailAccountType", "EmailTypeIMAP"},
		{"EmailAccountDescription", shown},
		{"EmailAddress", user},
		{"IncomingMailServerAuthentication", "EmailAuthPassword"},
		{"IncomingMailServerHostName", string(in.Host)},
		{"IncomingMailServerPortNumber", in.Port},
		{"IncomingMailServerUseSSL", true}, // STARTTLS too: the port says which
		{"IncomingMailServerUsername", user},
		{"OutgoingMailServerAuthentication", "EmailAuthPassword"},
		{"OutgoingMailServerHostName", string(out.Host)},
		{"OutgoingMailServerPortNumber", out.Port},
		{"OutgoingMailServerUseSSL", true},
		{"OutgoingMailServerUsername", user},
		{"OutgoingPasswordSameAsIncomingPassword", true},
	}
	if name != "" {
		mail = append(mail, entry{"EmailAccountName", name})
	}
	whole := dict{
		{"PayloadType", "Configuration"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", id},
		{"PayloadUUID", uuid("profile", user)},
		{"PayloadDisplayName", "Mail of " + shown},
		{"PayloadDescription", "Sets up " + shown + " in Mail. The password is asked for and is not in this profile."},
		{"PayloadOrganization", s.Domain.Unicode()},
		{"PayloadRemovalDisallowed", false},
		{"PayloadContent", []dict{mail}},
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n")
	b.WriteString("<plist version=\"1.0\">\n")
	whole.write(&b, "")
	b.WriteString("</plist>\n")
	return b.Bytes()
}

// identifier is a profile's name among all of a device: the domain backwards,
// and what tells one address from another.
func identifier(who message.Address) string {
	labels := strings.Split(string(who.Domain), ".")
	slices.Reverse(labels)
	sum := sha256.Sum256([]byte(who.String()))
	return fmt.Sprintf("%s.mail.%x", strings.Join(labels, "."), sum[:6])
}

// uuid is one of version 8 (RFC 9562, 5.8): a hash of what it is for.
func uuid(what, address string) string {
	u := sha256.Sum256([]byte("mailstead " + what + " " + address))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]))
}

// dict is a dictionary of a property list, in order. Values are string, int,
// bool and []dict.
type dict []entry

type entry struct {
	Key   string
	Value any
}

func (d dict) write(b *bytes.Buffer, indent string) {
	b.WriteString(indent + "<dict>\n")
	for _, e := range d {
		fmt.Fprintf(b, "%s  <key>%s</key>\n", indent, e.Key)
		switch v := e.Value.(type) {
		case string:
			b.WriteString(indent + "  <string>")
			_ = xml.EscapeText(b, []byte(v)) // a Buffer takes all
			b.WriteString("</string>\n")
		case int:
			b.WriteString(indent + "  <integer>" + strconv.Itoa(v) + "</integer>\n")
		case bool:
			fmt.Fprintf(b, "%s  <%t/>\n", indent, v)
		case []dict:
			b.WriteString(indent + "  <array>\n")
			for _, inner := range v {
				inner.write(b, indent+"    ")
			}
			b.WriteString(indent + "  </array>\n")
		}
	}
	b.WriteString(indent + "</dict>\n")
}
