package dns

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// resolvConf is the system's list of servers, read again when the file changes.
type resolvConf struct {
	path string

	mu      sync.Mutex
	list    []string  // guarded by mu, as all below
	changed time.Time // the file's
	checked time.Time
}

// recheck is how old our knowledge of the file may be.
const recheck = 5 * time.Second

func (r *resolvConf) servers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.list != nil && now.Sub(r.checked) < recheck {
		return r.list
	}
	r.checked = now
	info, err := os.Stat(r.path)
	if err == nil && r.list != nil && info.ModTime().Equal(r.changed) {
		return r.list
	}
	var list []string
	if f, err := os.Open(r.path); err == nil {
		list = nameservers(bufio.NewScanner(f))
		f.Close()
	}
	if err == nil {
		r.changed = info.ModTime()
	}
	if len(list) == 0 { // resolv.conf(5): without a server, the one on this machine
		list = []string{"127.0.0.1:53"}
	}
	r.list = list
	return list
}

// nameservers reads the nameserver lines, at most three as resolv.conf(5) has it.
func nameservers(lines *bufio.Scanner) []string {
	var list []string
	for lines.Scan() && len(list) < 3 {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if s, err := ServerAddress(f[1]); err == nil {
			list = append(list, s)
		}
	}
	return list
}

// ServerAddress adds the port to an address that has none.
func ServerAddress(s string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return "", fmt.Errorf("name server %q: want an address or address:port", s)
	}
	return a.String(), nil
}
