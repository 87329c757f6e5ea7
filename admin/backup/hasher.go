package backup

import (
	"crypto/sha256"
	"hash"
	"io"
)

// hasher hashes what it writes, and keeps the writer's errors apart from those
// of the reader that feeds it.
type hasher struct {
	w      io.Writer
	h      hash.Hash
	failed error
}

func (h *hasher) Write(p []byte) (int, error) {
	if h.h == nil {
		h.h = sha256.New()
	}
	h.h.Write(p)
	n, err := h.w.Write(p)
	if err != nil {
		h.failed = err
	}
	return n, err
}

func (h *hasher) sum() []byte {
	if h.h == nil {
		h.h = sha256.New()
	}
	return h.h.Sum(nil)
}
