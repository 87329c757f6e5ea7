package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Write sets keys of the first part of a file, such as hostname, and leaves all
// else as it stands, comments too. A file that is not there yet begins as the
// Example. What cannot be read afterwards is not written; what is written is
// there whole or not at all.
func Write(name string, keys map[string]string) (Config, error) {
	old, err := os.ReadFile(name)
	text := string(old)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = Example()
	case err != nil:
		return Config{}, fmt.Errorf("change %s: %w", name, err)
	}
	for _, k := range known {
		if value, ok := keys[k.key]; ok {
			text = set(text, k.key, strconv.Quote(value))
		}
	}
	c, err := Parse(name, text)
	if err != nil {
		return Config{}, err
	}
	if text == string(old) {
		return c, nil
	}
	return c, replace(name, text)
}

// set puts a key's value where the key stands, else where its example stands,
// else at the top; a TOML file's first part ends with its first table.
func set(text, key, value string) string {
	line := key + " = " + value
	lines := strings.Split(text, "\n")
	example := -1
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			break
		}
		left, _, found := strings.Cut(l, "=")
		switch left = strings.TrimSpace(left); {
		case !found:
		case strings.Trim(left, `"'`) == key:
			lines[i] = line
			return strings.Join(lines, "\n")
		case strings.TrimSpace(strings.TrimPrefix(left, "#")) == key:
			example = i
		}
	}
	if example >= 0 {
		lines[example] = line
		return strings.Join(lines, "\n")
	}
	return line + "\n" + text
}

// replace writes the new file beside the old one and takes its place, with its
// owner and rights.
func replace(name, text string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	folder := filepath.Dir(name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".mailstead-*.toml")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it has its name
	defer f.Close()
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
		st := info.Sys().(*syscall.Stat_t)
		if os.Geteuid() == 0 {
			if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
				return err
			}
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
