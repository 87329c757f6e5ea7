package app

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// HandOver gives what root has made in a data directory to the directory's
// owner, who the server runs as: otherwise it could not read what a command of
// root left. It does nothing for others, and where root is the owner.
func HandOver(data string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(data)
	if err != nil {
		return fmt.Errorf("hand the data over: %w", err)
	}
	to := info.Sys().(*syscall.Stat_t)
	if to.Uid == 0 {
		return nil
	}
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 {
			return nil
		}
		return os.Lchown(path, int(to.Uid), int(to.Gid))
	})
	if err != nil {
		return fmt.Errorf("hand the data over: %w", err)
	}
	return nil
}
