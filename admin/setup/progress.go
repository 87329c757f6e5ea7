package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// progressName is the file in the data directory that remembers answers. It is
// there before the database is, and nothing but a second walk reads it.
const progressName = "setup.json"

// progress is that file.
type progress struct {
	Answers  map[string]string `json:"answers"`           // no secrets
	Account  string            `json:"account,omitempty"` // that was made
	Finished time.Time         `json:"finished,omitzero"`

	data  string
	saved string
}

// loadProgress reads it. One that cannot be understood is as good as none: all
// that it spares is asking again.
func loadProgress(data string) (*progress, error) {
	p := &progress{Answers: map[string]string{}, data: data}
	text, err := os.ReadFile(filepath.Join(data, progressName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return nil, fmt.Errorf("read what was answered before: %w", err)
	}
	if json.Unmarshal(text, p) != nil || p.Answers == nil {
		p.Answers, p.Finished = map[string]string{}, time.Time{}
	}
	return p, nil
}

// save writes it, whole or not at all.
func (p *progress) save() (err error) {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil || string(text) == p.saved {
		return err
	}
	defer func() {
		if err != nil {
			err = &saveError{p.data, err}
		}
	}()
	if err := os.MkdirAll(p.data, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(p.data, "."+progressName+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it has its name
	defer f.Close()
	if info, err := os.Stat(p.data); err == nil && os.Geteuid() == 0 { // the server's user reads it too
		st := info.Sys().(*syscall.Stat_t)
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(p.data, progressName)); err != nil {
		return err
	}
	p.saved = string(text)
	return nil
}

// saveError says that the data directory cannot be written.
type saveError struct {
	data string
	err  error
}

func (e *saveError) Error() string { return fmt.Sprintf("write into %s: %v", e.data, e.err) }
func (e *saveError) Unwrap() error { return e.err }

// Hint is the next step for a person.
func (e *saveError) Hint() string {
	switch {
	case errors.Is(e.err, fs.ErrPermission):
		return "run this as root (sudo mailstead setup), or name files of your own with --config FILE and --data DIR"
	case errors.Is(e.err, syscall.ENOSPC):
		return "make room on that disk, then run `mailstead setup` again: it goes on here"
	}
	return "run `mailstead setup` again: it goes on here"
}
