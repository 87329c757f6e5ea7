package backup

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A manifest is lines of JSON: a header, an entry for each file, a footer. One
// without its footer is not whole.
type header struct {
	Format  int       `json:"format"`
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Schema  int64     `json:"schema"` // user_version of the database
	Bytes   int64     `json:"bytes"`  // of all message files
	Rows    int64     `json:"rows"`   // messages whose bytes are in the database
}

// entry is one file of the data directory.
type entry struct {
	Path   string `json:"path,omitempty"`   // in the data directory, with slashes
	Object string `json:"object,omitempty"` // in the folder of backups
	Size   int64  `json:"size,omitempty"`
	SHA256 []byte `json:"sha256,omitempty"`

	Files int64 `json:"files,omitempty"` // of the footer alone: how many entries there are
}

// manifestWriter writes the manifest of a backup and the list of its objects,
// which is needed to tidy up where nobody can decrypt.
type manifestWriter struct {
	files  []*os.File
	sealed io.WriteCloser
	w, l   *bufio.Writer
	enc    *json.Encoder
	n      int64
	last   string
}

func (v *vault) newManifest(dir string, h header) (*manifestWriter, error) {
	m := &manifestWriter{}
	for _, name := range []string{manifestName + v.seal.suffix(), listName} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			m.drop()
			return nil, err
		}
		v.own(f.Name())
		m.files = append(m.files, f)
	}
	var err error
	if m.sealed, err = v.seal.write(m.files[0]); err != nil {
		m.drop()
		return nil, err
	}
	m.w, m.l = bufio.NewWriterSize(m.sealed, 64<<10), bufio.NewWriterSize(m.files[1], 64<<10)
	m.enc = json.NewEncoder(m.w)
	return m, m.enc.Encode(h)
}

func (m *manifestWriter) add(e entry) error {
	m.n++
	if e.Object != m.last {
		m.last = e.Object
		if _, err := m.l.WriteString(e.Object + "\n"); err != nil {
			return err
		}
	}
	return m.enc.Encode(e)
}

// finish writes the footer and syncs.
func (m *manifestWriter) finish() error {
	err := m.enc.Encode(entry{Files: m.n})
	for _, fn := range []func() error{m.w.Flush, m.l.Flush, m.sealed.Close, m.files[0].Sync, m.files[1].Sync} {
		if err == nil {
			err = fn()
		}
	}
	for _, f := range m.files {
		err = errors.Join(err, f.Close())
	}
	m.files = nil
	return err
}

// drop closes what finish did not.
func (m *manifestWriter) drop() {
	for _, f := range m.files {
		f.Close()
	}
}

// read gives the manifest of a backup, entry by entry.
func (v *vault) read(b Backup, head func(header) error, fn func(entry) error) error {
	f, err := openPlain(filepath.Join(v.dir, b.Name, manifestName+v.seal.suffix()))
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := v.seal.read(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		return err
	}
	d := json.NewDecoder(bufio.NewReaderSize(r, 64<<10))
	var h header
	if err := d.Decode(&h); err != nil {
		return damaged(b, err)
	}
	if err := head(h); err != nil {
		return err
	}
	for n := int64(0); ; n++ {
		var e entry
		if err := d.Decode(&e); err != nil {
			return damaged(b, err)
		}
		if e.Path == "" {
			if e.Files != n {
				return damaged(b, fmt.Errorf("it lists %d files of %d", n, e.Files))
			}
			return nil
		}
		if !filepath.IsLocal(filepath.FromSlash(e.Path)) || !filepath.IsLocal(filepath.FromSlash(e.Object)) {
			return damaged(b, fmt.Errorf("it names %q", e.Path))
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

func damaged(b Backup, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return &Problem{Text: "the manifest of the backup " + b.Name + " is damaged", Next: "take another one with --from", Err: err}
}
