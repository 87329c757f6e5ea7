package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is how far the time of day can be trusted.
type Clock struct {
	Now          time.Time
	Synchronised bool          // the kernel is told so by an NTP client
	Error        time.Duration // the client's own estimate
}

// ReadClock asks the kernel.
func ReadClock() (Clock, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil { // changes nothing: Modes is 0
		return Clock{Now: time.Now()}, fmt.Errorf("ask for the state of the clock: %w", err)
	}
	return Clock{Now: time.Now(), Synchronised: t.Status&unix.STA_UNSYNC == 0, Error: time.Duration(t.Maxerror) * time.Microsecond}, nil
}

// Memory is in bytes.
type Memory struct{ Total, Available, Swap uint64 }

// Memory reads /proc/meminfo.
func (m Machine) Memory() (Memory, error) {
	f, err := os.Open(m.path("proc/meminfo"))
	if err != nil {
		return Memory{}, fmt.Errorf("read the memory: %w", err)
	}
	defer f.Close()
	var mem Memory
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		if len(w) < 2 {
			continue
		}
		n, _ := strconv.ParseUint(w[1], 10, 64) // KiB
		switch w[0] {
		case "MemTotal:":
			mem.Total = n << 10
		case "MemAvailable:":
			mem.Available = n << 10
		case "SwapTotal:":
			mem.Swap = n << 10
		}
	}
	return mem, nil
}

// Disk is the file system that holds a directory.
type Disk struct {
	Total, Free       uint64 // bytes; Free is what we may use
	Inodes, InodeFree uint64 // 0 and 0 where the file system does not count them
	Kind              string // "ext4"
	Options           []string
	Source            string // "/dev/sda1"
}

// Disk asks the kernel and the list of mounts.
func (m Machine) Disk(dir string) (Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Disk{}, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	size := uint64(st.Bsize)
	d := Disk{Total: st.Blocks * size, Free: st.Bavail * size, Inodes: st.Files, InodeFree: st.Ffree}
	text, err := os.ReadFile(m.path("proc/self/mountinfo"))
	if err == nil {
		real, _ := filepath.EvalSymlinks(dir)
		d.Kind, d.Source, d.Options = mountOf(string(text), real)
	}
	return d, nil
}

// mountOf finds the mount that a path lies on: the last of those with the
// longest path, since later ones cover earlier ones (proc_pid_mountinfo(5)).
func mountOf(mountinfo, path string) (kind, source string, options []string) {
	longest := -1
	for line := range strings.Lines(mountinfo) {
		left, right, found := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !found || len(l) < 6 || len(r) < 3 {
			continue
		}
		at := unescape(l[4])
		if at != "/" && path != at && !strings.HasPrefix(path, at+"/") || len(at) < longest {
			continue
		}
		longest, kind, source = len(at), r[0], unescape(r[1])
		options = append(strings.Split(l[5], ","), strings.Split(r[2], ",")...)
	}
	return kind, source, options
}

// unescape undoes \040 and its like.
func unescape(s string) string {
	for _, e := range []struct{ from, to string }{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e.from, e.to)
	}
	return s
}

// SyncTimes writes a page to a new file in dir and syncs it, n times, and tells
// how long each took. The file is gone afterwards.
func SyncTimes(ctx context.Context, dir string, n int) (times []time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".sync-*")
	if err != nil {
		return nil, fmt.Errorf("try a sync: %w", err)
	}
	defer func() {
		if e := errors.Join(f.Close(), os.Remove(f.Name())); err == nil {
			err = e
		}
	}()
	page := make([]byte, 4096)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		page[0] = byte(i)
		if _, err := f.WriteAt(page, 0); err != nil {
			return times, fmt.Errorf("try a sync: %w", err)
		}
		began := time.Now()
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return times, fmt.Errorf("try a sync: %w", err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times, nil
}

// Mount is a file system that is there.
type Mount struct {
	At       string // "/mnt/backup"
	Source   string // "/dev/sdb1"
	Kind     string
	ReadOnly bool
}

// Mounts lists them.
func (m Machine) Mounts() ([]Mount, error) {
	text, err := os.ReadFile(m.path("proc/self/mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("list the disks: %w", err)
	}
	var list []Mount
	for line := range strings.Lines(string(text)) {
		left, right, found := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !found || len(l) < 6 || len(r) < 3 {
			continue
		}
		readOnly := slices.Contains(strings.Split(l[5], ","), "ro") || slices.Contains(strings.Split(r[2], ","), "ro")
		list = append(list, Mount{At: unescape(l[4]), Source: unescape(r[1]), Kind: r[0], ReadOnly: readOnly})
	}
	return list, nil
}

// SameDisk tells whether two folders are on one file system, so that what takes
// one takes the other.
func SameDisk(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev
}
