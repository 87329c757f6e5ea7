package imap

import (
	"bytes"
	"io"

	"github.com/emersion/go-imap/v2"
)

// binaryItem is BINARY[...] (RFC 3516, 4.2): a part with its transfer encoding
// undone. Headers and texts, which the RFC does not name, come as they are.
func binaryItem(sec section, label string, seen bool) fetchItem {
	return fetchItem{needs: needsBytes, seen: seen, write: func(f *fetching, m *fetched) error {
		f.s.w.Str(label)
		f.s.w.Byte(' ')
		open, err := f.decoded(m, &sec)
		if open == nil {
			f.s.w.Str("NIL")
			return err
		}
		n, nul, err := measure(open())
		if err != nil {
			f.damaged(m, err)
			f.s.w.Str("NIL")
			return nil
		}
		offset, size := sec.cut(n)
		f.s.w.LiteralHead(size, nul)
		src := open()
		if offset > 0 {
			io.CopyN(io.Discard, src, offset) // Copy finds a failing source
		}
		f.s.w.Copy(src, size)
		return nil
	}}
}

// binarySizeItem is BINARY.SIZE[...]: what BINARY[...] would give.
func binarySizeItem(sec section, label string) fetchItem {
	return fetchItem{needs: needsBytes, write: func(f *fetching, m *fetched) error {
		f.s.w.Str(label)
		f.s.w.Byte(' ')
		open, err := f.decoded(m, &sec)
		if open == nil {
			f.s.w.Byte('0')
			return err
		}
		n, _, err := measure(open())
		if err != nil {
			f.damaged(m, err)
		}
		f.s.w.Num(uint64(n))
		return nil
	}}
}

// decoded gives a function that starts reading the decoded part, nil when there
// is no such part, and a refusal when its encoding is not known.
func (f *fetching) decoded(m *fetched, sec *section) (open func() io.Reader, err error) {
	if sec.spec == fields || sec.spec == fieldsNot {
		found, ok := f.fields(m, sec)
		if !ok {
			return nil, nil
		}
		return func() io.Reader { return bytes.NewReader(found) }, nil
	}
	span, ok := m.locate(sec)
	if !ok {
		return nil, nil
	}
	encoding := ""
	if len(sec.path) > 0 && sec.spec == whole {
		if p := find(m.root, sec.path); !p.Multipart() && !p.IsMessage() {
			encoding = p.Encoding
		}
	}
	if !knownEncoding(encoding) {
		return nil, no(imap.ResponseCodeUnknownCTE, "transfer encoding not known")
	}
	return func() io.Reader {
		return decoder(io.NewSectionReader(m.bytes, span.Start, span.Len()), encoding)
	}, nil
}

// measure counts bytes and looks for NUL, which only a literal8 may hold.
func measure(r io.Reader) (n int64, nul bool, err error) {
	buf := make([]byte, 16<<10)
	for {
		k, err := r.Read(buf)
		n += int64(k)
		nul = nul || bytes.IndexByte(buf[:k], 0) >= 0
		if err == io.EOF {
			return n, nul, nil
		}
		if err != nil {
			return n, nul, err
		}
	}
}
