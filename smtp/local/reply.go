package local

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/smtp"
)

// What a store that cannot take a message leads to.
var (
	DiskFull  = smtp.Reply{Code: 452, Status: "4.3.1", Text: "no space left here, try again later"}
	OverQuota = smtp.Reply{Code: 452, Status: "4.2.2", Text: "mailbox is full"}
)

// ReplyFor turns an error of the store that the peer should understand into its
// reply. Any other error comes back as an error, for the engine's constant text.
func ReplyFor(err error) (smtp.Reply, error) {
	switch {
	case err == nil:
		return smtp.Reply{}, nil
	case errors.Is(err, mailbox.ErrOverQuota):
		return OverQuota, nil
	case errors.Is(err, sqlite.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull, nil
	}
	return smtp.Reply{}, err
}

// minFree is kept free whatever the size limit is.
const minFree = 64 << 20

// Space tells whether there is room for messages. It asks the file system at
// most once a second.
type Space struct {
	Dir     string
	MaxSize int64 // the size limit: at least one such message must fit

	mu   sync.Mutex
	at   time.Time
	free int64
}

// Enough tells whether MAIL may be accepted. A file system that cannot be asked
// is no reason to refuse: the store will tell. So is a Space without Dir.
func (s *Space) Enough() bool {
	if s == nil || s.Dir == "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) >= time.Second {
		s.at, s.free = now, freeBytes(s.Dir)
	}
	return s.free < 0 || s.free >= max(minFree, s.MaxSize)
}

// freeBytes is what a process without privileges may still write; -1 unknown.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}
