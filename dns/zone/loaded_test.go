package zone_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"mailstead/dns/zone"
	"mailstead/internal/world"
	"mailstead/message"
)

// tool finds a program of Debian's bind9-utils or knot, or skips.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// zones writes each case as a whole zone, and what lies outside of it (the host
// elsewhere, the agreement to get reports) as zones of their own.
func zones(t *testing.T, dir string) (files map[message.Domain]string, records []zone.Record) {
	t.Helper()
	whole := map[message.Domain]*strings.Builder{}
	seen := map[string]bool{}
	origins := []message.Domain{"example.org", "xn--bcher-kva.example", "example.net", "example.com", "reports.example"}
	for _, o := range origins {
		whole[o] = new(strings.Builder)
		fmt.Fprintf(whole[o], "%s. 3600 IN SOA ns.%[1]s. hostmaster.%[1]s. 1 3600 600 86400 300\n%[1]s. 3600 IN NS ns.%[1]s.\nns.%[1]s. 3600 IN A 127.0.0.1\n", o)
	}
	for name, s := range cases() {
		if name == "small" { // the same zone as whole
			continue
		}
		all := zone.Records(s)
		for o, b := range whole {
			var inside []zone.Record
			for _, r := range all {
				if line := r.Name + r.Type + r.Data; zone.Within(r.Name, o) && !seen[line] {
					seen[line] = true
					inside = append(inside, r)
				}
			}
			if len(inside) > 0 {
				zone.WriteFile(b, o, inside)
			}
		}
		records = append(records, all...)
	}
	files = map[message.Domain]string{}
	for o, b := range whole {
		files[o] = filepath.Join(dir, string(o)+".zone")
		if err := os.WriteFile(files[o], []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return files, records
}

func TestNamedChecksTheZones(t *testing.T) {
	program := tool(t, "named-checkzone")
	files, _ := zones(t, t.TempDir())
	for origin, path := range files {
		out, err := exec.Command(program, "-i", "local", "-k", "fail", "-m", "fail", "-n", "fail", "-r", "fail", "-S", "fail", string(origin), path).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "OK") {
			text, _ := os.ReadFile(path)
			t.Errorf("%s: %v\n%s\n%s", origin, err, out, text)
		}
	}
}

// TestZonesResolve loads the zones into knot and asks it for every record.
func TestZonesResolve(t *testing.T) {
	program := tool(t, "knotd")
	dir := t.TempDir()
	if len(dir) > 90 { // its socket's path has at most 108 bytes: unix(7)
		t.Skip("the path is too long here")
	}
	files, records := zones(t, dir)
	server := startKnot(t, program, dir, files)
	want, got := map[string]string{}, map[string]string{}
	for _, r := range records {
		rr, err := mdns.NewRR(fmt.Sprintf("%s. %d IN %s %s", r.Name, int(r.TTL.Seconds()), r.Type, r.Data))
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		want[rr.String()] = r.Text()
		m := new(mdns.Msg).SetQuestion(r.Name+".", mdns.StringToType[r.Type])
		m.SetEdns0(4096, false)
		reply, _, err := (&mdns.Client{Timeout: time.Minute}).Exchange(m, server)
		if err != nil {
			t.Fatalf("%s %s: %v", r.Name, r.Type, err)
		}
		for _, rr := range reply.Answer {
			if rr.Header().Rrtype != mdns.StringToType[r.Type] {
				continue
			}
			text := ""
			if txt, ok := rr.(*mdns.TXT); ok {
				text = strings.Join(txt.Txt, "")
			}
			got[rr.String()] = text
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-meant +resolved):\n%s", d)
	}
}

func startKnot(t *testing.T, program, dir string, files map[message.Domain]string) string {
	t.Helper()
	free, err := world.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := free[0]
	conf := fmt.Sprintf("server:\n    listen: 127.0.0.1@%d\n    rundir: %s\n    udp-workers: 1\n    tcp-workers: 1\n"+
		"    background-workers: 1\nlog:\n  - target: stderr\n    any: warning\ndatabase:\n    storage: %[2]s/db\nzone:\n", port, dir)
	for origin, path := range files {
		conf += fmt.Sprintf("  - domain: %s\n    file: %s\n", origin, path)
	}
	path := filepath.Join(dir, "knot.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	server := fmt.Sprintf("127.0.0.1:%d", port)
	deadline := time.Now().Add(time.Minute)
	for origin := range files {
		for {
			m := new(mdns.Msg).SetQuestion(string(origin)+".", mdns.TypeSOA)
			reply, _, err := (&mdns.Client{Timeout: 200 * time.Millisecond}).Exchange(m, server)
			if err == nil && len(reply.Answer) == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("knot does not answer for %s: %v %v", origin, err, reply)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return server
}
