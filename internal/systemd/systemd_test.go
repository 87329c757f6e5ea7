package systemd

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNotes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	for _, name := range []string{path, "@mailstead-" + filepath.Base(t.TempDir()) + t.Name()} {
		if len(name) > 100 { // unix(7): 108 bytes
			t.Skip("the path is too long here")
		}
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}
		m := from(func(k string) string { return env[k] }, 7)
		for _, send := range []func() error{func() error { return m.Ready("one\ntwo") }, m.Alive, m.Stopping} {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		l.SetReadDeadline(time.Now().Add(time.Minute))
		for range 3 {
			b := make([]byte, 200)
			n, err := l.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(b[:n]))
		}
		if d := cmp.Diff([]string{"READY=1\nSTATUS=one two", "WATCHDOG=1", "STOPPING=1"}, got); d != "" {
			t.Error(d)
		}
		if m.Interval() != 15*time.Second {
			t.Errorf("interval %v", m.Interval())
		}
		if other := from(func(k string) string { return env[k] }, 8); other.Interval() != 0 {
			t.Error("another process's watchdog was taken for ours")
		}
		l.Close()
	}
}

func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	m := from(func(string) string { return "" }, 1)
	if m != nil || m.Ready("x") != nil || m.Interval() != 0 {
		t.Error("notes were sent to nobody")
	}
}
