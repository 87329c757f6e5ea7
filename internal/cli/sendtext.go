package cli

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
)

// letterText is a message that was read to its end before anybody is asked to
// take it: its size is known then, and what is cut short was never sent.
type letterText struct {
	memory []byte
	file   *os.File // beyond inMemory; unlinked already
	size   int64
}

const (
	inMemory   = 1 << 20
	mostLetter = 1 << 30 // no server takes more: config's highest limit
)

var errLongLetter = errors.New("the message is longer than any server takes")

// readLetter reads a message to the end of r or, unless all of it is wanted, to
// a line with a dot alone.
func readLetter(r io.Reader, all bool) (*letterText, error) {
	t := &letterText{}
	if !all {
		r = &dotted{r: bufio.NewReader(r), begin: true}
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if e := t.write(buf[:n]); e != nil {
			t.Close()
			return nil, e
		}
		switch {
		case err == io.EOF:
			return t, nil
		case err != nil:
			t.Close()
			return nil, err
		}
	}
}

func (t *letterText) write(p []byte) error {
	if t.size += int64(len(p)); t.size > mostLetter {
		return errLongLetter
	}
	if t.file == nil && len(t.memory)+len(p) <= inMemory {
		t.memory = append(t.memory, p...)
		return nil
	}
	if t.file == nil {
		f, err := os.CreateTemp("", "mailstead-send-")
		if err != nil {
			return err
		}
		t.file = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
		if _, err := f.Write(t.memory); err != nil {
			return err
		}
		t.memory = nil
	}
	_, err := t.file.Write(p)
	return err
}

// reader gives the message from its start.
func (t *letterText) reader() io.Reader {
	if t.file == nil {
		return bytes.NewReader(t.memory)
	}
	return io.NewSectionReader(t.file, 0, t.size)
}

func (t *letterText) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// dotted ends at a line with a dot alone.
type dotted struct {
	r     *bufio.Reader
	begin bool // of a line
	line  []byte
	done  bool
}

func (d *dotted) Read(p []byte) (int, error) {
	for len(d.line) == 0 {
		if d.done {
			return 0, io.EOF
		}
		part, err := d.r.ReadSlice('\n')
		whole := bytes.TrimRight(part, "\r\n")
		if d.begin && string(whole) == "." && len(part) <= len(".\r\n") {
			d.done = true
			continue
		}
		d.begin = err == nil
		switch {
		case err == io.EOF:
			d.done = true
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return 0, err
		}
		d.line = part
	}
	n := copy(p, d.line)
	d.line = d.line[n:]
	return n, nil
}
