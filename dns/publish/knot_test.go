package publish

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailstead/internal/world"
)

// TestKnot publishes at a name server of another make (Debian's knot), beside a
// hundred foreign records, and takes it back. It skips where there is none.
func TestKnot(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("knotd")
	if err != nil {
		if program = "/usr/sbin/knotd"; !executable(program) {
			t.Skip("knot is not installed")
		}
	}
	addr := startKnot(t, program, foreign())
	cred := map[string]string{"server": addr, "key_name": "mailstead", "key_secret": testSecret}
	p := connect(t, "rfc2136", cred, "", nil)
	lines := func() []string {
		all, err := p.GetRecords(t.Context(), "example.org")
		if err != nil {
			t.Fatal(err)
		}
		var show []string
		for _, r := range reduce(all) {
			show = append(show, fmt.Sprintf("%s %s %d %s", r.Name, r.Type, seconds(r.TTL, 0), r.Data))
		}
		slices.Sort(show)
		return show
	}
	finds(t, p, "team.example.org", "example.org")
	runForeign(t, &Publisher{DB: openDB(t), Provider: p, Name: "rfc2136"}, lines)

	before := lines()
	wrong := connect(t, "rfc2136", map[string]string{"server": addr, "key_name": "mailstead", "key_secret": "AAAA"}, "", nil)
	if _, err := wrong.AppendRecords(t.Context(), "example.org", rrs("a TXT x")); err == nil || !strings.Contains(err.Error(), "the secret of the key") {
		t.Errorf("another secret: %v", err)
	}
	open := connect(t, "rfc2136", map[string]string{"server": addr}, "", nil)
	if _, err := open.AppendRecords(t.Context(), "example.org", rrs("a TXT x")); err == nil {
		t.Error("an update without a key was taken")
	}
	if diff := cmp.Diff(before, lines()); diff != "" {
		t.Error(diff)
	}
}

func executable(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode()&0o111 != 0
}

// startKnot runs knot on a free port of loopback with the lines as its zone.
func startKnot(t *testing.T, program string, lines []string) string {
	t.Helper()
	dir := t.TempDir()
	if len(dir) > 90 { // its socket's path has at most 108 bytes: unix(7)
		t.Skip("the path is too long here")
	}
	free, err := world.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := free[0]
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	zone := "example.org. 3600 IN SOA ns.example.org. hostmaster.example.org. 1 7200 3600 1209600 300\nexample.org. 3600 IN NS ns.example.org.\nns.example.org. 3600 IN A 127.0.0.1\n" +
		strings.Join(lines, "\n") + "\n"
	conf := fmt.Sprintf(`server:
    listen: 127.0.0.1@%d
    rundir: %[2]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %[2]s/db
key:
  - id: mailstead
    algorithm: hmac-sha256
    secret: %[3]s
acl:
  - id: ours
    key: mailstead
    action: [update, transfer]
zone:
  - domain: example.org
    storage: %[2]s
    file: example.org.zone
    acl: ours
`, port, dir, testSecret)
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"knot.conf": conf, "example.org.zone": zone} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	c := exec.Command(program, "-c", filepath.Join(dir, "knot.conf"))
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("knot says:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		q := new(dns.Msg)
		q.SetQuestion("example.org.", dns.TypeSOA)
		if r, err := dns.Exchange(q, addr); err == nil && len(r.Answer) > 0 {
			return addr // it has read the zone
		}
		if time.Now().After(deadline) {
			_ = c.Process.Kill()
			_ = c.Wait()
			t.Fatalf("knot does not answer: %s", log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}
