package importer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Writer puts exported items into files.
type Writer interface {
	// Write takes one item. done is false when it was there already.
	Write(it *Item) (done bool, err error)
	Close() error
}

// toLF writes lines as the system ends them: one CR before each LF is left out,
// unless crlf.
type toLF struct {
	w     *bufio.Writer
	crlf  bool
	quote bool // put ">" before "From " and before what was quoted so (mboxrd)
	n     int64
	drop  func(field string) bool // header fields to leave out; nil keeps all
}

// copy takes a message to its end and tells whether its last line was ended.
func (t *toLF) copy(r io.Reader) (ended bool, err error) {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 16<<10)
	}
	begin := true
	ended = true
	head, dropping := t.drop != nil, false
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return ended, err
		}
		full := err == nil
		if n := len(line); errors.Is(err, bufio.ErrBufferFull) && line[n-1] == '\r' { // its LF may follow
			if err := br.UnreadByte(); err != nil {
				return ended, err
			}
			line = line[:n-1]
		}
		if head && begin && len(line) > 0 {
			switch {
			case len(bytes.TrimRight(line, "\r\n")) == 0:
				head, dropping = false, false
			case line[0] != ' ' && line[0] != '\t': // else it goes on
				name, _, _ := bytes.Cut(line, []byte{':'})
				dropping = t.drop(string(bytes.TrimSpace(name)))
			}
		}
		if dropping {
			begin = full
		} else if len(line) > 0 {
			if err := t.line(line, begin, full); err != nil {
				return ended, err
			}
			begin, ended = full, full
		}
		if err == io.EOF {
			return ended, nil
		}
	}
}

func (t *toLF) line(line []byte, begin, full bool) error {
	if t.quote && begin && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		if err := t.w.WriteByte('>'); err != nil {
			return err
		}
		t.n++
	}
	end := ""
	if full && !t.crlf {
		line, end = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), "\n"
	}
	t.n += int64(len(line) + len(end))
	if _, err := t.w.Write(line); err != nil {
		return err
	}
	_, err := t.w.WriteString(end)
	return err
}
