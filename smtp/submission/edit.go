package submission

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"mailstead/message"
)

// A program's message is mended as RFC 6409, 8 allows, while it streams: the
// header, at most message.MaxHeader octets, is held; the body is not.
//
//	Bcc, Resent-Bcc           taken out: nobody is told of hidden recipients
//	Return-Path               taken out: final delivery writes it
//	Authentication-Results    taken out where it bears our name
//	a line "From ..." first   taken out: mbox's
//	Date, Message-ID          added where they are missing
//	no empty line             one is put before the first line that is no field
//	line ends                 made CRLF by message.NormalizeLineEnds before this

var errBigHeader = errors.New("header too big")

// readHeader takes the header from r and gives the rest.
func readHeader(r io.Reader) (message.Header, io.Reader, error) {
	br := bufio.NewReaderSize(r, 4096)
	var raw []byte
	for {
		at := len(raw)
		line, err := br.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) && len(raw) <= message.MaxHeader {
			raw = append(raw, line...)
			line, err = br.ReadSlice('\n')
		}
		raw = append(raw, line...)
		whole := raw[at:]
		switch {
		case len(raw) > message.MaxHeader:
			return message.Header{}, nil, errBigHeader
		case err != nil && err != io.EOF:
			return message.Header{}, nil, err
		case string(whole) == "\r\n", len(whole) == 0:
			return message.ParseHeader(raw[:at]), br, nil
		case at == 0 && bytes.HasPrefix(whole, []byte("From ")):
			raw = raw[:0]
		case !isField(whole) && (at == 0 || !isFolded(whole)):
			rest := io.MultiReader(bytes.NewReader(bytes.Clone(whole)), br)
			return message.ParseHeader(raw[:at]), rest, nil
		case err == io.EOF:
			return message.ParseHeader(append(raw, "\r\n"...)), br, nil
		}
	}
}

func isFolded(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

// isField tells "name:" with a name of printable ASCII (RFC 5322, 2.2); spaces
// before the colon are old, but seen.
func isField(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !ok || len(name) == 0 {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// edited gives the mended message.
func edited(h message.Header, body io.Reader, hostname string, now time.Time) io.Reader {
	var b bytes.Buffer
	for _, f := range h.Fields {
		if !unwanted(f, hostname) {
			b.Write(f.Raw)
		}
	}
	if !h.Has("Date") {
		b.WriteString("Date: " + message.FormatDate(now) + "\r\n")
	}
	if !h.Has("Message-ID") {
		b.WriteString("Message-ID: " + message.NewMessageID(hostname) + "\r\n")
	}
	b.WriteString("\r\n")
	return io.MultiReader(&b, body)
}

func unwanted(f message.Field, hostname string) bool {
	switch strings.ToLower(f.Name) {
	case "bcc", "resent-bcc", "return-path":
		return true
	case "authentication-results":
		return message.AuthServID(f.Body()) == strings.ToLower(hostname)
	}
	return false
}
