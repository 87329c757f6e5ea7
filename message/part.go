package message

import "strings"

// Bounds of what is looked at; what lies beyond is passed over.
const (
	MaxDepth  = 50        // levels of multipart and message/rfc822
	MaxParts  = 1000      // parts of one message
	MaxHeader = 256 << 10 // bytes of one header
)

// Span is a half-open range of offsets in a body.
type Span struct{ Start, End int64 }

// Len is the number of bytes.
func (s Span) Len() int64 { return s.End - s.Start }

// Part is one MIME entity. Offsets are relative to the start of the scanned
// bytes. Depth, count and header size are bounded: 50, 1,000, 256 KiB.
//
// A multipart in which no boundary was found (or that lies too deep, or has no
// boundary parameter) has one child all the same: a text/plain part without a
// header whose body is the whole of the multipart's. IMAP demands at least one
// part, and so nothing that came is hidden from the reader.
type Part struct {
	Type, Subtype             string  // lower case
	Params                    []Param // in order, RFC 2231 continuations joined; see Param
	ID, Description, Encoding string  // Encoding in lower case
	Disposition               string  // lower case
	DispositionParams         []Param
	Language                  []string
	Location, MD5             string
	Header, Body              Span // Header includes its closing empty line
	Lines                     int64
	Parts                     []*Part       // children of a multipart
	Message                   *Part         // the inner message of a message/rfc822 or message/global
	Envelope                  *ImapEnvelope // set where this Part is a message: the root, and what stands in Message

	refs string // of the root: the References field, for Summarize
}

// Param is one parameter of a structured field, its name in lower case. A value
// that came with RFC 2231's charset and language keeps them and its percent
// encoding, and its name ends in "*": {"filename*", "utf-8”%e2%82%ac.txt"}.
// Continuations ("filename*0", "filename*1") are joined under one name; when one
// of them is encoded, the plain ones are encoded as well.
type Param struct{ Name, Value string }

// Multipart tells whether the part is a container of parts.
func (p *Part) Multipart() bool { return p.Type == "multipart" }

// IsMessage tells whether the part is an encapsulated message.
func (p *Part) IsMessage() bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

// Param returns the value of a Content-Type parameter as it stands in Params.
func (p *Part) Param(name string) string { return param(p.Params, name) }

// Filename is the decoded name that the message proposes for this part, from
// Content-Disposition or else from Content-Type's name; "" when there is none.
// It comes from outside: not a path, not safe to show unescaped.
func (p *Part) Filename() string {
	if s := paramText(p.DispositionParams, "filename"); s != "" {
		return s
	}
	return paramText(p.Params, "name")
}

func param(list []Param, name string) string {
	for _, p := range list {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// paramText prefers the encoded form of RFC 2231 and decodes it; a plain value
// may hold RFC 2047 words, against the rules and often.
func paramText(list []Param, name string) string {
	plain := ""
	for _, p := range list {
		if strings.TrimSuffix(p.Name, "*") != name {
			continue
		}
		if p.Name != name {
			return decodeExtended(p.Value)
		}
		if plain == "" {
			plain = DecodeText(p.Value)
		}
	}
	return plain
}
