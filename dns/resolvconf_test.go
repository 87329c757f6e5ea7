package dns

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNameservers(t *testing.T) {
	text := "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver\nnameserver fe80::1%eth0\n" +
		"nameserver nonsense\nnameserver 2001:db8::53\nnameserver 192.0.2.4\n"
	got := nameservers(bufio.NewScanner(strings.NewReader(text)))
	if d := cmp.Diff([]string{"192.0.2.1:53", "[fe80::1%eth0]:53", "[2001:db8::53]:53"}, got); d != "" {
		t.Error(d)
	}
}

func TestServerAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353",
		"2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]": "[2001:db8::1]:53",
		"[2001:db8::1]:54": "[2001:db8::1]:54", "localhost": "", "": "",
	} {
		got, err := ServerAddress(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestResolvConfIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	synctest.Test(t, func(t *testing.T) {
		r := &resolvConf{path: path}
		if d := cmp.Diff([]string{"127.0.0.1:53"}, r.servers()); d != "" {
			t.Error(d)
		}
		if err := os.WriteFile(path, []byte("nameserver 192.0.2.7\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(recheck)
		if d := cmp.Diff([]string{"192.0.2.7:53"}, r.servers()); d != "" {
			t.Error(d)
		}
	})
}
