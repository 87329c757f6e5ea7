package message

import "io"

// Span is a half-open range of offsets in a body.
type Span struct{ Start, End int64 }

// Part is one MIME entity. Offsets are relative to the start of the scanned
// bytes. Depth, count and header size are bounded: 50, 1,000, 256 KiB.
type Part struct {
	Type, Subtype             string  // lower case
	Params                    []Param // in order, RFC 2231 continuations joined
	ID, Description, Encoding string
	Disposition               string
	DispositionParams         []Param
	Language                  []string
	Location, MD5             string
	Header, Body              Span // Header includes its closing empty line
	Lines                     int64
	Parts                     []*Part       // children of a multipart
	Message                   *Part         // the inner message of a message/rfc822 or message/global
	Envelope                  *ImapEnvelope // of Message's header, where Message is set; of the root too
}

// Param is one parameter of a structured field.
type Param struct{ Name, Value string }

// ImapEnvelope is what RFC 9051, 7.5.2 calls ENVELOPE, in the message's own
// strings (raw field bodies, unfolded; addresses split, not decoded).
type ImapEnvelope struct {
	Date, Subject, InReplyTo, MessageID string
	From, Sender, ReplyTo, To, Cc, Bcc  []ImapAddress
}

// ImapAddress is one element of an address list; Mailbox and Host empty mark
// group boundaries as in RFC 9051. Has* tell NIL from "".
type ImapAddress struct {
	Name, Route, Mailbox, Host             string
	HasName, HasRoute, HasMailbox, HasHost bool
}

// Scan reads the structure of the message in the first size bytes of r. It
// never fails on bad input, only on a failing reader.
func Scan(r io.ReaderAt, size int64) (*Part, error) { panic("border") }

// AppendEnvelope appends IMAP's ENVELOPE in wire form (quoted strings, literals
// for what needs them, NIL).
func AppendEnvelope(dst []byte, e *ImapEnvelope) []byte { panic("border") }

// AppendBodyStructure appends IMAP's BODYSTRUCTURE (extended) or BODY.
func AppendBodyStructure(dst []byte, p *Part, extended bool) []byte { panic("border") }

// MarshalParts and UnmarshalParts keep a tree compactly in a database row:
// enough to serve every section of FETCH and to make BODY without extension
// data. Strings needed only by BODYSTRUCTURE may be left out where the wire
// form is kept beside it.
func MarshalParts(p *Part) []byte            { panic("border") }
func UnmarshalParts(b []byte) (*Part, error) { panic("border") }

// Header is a parsed header: fields in order with their raw bytes.
type Header struct{ Fields []Field }

// Field is one header field. Raw includes name, colon, folding and CRLF.
type Field struct {
	Name string // as written
	Raw  []byte
}

// ReadHeader parses the header at the start of r, at most 256 KiB of it.
func ReadHeader(r io.Reader) (Header, error) { panic("border") }

// ParseHeader parses the header at the start of b.
func ParseHeader(b []byte) Header { panic("border") }

// Get returns the first field's unfolded body, "" when there is none.
func (h Header) Get(name string) string { panic("border") }

// Values returns every field's unfolded body.
func (h Header) Values(name string) []string { panic("border") }

// DecodeText decodes RFC 2047 words (and raw 8-bit, charset guessed) to UTF-8.
func DecodeText(s string) string { panic("border") }

// Summary is what an index keeps of a message beside its structure.
type Summary struct {
	MessageID    string // without brackets
	InReplyTo    []string
	References   []string
	Subject      string // decoded
	BaseSubject  string // RFC 5256, 2.1
	Date         int64  // unix seconds of the Date field, 0 when missing
	From, To, Cc string // first address's mailbox for SORT, lower case (RFC 5256, 3)
	FromName     string // display of the first author
	Preview      string // up to 200 characters of text, RFC 8970
	Attachments  bool
}

// Summarize reads what Summary needs; p comes from Scan on the same bytes.
func Summarize(r io.ReaderAt, size int64, p *Part) (Summary, error) { panic("border") }
