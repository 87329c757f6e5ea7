package machine

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Listener is a TCP socket that waits for connections.
type Listener struct {
	Addr    netip.AddrPort // unspecified for all addresses
	UID     uint32         // of whose it is
	PID     int            // 0 where we may not see
	Program string         // "exim4"; "" where we may not see

	inode string
}

// Holder names who has it, as well as can be told: "exim4 (pid 812)".
func (l Listener) Holder() string {
	switch {
	case l.Program != "" && l.PID != 0:
		return fmt.Sprintf("%s (pid %d)", l.Program, l.PID)
	case l.UID == 0:
		return "a program of root"
	}
	return fmt.Sprintf("a program of the user with number %d", l.UID)
}

// listening is the state LISTEN in /proc/net/tcp (include/net/tcp_states.h).
const listening = "0A"

// Listeners lists who waits for TCP connections.
func (m Machine) Listeners() ([]Listener, error) {
	var all []Listener
	for _, file := range []string{"tcp", "tcp6"} {
		f, err := os.Open(m.path("proc/net", file))
		if os.IsNotExist(err) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the listeners: %w", err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if l, ok := parseListener(lines.Text()); ok {
				all = append(all, l)
			}
		}
		f.Close()
	}
	m.owners(all)
	return all, nil
}

// parseListener reads one line: sl, local address, remote address, state,
// queues, timer, retransmits, uid, timeout, inode.
func parseListener(line string) (Listener, bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != listening {
		return Listener{}, false
	}
	addr, ok := parseAddr(f[1])
	uid, err := strconv.ParseUint(f[7], 10, 32)
	return Listener{Addr: addr, UID: uint32(uid), inode: f[9]}, ok && err == nil
}

// parseAddr reads an address that the kernel wrote as words of the machine's
// own byte order, and a port.
func parseAddr(s string) (netip.AddrPort, bool) {
	host, port, found := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, e := strconv.ParseUint(port, 16, 16)
	if !found || err != nil || e != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// owners finds the processes that hold the sockets.
func (m Machine) owners(all []Listener) {
	wanted := make(map[string][]int, len(all))
	for i, l := range all {
		name := "socket:[" + l.inode + "]"
		wanted[name] = append(wanted[name], i)
	}
	for _, pid := range m.pids() {
		dir := m.path("proc", strconv.Itoa(pid), "fd")
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // another user's, or gone
		}
		for _, fd := range fds {
			target, err := os.Readlink(dir + "/" + fd.Name())
			if err != nil {
				continue
			}
			for _, i := range wanted[target] {
				if all[i].PID == 0 { // the first: children inherit it
					all[i].PID, all[i].Program = pid, m.program(pid)
				}
			}
		}
	}
}

// On finds who stops us from listening at an address: the same port at the same
// address, or at all addresses of either.
func On(all []Listener, at netip.AddrPort) (Listener, bool) {
	i := slices.IndexFunc(all, func(l Listener) bool {
		return l.Addr.Port() == at.Port() &&
			(l.Addr.Addr() == at.Addr() || l.Addr.Addr().IsUnspecified() || at.Addr().IsUnspecified() || !at.Addr().IsValid())
	})
	if i < 0 {
		return Listener{}, false
	}
	return all[i], true
}
