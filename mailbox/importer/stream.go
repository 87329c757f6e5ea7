package importer

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailstead/mailbox"
)

// The stream of items: for each one a line of JSON, then its content in pieces,
// each led by its length as a varint, ended by a piece of length 0. The length
// abortMark says that the content cannot be read to its end, and why.
const abortMark = 1 << 32

// maxHead bounds an item's line of JSON.
const maxHead = 64 << 10

// ItemError is trouble with one item alone: the stream goes on.
type ItemError struct{ Text string }

func (e *ItemError) Error() string { return e.Text }

// head is an item's line.
type head struct {
	Mailbox     string   `json:"mailbox"`
	Flags       string   `json:"flags,omitempty"` // Maildir's letters
	Keywords    []string `json:"keywords,omitempty"`
	Received    int64    `json:"received,omitempty"` // unix seconds
	Zone        int      `json:"zone,omitempty"`     // seconds east in which it was given
	Origin      string   `json:"origin,omitempty"`
	UIDValidity uint32   `json:"uidvalidity,omitempty"`
	UID         uint32   `json:"uid,omitempty"`
	CRLF        bool     `json:"crlf,omitempty"`
}

// Encoder writes items into a stream.
type Encoder struct {
	w   *bufio.Writer
	buf []byte
}

// NewEncoder writes to w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: bufio.NewWriterSize(w, 64<<10)} }

// Encode writes one item with its content. When the content cannot be read the
// error is an *ItemError, the receiver is told, and the stream goes on.
func (e *Encoder) Encode(it *Item) error {
	h := head{Mailbox: it.Mailbox, Flags: flagLetters(it.Flags), Keywords: it.Keywords, Origin: it.Origin,
		UIDValidity: it.UIDValidity, UID: it.UID, CRLF: it.CRLF}
	if !it.Received.IsZero() {
		h.Received = it.Received.Unix()
		_, h.Zone = it.Received.Zone()
	}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := e.w.Write(append(line, '\n')); err != nil {
		return err
	}
	if e.buf == nil {
		e.buf = make([]byte, 32<<10)
	}
	for {
		n, err := it.Content.Read(e.buf)
		if n > 0 {
			if err := e.piece(uint64(n), e.buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return e.piece(0, nil)
		case err != nil:
			return e.abort(err)
		}
	}
}

func (e *Encoder) piece(n uint64, b []byte) error {
	if _, err := e.w.Write(binary.AppendUvarint(nil, n)); err != nil {
		return err
	}
	_, err := e.w.Write(b)
	return err
}

func (e *Encoder) abort(cause error) error {
	text := cause.Error()
	text = text[:min(len(text), 1000)]
	if err := e.piece(abortMark, binary.AppendUvarint(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := e.w.WriteString(text); err != nil {
		return err
	}
	return &ItemError{text}
}

// Flush sends what is buffered.
func (e *Encoder) Flush() error { return e.w.Flush() }

// Decoder reads a stream of items.
type Decoder struct {
	r    *bufio.Reader
	left uint64 // of the present piece
	open bool   // the present item's content is not at its end
}

// NewDecoder reads from r.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{r: bufio.NewReaderSize(r, maxHead)} }

// Next gives the next item, whose Content is valid until the following call;
// io.EOF after the last.
func (d *Decoder) Next() (*Item, error) {
	var bad *ItemError
	if _, err := io.Copy(io.Discard, d); d.open && err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	line, err := d.r.ReadSlice('\n')
	if err == io.EOF && len(line) == 0 {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("stream of messages: %w", noEOF(err))
	}
	var h head
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("stream of messages: %w", err)
	}
	d.open, d.left = true, 0
	it := &Item{Mailbox: h.Mailbox, Flags: flagsOf(h.Flags), Keywords: h.Keywords, Origin: h.Origin, Content: d,
		UIDValidity: h.UIDValidity, UID: h.UID, CRLF: h.CRLF}
	if h.Received != 0 {
		it.Received = time.Unix(h.Received, 0).In(time.FixedZone("", h.Zone))
	}
	return it, nil
}

// Read gives the present item's content.
func (d *Decoder) Read(p []byte) (int, error) {
	if !d.open {
		return 0, io.EOF
	}
	if d.left == 0 {
		n, err := binary.ReadUvarint(d.r)
		switch {
		case err != nil:
			return 0, fmt.Errorf("stream of messages: %w", noEOF(err))
		case n == 0:
			d.open = false
			return 0, io.EOF
		case n == abortMark:
			d.open = false
			return 0, d.aborted()
		case n > abortMark:
			return 0, errors.New("stream of messages: damaged")
		}
		d.left = n
	}
	n, err := d.r.Read(p[:min(uint64(len(p)), d.left)])
	d.left -= uint64(n)
	return n, noEOF(err)
}

func (d *Decoder) aborted() error {
	n, err := binary.ReadUvarint(d.r)
	if err != nil || n > 1000 {
		return fmt.Errorf("stream of messages: %w", noEOF(err))
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(d.r, text); err != nil {
		return fmt.Errorf("stream of messages: %w", noEOF(err))
	}
	return &ItemError{string(text)}
}

// noEOF: inside an item the end of the stream is no end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// letters of Maildir's flags, in the order of their names.
var letters = [...]struct {
	letter byte
	flag   mailbox.Flags
}{{'D', mailbox.Draft}, {'F', mailbox.Flagged}, {'R', mailbox.Answered}, {'S', mailbox.Seen}, {'T', mailbox.Deleted}}

func flagLetters(f mailbox.Flags) string {
	var b []byte
	for _, l := range letters {
		if f&l.flag != 0 {
			b = append(b, l.letter)
		}
	}
	return string(b)
}

func flagsOf(s string) (f mailbox.Flags) {
	for _, l := range letters {
		if strings.IndexByte(s, l.letter) >= 0 {
			f |= l.flag
		}
	}
	return f
}

// keywords keeps those that IMAP can carry: atoms (RFC 9051, flag-keyword).
func keywords(all []string) (out []string) {
	for _, k := range all {
		if k == "" || len(k) > 100 || strings.ContainsFunc(k, func(c rune) bool {
			return c <= ' ' || c >= 0x7f || strings.ContainsRune(`(){%*"\]`, c)
		}) {
			continue
		}
		out = append(out, k)
	}
	return out
}
