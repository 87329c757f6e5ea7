package outbound

import (
	"bufio"
	"errors"
	"strings"
	"unicode/utf8"

	"mailstead/smtp"
)

// Bounds of one reply. RFC 5321, 4.5.3.1.5 has 512 bytes a line; lists of
// extensions make replies of many lines.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
)

var errNoReply = errors.New("what it says is not SMTP")

// readReply reads one reply. The status of the first line that has one counts;
// it must be of the class of the code.
func readReply(in *bufio.Reader) (r smtp.Reply, lines []string, err error) {
	for len(lines) < maxReplyLines {
		line, err := readLine(in)
		if err != nil {
			return r, nil, err
		}
		part, ok := smtp.ParseReply(line[:min(3, len(line))])
		if !ok || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return r, nil, errNoReply
		}
		if len(lines) > 0 && part.Code != r.Code {
			return r, nil, errNoReply
		}
		r.Code = part.Code
		last := len(line) < 4 || line[3] == ' '
		text := ""
		if len(line) > 4 {
			text = line[4:]
		}
		if p, _ := smtp.ParseReply(line[:3] + " " + text); p.Status != "" && p.Status[0] == line[0] {
			if r.Status == "" {
				r.Status = p.Status
			}
			text = p.Text
		}
		lines = append(lines, text)
		if last {
			r.Text = strings.Join(lines, "\n")
			return r, lines, nil
		}
	}
	return r, nil, errNoReply
}

// readLine reads to LF; a line that is too long ends the conversation.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return toValid(strings.TrimRight(string(line), "\r\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(line) > maxReplyLine:
			return "", errNoReply
		}
	}
}

// toValid makes UTF-8 of a line, without control characters: replies go into
// rows, DSNs, logs and terminals.
func toValid(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = ' ' <= s[i] && s[i] < 0x7f
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || 0x80 <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// said is a reply in one line, cut to what a row takes.
func said(r smtp.Reply) string {
	s := r.String()
	if len(s) <= maxReply {
		return s
	}
	return strings.ToValidUTF8(s[:maxReply], "") + "…"
}

// status is the reply's own, or the class of its code.
func status(r smtp.Reply) string {
	if r.Status != "" {
		return r.Status
	}
	return string(rune('0'+r.Code/100)) + ".0.0"
}
