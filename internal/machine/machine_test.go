package machine

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestOurListener finds this very process behind a port.
func TestOurListener(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"127.0.0.1:0", "[::]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Skip(err)
		}
		defer l.Close()
		all, err := Machine{}.Listeners()
		if err != nil {
			t.Fatal(err)
		}
		found, ok := On(all, netip.MustParseAddrPort(l.Addr().String()))
		if !ok || found.PID != os.Getpid() || !strings.HasPrefix(found.Program, "machine") {
			t.Errorf("%s: %v %+v", l.Addr(), ok, found)
		}
	}
}

func TestParseListener(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 509015 2 x 100 0 0 10 0":                                            "127.0.0.1:25",
		"   1: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 x 100 0 0 10 0": "[::]:25",
		"   2: 0000000000000000FFFF00000100007F:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 x 100 0 0 10 0": "127.0.0.1:53",
		"   3: 0100007F:0019 0100007F:1234 01 00000000:00000000 00:00000000 00000000   101        0 509015 2 x 100 0 0 10 0":                                            "",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode":                                                              "",
		"   4: zz:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 509015 2 x 100 0 0 10 0":                                                  "",
	} {
		l, ok := parseListener(line)
		got := ""
		if ok {
			got = l.Addr.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestOn(t *testing.T) {
	t.Parallel()
	all := []Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:25")}, {Addr: netip.MustParseAddrPort("0.0.0.0:993")}}
	for at, want := range map[string]bool{
		"127.0.0.1:25": true, "[::]:25": true, "192.0.2.1:25": false, "192.0.2.1:993": true, "127.0.0.1:143": false,
	} {
		if _, ok := On(all, netip.MustParseAddrPort(at)); ok != want {
			t.Errorf("%s: %v", at, ok)
		}
	}
}

func TestMountOf(t *testing.T) {
	t.Parallel()
	const info = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /var/lib rw,nobarrier shared:1 - xfs /dev/sdb rw,noquota
31 30 0:26 / /var/lib/my\040mail ro - nfs4 host:/mail rw
32 22 0:27 / /var/lib rw - btrfs /dev/sdc rw
`
	for path, want := range map[string]string{"/srv": "ext4", "/var/lib/mailstead": "btrfs", "/var/library": "ext4", "/var/lib/my mail/x": "nfs4"} {
		if kind, _, _ := mountOf(info, path); kind != want {
			t.Errorf("%s is on %s, want %s", path, kind, want)
		}
	}
	kind, source, options := mountOf(info, "/var/lib/my mail")
	if kind != "nfs4" || source != "host:/mail" || options[0] != "ro" {
		t.Error(kind, source, options)
	}
}

func TestSmallMachine(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/meminfo":      "MemTotal:  500 kB\nMemAvailable: 200 kB\nSwapTotal: 0 kB\n",
		"proc/812/comm":     "exim4\n",
		"proc/812/cgroup":   "0::/system.slice/exim4.service\n",
		"proc/900/comm":     "master\n",
		"proc/900/cmdline":  "/usr/lib/postfix/sbin/master\x00-w\x00",
		"proc/900/cgroup":   "0::/user.slice/user-0.slice/user@0.service/app.slice\n",
		"etc/ld.so.preload": "/usr/lib/libeatmydata.so\n",
	} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := Machine{Root: root}
	mem, err := m.Memory()
	if d := cmp.Diff(Memory{Total: 500 << 10, Available: 200 << 10}, mem, cmpopts.EquateErrors()); d != "" || err != nil {
		t.Error(d, err)
	}
	all, err := m.Processes()
	if d := cmp.Diff([]Process{{812, "exim4"}, {900, "postfix"}}, all); d != "" || err != nil {
		t.Error(d, err)
	}
	if u := m.Unit(812); u != "exim4.service" {
		t.Errorf("unit %q", u)
	}
	if u := m.Unit(900); u != "" {
		t.Errorf("unit %q of a person's session", u)
	}
	if m.Preloaded() != "/usr/lib/libeatmydata.so" {
		t.Error(m.Preloaded())
	}
}

func TestHere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := Machine{}.Disk(dir)
	if err != nil || d.Total == 0 || d.Kind == "" {
		t.Errorf("%+v, %v", d, err)
	}
	times, err := SyncTimes(t.Context(), dir, 3)
	if err != nil || len(times) != 3 {
		t.Errorf("%v, %v", times, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if n, err := FileLimit(); err != nil || n == 0 {
		t.Error(n, err)
	}
	if c, err := ReadClock(); err == nil && c.Now.IsZero() {
		t.Error("no time")
	}
}
