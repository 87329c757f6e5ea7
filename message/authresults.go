package message

import "strings"

// AuthResults is the value of an Authentication-Results field (RFC 8601).
type AuthResults struct {
	ServID  string // who says so: our host name
	Results []AuthResult
}

// AuthResult is one method's outcome.
type AuthResult struct {
	Method string // "spf", "dkim", "dmarc", "arc", "auth", "iprev"
	Value  string // "pass", "fail", "none", ...
	Reason string // plain words; may be empty
	Props  []AuthProp
}

// AuthProp is one "smtp.mailfrom=a@b.example".
type AuthProp struct{ Type, Name, Value string }

// Append appends the whole field with its CRLF.
func (a AuthResults) Append(dst []byte) []byte {
	var b strings.Builder
	b.WriteString(authValue(a.ServID))
	if len(a.Results) == 0 {
		b.WriteString("; none")
	}
	for _, r := range a.Results {
		b.WriteString(";\r\n\t" + traceName(r.Method) + "=" + traceName(r.Value))
		if r.Reason != "" {
			b.WriteString(" reason=" + quote(encodeText(r.Reason, true)))
		}
		for _, p := range r.Props {
			b.WriteString(" " + traceName(p.Type) + "." + traceName(p.Name) + "=" + authValue(p.Value))
		}
	}
	return appendField(dst, "Authentication-Results", b.String())
}

// authValue writes RFC 8601's pvalue: a token, an address or a quoted string.
func authValue(s string) string {
	if s == "" {
		return `""`
	}
	for i := 0; i < len(s); i++ {
		if tspecial(s[i]) && s[i] != '@' {
			return quote(s)
		}
	}
	return s
}

// AuthServID gives the authserv-id of an Authentication-Results field's body in
// lower case, to find the forged ones that carry our name.
func AuthServID(body string) string {
	body = skipSpace(body)
	if strings.HasPrefix(body, `"`) {
		id, _ := cutQuoted(body)
		return lower(id)
	}
	i := 0
	for i < len(body) && body[i] > ' ' && body[i] != ';' && body[i] != '(' {
		i++
	}
	return lower(body[:i])
}
