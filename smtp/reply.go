package smtp

import (
	"strconv"
	"strings"
)

// Reply is one answer of the server. The zero value means "nothing special": the
// engine puts the usual positive reply of the command in its place.
type Reply struct {
	Code   int
	Status string // enhanced status code (RFC 3463), "" where a reply has none
	Text   string // lines are divided by \n
}

// The replies of the engine and those that doors share.
var (
	OK             = Reply{250, "2.0.0", "OK"}
	SenderOK       = Reply{250, "2.1.0", "sender OK"}
	RecipientOK    = Reply{250, "2.1.5", "recipient OK"}
	Flushed        = Reply{250, "2.0.0", "flushed"}
	Bye            = Reply{221, "2.0.0", "bye"}
	StartMail      = Reply{354, "", "start mail input; end with <CRLF>.<CRLF>"}
	ReadyTLS       = Reply{220, "2.0.0", "ready to start TLS"}
	Authenticated  = Reply{235, "2.7.0", "authentication succeeded"}
	CannotVerify   = Reply{252, "2.1.5", "send some mail, I'll try my best"}
	ShuttingDown   = Reply{421, "4.3.2", "shutting down, come back soon"}
	TimedOut       = Reply{421, "4.4.2", "timeout, closing connection"}
	TooManyErrors  = Reply{421, "4.7.0", "too many errors, closing connection"}
	TooManyRefused = Reply{421, "4.7.0", "too many refused recipients, closing connection"}
	TooManyLogins  = Reply{421, "4.7.0", "too many failed logins, closing connection"}
	TooManyMails   = Reply{421, "4.7.0", "too many messages on this connection, open a new one"}
	NotSMTP        = Reply{421, "4.7.0", "this is not a web server"}
	OutOfStep      = Reply{421, "4.5.1", "lines follow a refused DATA, closing connection"}
	BadChunk       = Reply{421, "4.5.4", "size of chunk not understood, closing connection"}
	SizeExhausted  = Reply{421, "4.3.4", "message far above the size limit, closing connection"}
	LocalError     = Reply{451, "4.3.0", "local error, try again later"}
	Throttled      = Reply{454, "4.7.0", "too many failed logins, wait some minutes"}
	TooManyRcpts   = Reply{452, "4.5.3", "too many recipients"}
	UnknownCommand = Reply{500, "5.5.1", "unknown command"}
	LineTooLong    = Reply{500, "5.5.2", "line too long"}
	BadCharacters  = Reply{500, "5.5.2", "control character in command"}
	BadSyntax      = Reply{501, "5.5.4", "syntax error in parameters"}
	NoParameters   = Reply{501, "5.5.4", "no parameters allowed"}
	BadSender      = Reply{501, "5.1.7", "bad sender address syntax"}
	BadRecipient   = Reply{501, "5.1.3", "bad recipient address syntax"}
	BadName        = Reply{501, "5.5.4", "a host name is needed"}
	BadBase64      = Reply{501, "5.5.2", "bad base64"}
	AuthCancelled  = Reply{501, "5.7.0", "authentication cancelled"}
	NotOffered     = Reply{502, "5.5.1", "not offered here"}
	HelloFirst     = Reply{503, "5.5.1", "say EHLO first"}
	MailFirst      = Reply{503, "5.5.1", "MAIL first"}
	NestedMail     = Reply{503, "5.5.1", "a transaction is open already"}
	BadSequence    = Reply{503, "5.5.1", "bad sequence of commands"}
	Pipelined      = Reply{503, "5.5.1", "this command must be the last of a group, closing connection"}
	AlreadyTLS     = Reply{503, "5.5.1", "TLS is on already"}
	AlreadyAuth    = Reply{503, "5.5.1", "authenticated already"}
	BadMechanism   = Reply{504, "5.5.4", "mechanism not offered"}
	NeedTLS        = Reply{530, "5.7.0", "issue STARTTLS first"}
	NeedAuth       = Reply{530, "5.7.0", "authentication required"}
	BadCredentials = Reply{535, "5.7.8", "authentication failed"}
	NeedTLSForAuth = Reply{538, "5.7.11", "encryption required for authentication"}
	BareLineEnd    = Reply{550, "5.6.0", "message has a bare CR or LF"}
	TooBig         = Reply{552, "5.3.4", "message is above the size limit"}
	NeedUTF8       = Reply{553, "5.6.7", "address needs SMTPUTF8"}
	NoRecipients   = Reply{554, "5.5.1", "no valid recipients"}
	BadParameter   = Reply{555, "5.5.4", "parameter not known"}
)

// IsZero tells whether nothing was said.
func (r Reply) IsZero() bool { return r.Code == 0 }

// Positive tells 2yz.
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Or is r, or other where r says nothing.
func (r Reply) Or(other Reply) Reply {
	if r.IsZero() {
		return other
	}
	return r
}

// With is r with another text.
func (r Reply) With(text string) Reply {
	r.Text = text
	return r
}

// String is the reply on one line, as logs and traces show it.
func (r Reply) String() string {
	s := strconv.Itoa(r.Code) + " "
	if r.Status != "" {
		s += r.Status + " "
	}
	return s + strings.ReplaceAll(r.Text, "\n", " ")
}

// ParseReply reads what String makes: "550 5.7.1 text". ok is false where s has
// no code from 200 to 599.
func ParseReply(s string) (r Reply, ok bool) {
	code, text, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || n < 200 || n > 599 {
		return Reply{}, false
	}
	r = Reply{Code: n, Text: text}
	if status, rest, _ := strings.Cut(text, " "); isStatus(status) {
		r.Status, r.Text = status, rest
	}
	return r, true
}

// isStatus tells class.subject.detail of RFC 3463, 2.
func isStatus(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return s[0] == '2' || s[0] == '4' || s[0] == '5'
}

// append adds the wire form. Bytes that are not printable ASCII become "?":
// replies may quote what came from outside.
func (r Reply) append(dst []byte) []byte {
	text, more := r.Text, true
	for more {
		var line string
		line, text, more = strings.Cut(text, "\n")
		dst = strconv.AppendInt(dst, int64(r.Code), 10)
		if more {
			dst = append(dst, '-')
		} else {
			dst = append(dst, ' ')
		}
		if r.Status != "" {
			dst = append(dst, r.Status...)
			dst = append(dst, ' ')
		}
		for i := 0; i < len(line) && i < 480; i++ { // RFC 5321, 4.5.3.1.5: 512 octets with all
			c := line[i]
			if c < ' ' || c > '~' {
				c = '?'
			}
			dst = append(dst, c)
		}
		dst = append(dst, '\r', '\n')
	}
	return dst
}
