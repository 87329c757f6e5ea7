package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// LockedError says that somebody else has the data directory open.
type LockedError struct {
	Data   string
	Holder string // "mailstead serve (pid 812)"
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is in use by %s", e.Data, e.Holder)
}

// Hint is the next step for a person.
func (e *LockedError) Hint() string { return "stop it first, or name another directory with --data" }

// Lock holds a data directory for a command that works on its files themselves.
// Errors: *LockedError.
func Lock(data string) (release func() error, err error) {
	f, err := takeLock(data)
	if err != nil {
		return nil, err
	}
	return func() error { return giveLock(f) }, nil
}

// takeLock holds data/lock for this process until giveLock. The kernel gives it
// back however the process ends.
func takeLock(data string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(data, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 200))
		f.Close()
		return nil, &LockedError{Data: data, Holder: strings.TrimSpace(string(holder))}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	name := filepath.Base(os.Args[0])
	if len(os.Args) > 1 {
		name += " " + os.Args[1]
	}
	if f.Truncate(0) == nil { // on a full disk the lock holds without saying whose it is
		f.WriteAt(fmt.Appendf(nil, "%s (pid %d)\n", name, os.Getpid()), 0)
	}
	return f, nil
}

// giveLock unlocks before it closes: a child that was forked a moment ago has
// the file open until it runs its own program, and would hold the lock so long.
func giveLock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
