package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// prune removes all but the newest complete backups, and the objects that no
// other one needs. It decrypts nothing: each backup lists its objects.
func (v *vault) prune(keep int) (removed []string, err error) {
	all, err := Backups(v.dir)
	if err != nil {
		return nil, err
	}
	needed := map[[16]byte]bool{}
	var old []Backup
	for _, b := range all {
		if b.Complete && keep <= 0 {
			old = append(old, b)
			continue
		}
		if b.Complete {
			keep--
		}
		if err := v.needs(b, needed); err != nil {
			return nil, err
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	for _, b := range old {
		// First it is no backup any more, then its files go.
		dir := filepath.Join(v.dir, b.Name)
		if err := renameSynced(dir, dir+unfinished); err != nil {
			return removed, err
		}
		if err := os.RemoveAll(dir + unfinished); err != nil {
			return removed, err
		}
		removed = append(removed, b.Name)
	}
	return removed, v.sweep(needed)
}

// needs adds the objects of a backup that stays.
func (v *vault) needs(b Backup, needed map[[16]byte]bool) error {
	name := b.Name
	if !b.Complete {
		name += unfinished
	}
	f, err := openPlain(filepath.Join(v.dir, name, listName))
	if errors.Is(err, fs.ErrNotExist) && !b.Complete {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id, ok := objectID(lines.Text()); ok {
			needed[id] = true
		}
	}
	return lines.Err()
}

// objectID is the first half of the hash that an object's name is.
func objectID(name string) (id [16]byte, ok bool) {
	base := strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], sealedSuffix)
	sum, err := hex.DecodeString(base)
	if err != nil || len(sum) != sha256.Size {
		return id, false
	}
	return [16]byte(sum), true
}

// sweep removes objects that nobody needs.
func (v *vault) sweep(needed map[[16]byte]bool) error {
	return filepath.WalkDir(filepath.Join(v.dir, objectsName), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if id, ok := objectID(filepath.ToSlash(path)); ok && !needed[id] {
			return os.Remove(path)
		}
		return nil
	})
}
