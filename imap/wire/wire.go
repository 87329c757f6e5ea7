// Package wire is the grammar of IMAP between bytes and values: a lexer that
// reads one command with its literals from a connection, and an encoder for
// responses (RFC 3501, 9051, section 9; RFC 3516 literal8; RFC 6855 UTF-8 in
// quoted strings; RFC 7888 non-synchronising literals).
//
// It is not the protocol: it knows no command, no state, no reply text.
//
// Data passes in through Reader: Begin reads a line and charges it to the
// command's budget, the token methods walk over it, a literal at its end is
// charged, asked for (Continue) and read, and the line that follows takes the
// place of the first. The first error sticks until the next Begin. Finish
// throws away what a refused command has left behind. Data passes out through
// Writer, which gathers small pieces and copies large ones through the same
// buffer.
//
// Invariants:
//   - no byte of a literal is ever read as a command: Finish drains a refused
//     non-synchronising literal, or reports ErrTooLong and the connection ends;
//   - no command makes the reader hold more than its budget;
//   - between commands a connection holds no buffer (Buffers lends them).
package wire

import (
	"errors"
	"sync"
)

// ErrTooLong says that a command went over its budget and that the rest of it
// cannot be thrown away within bounds: the connection must end.
var ErrTooLong = errors.New("command too long")

// ErrLiteralTooBig says that a literal was refused for its size. The command
// failed; after Finish the connection can go on.
var ErrLiteralTooBig = errors.New("literal too big")

// SyntaxError is a command that does not follow the grammar. Text may be shown
// to the client.
type SyntaxError struct{ Text string }

func (e *SyntaxError) Error() string { return e.Text }

const (
	bufferSize = 16 << 10 // a TLS record
	smallSize  = 256      // a waiting reader's own buffer; most commands fit
)

// Buffers lends buffers to the readers and writers of many connections, so
// that an idle one holds none. The zero value is ready.
type Buffers struct{ pool sync.Pool }

func (b *Buffers) get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

func (b *Buffers) put(p []byte) {
	if cap(p) >= bufferSize {
		b.pool.Put((*[bufferSize]byte)(p[:bufferSize]))
	}
}
