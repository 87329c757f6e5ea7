package cli

import (
	"errors"
	"io"
	"os"
)

// keyboard hands what is typed to one form after the other. A form that ended
// may leave a reader waiting at the terminal, which would swallow the first keys
// that are meant for the next one; so one reader is behind them all, and a form
// has a view of it that ends with the form.
type keyboard struct {
	in   *os.File
	keys chan []byte
	rest []byte
}

func newKeyboard(in *os.File) *keyboard {
	k := &keyboard{in: in, keys: make(chan []byte)}
	go func() { // as long as the program: nothing else reads the terminal
		defer close(k.keys)
		for {
			b := make([]byte, 1024)
			n, err := in.Read(b)
			if n > 0 {
				k.keys <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// view is a keyboard for one form. Its Fd lets the form set the terminal's mode.
type view struct {
	*keyboard
	gone chan struct{}
}

func (k *keyboard) view() *view { return &view{k, make(chan struct{})} }

// Read waits for keys, or for the end of the form.
func (v *view) Read(p []byte) (int, error) {
	select {
	case <-v.gone:
		return 0, io.EOF
	default:
	}
	if len(v.rest) == 0 {
		select {
		case <-v.gone:
			return 0, io.EOF
		case b, ok := <-v.keys:
			if !ok {
				return 0, io.EOF
			}
			v.rest = b
		}
	}
	n := copy(p, v.rest)
	v.rest = v.rest[n:]
	return n, nil
}

// Write is not what a keyboard is for.
func (v *view) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Fd is the terminal's.
func (v *view) Fd() uintptr { return v.in.Fd() }

// Close ends the view; the terminal stays.
func (v *view) Close() error {
	close(v.gone)
	return nil
}
