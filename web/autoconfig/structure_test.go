package autoconfig

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"mailstead/message"
)

// node is an element with its names, read without any of our types.
type node struct {
	name     string
	attrs    []string
	children []*node
	text     string
}

func tree(t *testing.T, text string) *node {
	t.Helper()
	root := &node{}
	stack := []*node{root}
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return root.children[0]
		}
		if err != nil {
			t.Fatal(err)
		}
		top := stack[len(stack)-1]
		switch v := token.(type) {
		case xml.StartElement:
			n := &node{name: v.Name.Local}
			for _, a := range v.Attr {
				if a.Name.Local != "xmlns" {
					n.attrs = append(n.attrs, a.Name.Local)
				}
			}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(v)
		}
	}
}

// element is what a document lets an element hold.
type element struct {
	attrs    string
	children string // "name" exactly one, "name?" at most one, "name+" one or more
	values   string // of the text, by blanks; "" for any
}

func (n *node) fits(t *testing.T, grammar map[string]element) {
	t.Helper()
	want, known := grammar[n.name]
	if !known {
		t.Errorf("<%s> is in no document", n.name)
		return
	}
	if got := strings.Join(n.attrs, " "); got != want.attrs {
		t.Errorf("<%s> has the attributes %q, not %q", n.name, got, want.attrs)
	}
	if text := strings.TrimSpace(n.text); want.values != "" && !slices.Contains(strings.Fields(want.values), text) {
		t.Errorf("<%s> says %q, not one of %s", n.name, text, want.values)
	}
	counts := map[string]int{}
	for _, c := range n.children {
		counts[c.name]++
		c.fits(t, grammar)
	}
	for _, child := range strings.Fields(want.children) {
		name := strings.TrimRight(child, "?+")
		c := counts[name]
		delete(counts, name)
		if c == 0 && !strings.HasSuffix(child, "?") || c > 1 && !strings.HasSuffix(child, "+") {
			t.Errorf("<%s> has %d of <%s>", n.name, c, name)
		}
	}
	for name := range counts {
		t.Errorf("<%s> holds <%s>", n.name, name)
	}
}

// draft-ietf-mailmaint-autoconfig-06, 4: the part of it that version 1.1 has.
func TestConfigIsAsDocumented(t *testing.T) {
	server := element{"type", "hostname port socketType authentication username", ""}
	grammar := map[string]element{
		"clientConfig":   {"version", "emailProvider", ""},
		"emailProvider":  {"id", "domain displayName displayShortName incomingServer+ outgoingServer+ documentation?", ""},
		"incomingServer": server, "outgoingServer": server,
		"documentation": {"url", "descr?", ""}, "descr": {"lang", "", ""},
		"socketType": {"", "", "SSL STARTTLS"}, "authentication": {"", "", "password-cleartext"},
	}
	for _, text := range strings.Fields("domain displayName displayShortName hostname port username") {
		grammar[text] = element{}
	}
	w := ask(newHandler(t), "GET", "https://autoconfig.xn--bcher-kva.example"+ConfigPath, "")
	tree(t, w.Body.String()).fits(t, grammar)
}

// [MS-OXDSCLI] 2.2.4.1.1 for settings, 2.2.4.1.1.3 and [MS-ASCMD] 2.2.3.63 for
// errors.
func TestDiscoverIsAsDocumented(t *testing.T) {
	settings := map[string]element{
		"Autodiscover": {"", "Response", ""}, "Response": {"", "User Account", ""}, "User": {"", "DisplayName", ""},
		"Account":     {"", "AccountType Action Protocol+", ""},
		"AccountType": {"", "", "email"}, "Action": {"", "", "settings"}, "Type": {"", "", "IMAP SMTP"}, "Encryption": {"", "", "SSL TLS"},
		"Protocol": {"", "Type TTL Server Port LoginName DomainRequired SPA SSL Encryption AuthRequired UsePOPAuth? SMTPLast?", ""},
	}
	for _, text := range strings.Fields("DisplayName TTL Server Port LoginName") {
		settings[text] = element{}
	}
	for _, flag := range strings.Fields("DomainRequired SPA SSL AuthRequired UsePOPAuth SMTPLast") {
		settings[flag] = element{"", "", "on off"}
	}
	failure := map[string]element{
		"Autodiscover": {"", "Response", ""}, "Response": {"", "Error", ""}, "Error": {"Time Id", "ErrorCode Message DebugData", ""},
		"ErrorCode": {"", "", "600 601"}, "Message": {}, "DebugData": {},
	}
	h := newHandler(t)
	for schema, grammar := range map[string]map[string]element{nsOutlook: settings, nsMobileSync: failure, "urn:other": failure} {
		tree(t, ask(h, "POST", "https://example.org"+DiscoverPath, post("alice@example.org", schema)).Body.String()).fits(t, grammar)
	}
}

// Apple's list of keys, with their types; a ! marks those that must be
// there. No key for a password is among them.
func TestProfileIsAsDocumented(t *testing.T) {
	common := "PayloadType:string! PayloadVersion:integer! PayloadIdentifier:string! PayloadUUID:string! PayloadDisplayName:string PayloadDescription:string PayloadOrganization:string"
	keys := map[string]string{
		"plist": common + " PayloadRemovalDisallowed:boolean PayloadContent:array!",
		"array": common + " EmailAccountType:string! EmailAccountDescription:string EmailAccountName:string EmailAddress:string" +
			" IncomingMailServerAuthentication:string! IncomingMailServerHostName:string! IncomingMailServerPortNumber:integer IncomingMailServerUseSSL:boolean IncomingMailServerUsername:string" +
			" OutgoingMailServerAuthentication:string! OutgoingMailServerHostName:string! OutgoingMailServerPortNumber:integer OutgoingMailServerUseSSL:boolean OutgoingMailServerUsername:string" +
			" OutgoingPasswordSameAsIncomingPassword:boolean",
	}
	s, err := newHandler(t).settings("example.org")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", `Alice <"&'> Liddell`} {
		var visit func(parent string, n *node)
		visit = func(parent string, n *node) {
			if n.name != "dict" {
				for _, c := range n.children {
					visit(n.name, c)
				}
				return
			}
			have := map[string]string{}
			for i := 0; i+1 < len(n.children); i += 2 {
				kind := n.children[i+1].name
				if kind == "true" || kind == "false" {
					kind = "boolean"
				}
				have[n.children[i].text] = kind
				visit("dict", n.children[i+1])
			}
			for _, k := range strings.Fields(keys[parent]) {
				key, kind, _ := strings.Cut(strings.TrimSuffix(k, "!"), ":")
				got, there := have[key]
				if there && got != kind || !there && strings.HasSuffix(k, "!") {
					t.Errorf("%s is %q", k, got)
				}
				delete(have, key)
			}
			for key := range have {
				t.Errorf("%s is not a key of Apple's", key)
			}
		}
		profile := string(s.profile(message.Address{Local: "alice", Domain: "example.org"}, name))
		visit("", tree(t, profile))
		if strings.Contains(profile, "EmailAccountName") != (name != "") {
			t.Errorf("with the name %q:\n%s", name, profile)
		}
	}
}
