// Package machine is what this machine says of itself: who listens where, which
// programs run, its clock, memory, disks, limits and addresses. It only reads,
// from the kernel and from /proc, and judges nothing: admin/doctor does, and the
// door that finds its port taken asks who has it.
//
// The zero Machine is the one that we run on. Whatever cannot be read for want
// of rights stays unknown (PID 0, an empty program) and is no error.
package machine

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine reads below Root, "" for "/".
type Machine struct{ Root string }

func (m Machine) path(parts ...string) string {
	root := m.Root
	if root == "" {
		root = "/"
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// Addresses are those of the interfaces, without loopback and link-local ones.
func Addresses() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	var list []netip.Addr
	for _, a := range found {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Unmap().IsGlobalUnicast() {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list, nil
}

// FileLimit is how many files and connections this process may have open.
func FileLimit() (uint64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return l.Max, nil
}

// Preloaded is what the loader puts before every program's libraries; a library
// there can turn syncs into lies.
func (m Machine) Preloaded() string {
	text, _ := os.ReadFile(m.path("etc/ld.so.preload"))
	return strings.TrimSpace(string(text))
}
