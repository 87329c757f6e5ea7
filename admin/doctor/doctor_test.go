package doctor

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/dns"
	"mailstead/dns/check"
	"mailstead/internal/machine"
	"mailstead/internal/world"
)

// bad gives the findings that are not as they should be.
func bad(found []check.Finding) []check.Finding {
	var list []check.Finding
	for _, f := range found {
		if f.Severity != check.OK {
			list = append(list, f)
		}
	}
	return list
}

func TestHealthyWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealthy(t)
		defer h.world.Close()
		found := h.everything()
		if list := bad(found); len(list) > 0 {
			t.Errorf("found in a healthy world: %+v", list)
		}
		seen := map[string]bool{}
		for _, f := range found {
			seen[f.ID] = true
		}
		for _, c := range h.Checks(t.Context()) {
			if !seen[c.ID] && !strings.HasPrefix(c.ID, "dns.") { // those say nothing where there is nothing
				t.Errorf("%s said nothing", c.ID)
			}
		}
	})
}

// everything runs all checks, with the one that is run by its name alone.
func (h *healthy) everything() []check.Finding {
	return append(h.Run(h.t.Context()), h.Run(h.t.Context(), onRequest)...)
}

// fault is one thing that is broken, and what is to be said of it.
type fault struct {
	name     string
	plant    func(h *healthy)
	id       string
	severity check.Severity
	says     string
}

// faults are what the doctor must find, each alone in a world that is otherwise
// well.
func faults() []fault {
	four, six := netip.MustParseAddr(host4), netip.MustParseAddr(host6)
	remotes := func(h *healthy, r remote, of func(netip.Addr) bool) {
		for at := range h.remotes {
			if of(netip.MustParseAddrPort(at).Addr()) {
				h.remotes[at] = r
			}
		}
	}
	at := func(h *healthy, name string, change func(d *door)) {
		d := h.shows[name]
		change(&d)
		h.shows[name] = d
	}
	renamed := func(h *healthy, a netip.Addr, name string) {
		h.zone(reverseZone(a), "@ PTR "+name+"\n")
	}
	return []fault{
		{"no host name", func(h *healthy) { h.Config.Hostname = "" }, "host.name", check.Problem, "no name"},
		{"short host name", func(h *healthy) { h.Config.Hostname = "mail" }, "host.name", check.Problem, "not a full name"},
		{"local host name", func(h *healthy) { h.Config.Hostname = "pi.local" }, "host.name", check.Problem, "outside of your own network"},
		{"exim holds port 25", func(h *healthy) {
			h.machine.listeners[0] = machine.Listener{Addr: netip.MustParseAddrPort("127.0.0.1:25"), PID: 812, Program: "exim4"}
		}, "host.ports", check.Problem, "taken by exim4 (pid 812)"},
		{"a web server holds port 443", func(h *healthy) {
			h.machine.listeners = append(h.machine.listeners, machine.Listener{Addr: netip.MustParseAddrPort("0.0.0.0:443"), PID: 7, Program: "nginx"})
		}, "host.ports", check.Warning, "taken by nginx (pid 7)"},
		{"postfix beside us", func(h *healthy) {
			h.machine.processes = append(h.machine.processes, machine.Process{PID: 5, Program: "postfix"})
		}, "host.mailserver", check.Warning, "postfix (pid 5)"},
		{"clock in the past", func(h *healthy) { h.machine.clock.Now = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC) }, "host.clock", check.Problem, "2019-01-01"},
		{"clock not synchronised", func(h *healthy) { h.machine.clock.Synchronised = false }, "host.clock", check.Warning, "Nothing keeps the clock right"},
		{"clock drifts", func(h *healthy) { h.machine.clock.Error = 9 * time.Second }, "host.clock", check.Warning, "off by 9s"},
		{"little memory", func(h *healthy) {
			h.machine.memory = machine.Memory{Total: 128 * mebi, Available: 90 * mebi, Swap: gibi}
		}, "host.memory", check.Warning, "very little memory"},
		{"memory used up", func(h *healthy) { h.machine.memory.Available = 10 * mebi }, "host.memory", check.Warning, "Hardly any memory"},
		{"no swap", func(h *healthy) { h.machine.memory = machine.Memory{Total: 512 * mebi, Available: 300 * mebi} }, "host.memory", check.Warning, "no swap"},
		{"disk full", func(h *healthy) { h.machine.disk.Free = 20 * mebi; h.server.days = nil }, "host.disk", check.Problem, "disk is full"},
		{"disk nearly full", func(h *healthy) { h.machine.disk.Free = gibi; h.server.days = nil }, "host.disk", check.Warning, "nearly full"},
		{"no inodes", func(h *healthy) { h.machine.disk.InodeFree = 3 }, "host.inodes", check.Problem, "no further files"},
		{"few inodes", func(h *healthy) { h.machine.disk.InodeFree = 20_000 }, "host.inodes", check.Warning, "few further files"},
		{"NFS", func(h *healthy) { h.machine.disk.Kind = "nfs4" }, "host.filesystem", check.Problem, "on nfs4"},
		{"tmpfs", func(h *healthy) { h.machine.disk.Kind = "tmpfs" }, "host.filesystem", check.Problem, "lives in memory"},
		{"container's own layer", func(h *healthy) { h.machine.disk.Kind = "overlay" }, "host.filesystem", check.Warning, "gone with the container"},
		{"mounted for reading only", func(h *healthy) { h.machine.disk.Options = []string{"ro"} }, "host.filesystem", check.Problem, "for reading only"},
		{"syncs that lie", func(h *healthy) { h.machine.syncs = []time.Duration{1000, 1000, 2000} }, "host.sync", check.Problem, "faster than any disk"},
		{"no barriers", func(h *healthy) { h.machine.disk.Options = []string{"rw", "nobarrier"} }, "host.sync", check.Problem, "without barriers"},
		{"eatmydata", func(h *healthy) { h.machine.preloaded = "/usr/lib/libeatmydata.so" }, "host.sync", check.Problem, "libeatmydata"},
		{"slow disk", func(h *healthy) { h.machine.syncs = []time.Duration{9e7, 9e7, 9e7} }, "host.sync", check.Warning, "90ms for a sync"},
		{"few open files", func(h *healthy) { h.machine.files = 1024 }, "host.files", check.Warning, "Only 1024"},
		{"data open to all", func(h *healthy) { h.machine.mode = 0o755 }, "host.data", check.Problem, "Other users"},
		{"nft drops port 25", func(h *healthy) { h.machine.tools["nft"] = strings.Replace(h.machine.tools["nft"], "25, ", "", 1) }, "host.firewall", check.Problem, "at port 25"},
		{"ufw without 993", func(h *healthy) {
			h.machine.tools["ufw"] = "Status: active\n\nTo                         Action      From\n25,80,143,443,465,587/tcp  ALLOW       Anywhere\n22/tcp                     ALLOW       Anywhere\n"
		}, "host.firewall", check.Problem, "at port 993"},

		{"resolver down", func(h *healthy) {
			for _, z := range []string{"signed.test", "broken.test", "unsigned.test"} {
				h.world.Fail(z, world.Silence)
			}
		}, "net.resolver", check.Problem, "The DNS does not answer"},
		{"resolver does not validate", func(h *healthy) { h.world.Fail("broken.test", 0) }, "net.resolver", check.Warning, "DANE is off"},
		{"resolver without AD", func(h *healthy) { h.zone("plain.test", ""); h.testNames("plain.test") }, "net.resolver", check.Warning, "DANE is off"},
		{"resolver that always says AD", func(h *healthy) { h.world.Sign("unsigned.test") }, "net.resolver", check.Warning, "DANE is off"},
		{"carrier NAT", func(h *healthy) {
			h.public = nil
			h.machine.addresses = []netip.Addr{netip.MustParseAddr("100.64.3.4")}
		}, "net.addresses", check.Problem, "carrier NAT"},
		{"behind a router", func(h *healthy) {
			h.public = nil
			h.machine.addresses = []netip.Addr{netip.MustParseAddr("192.168.1.4")}
		}, "net.addresses", check.Warning, "behind a router"},
		{"IPv6 alone", func(h *healthy) { h.public = []netip.Addr{six}; h.machine.addresses = h.public }, "net.addresses", check.Warning, "IPv6 address alone"},
		{"no address", func(h *healthy) { h.public, h.machine.addresses = nil, nil }, "net.addresses", check.Problem, "no address"},
		{"port 25 refused", func(h *healthy) { remotes(h, remote{err: syscall.ECONNREFUSED}, netip.Addr.Is4) }, "net.outgoing.ipv4", check.Problem, "are refused"},
		{"port 25 swallowed", func(h *healthy) { remotes(h, remote{stalls: true}, netip.Addr.Is4) }, "net.outgoing.ipv4", check.Problem, "are swallowed"},
		{"port 25 intercepted", func(h *healthy) { remotes(h, remote{banner: "220 antispam.isp.test ready"}, netip.Addr.Is4) }, "net.outgoing.ipv4", check.Problem, "intercepted"},
		{"no route for IPv4", func(h *healthy) { remotes(h, remote{err: syscall.ENETUNREACH}, netip.Addr.Is4) }, "net.outgoing.ipv4", check.Problem, "no way to the Internet"},
		{"port 25 swallowed on IPv6", func(h *healthy) { remotes(h, remote{stalls: true}, netip.Addr.Is6) }, "net.outgoing.ipv6", check.Info, "by IPv6"},
		{"no reverse name", func(h *healthy) { h.unname(four) }, "net.reverse", check.Problem, "has no reverse name"},
		{"no reverse name of IPv6", func(h *healthy) { h.unname(six) }, "net.reverse", check.Warning, "leaves by IPv4 alone"},
		{"another reverse name", func(h *healthy) { renamed(h, four, "old.example.net.") }, "net.reverse", check.Warning, "is not mail.example.org"},
		{"a provider's reverse name", func(h *healthy) { renamed(h, four, "static-192-0-2-10.isp.test.") }, "net.reverse", check.Problem, "a provider made"},
		{"reverse name that leads elsewhere", func(h *healthy) {
			h.zone("mail.example.org", "@ A 192.0.2.77\n@ AAAA "+host6+"\n")
		}, "net.reverse", check.Problem, "does not lead back"},
		{"on a block list", func(h *healthy) { h.zone("zen.spamhaus.org", "2.0.0.127 A 127.0.0.2\n10.2.0.192 A 127.0.0.3\n") }, "net.blocklist", check.Problem, "has the address"},
		{"on a policy list", func(h *healthy) { h.zone("zen.spamhaus.org", "2.0.0.127 A 127.0.0.2\n10.2.0.192 A 127.0.0.11\n") }, "net.blocklist", check.Problem, "has declared"},
		{"list that refuses our resolver", func(h *healthy) {
			h.zone("zen.spamhaus.org", "2.0.0.127 A 127.255.255.254\n10.2.0.192 A 127.255.255.254\n")
		}, "net.blocklist", check.Info, "is an error, not a listing"},
		{"list that lists everything", func(h *healthy) {
			h.zone("psbl.surriel.com", "* A 127.0.0.2\n2.0.0.127 A 127.0.0.2\n1.0.0.127 A 127.0.0.2\n10.2.0.192 A 127.0.0.2\n")
		}, "net.blocklist", check.Info, "is not well"},
		{"public resolver", func(h *healthy) {
			for _, l := range Lists() {
				h.world.Fail("2.0.0.127."+l.Zone, world.Refused)
			}
		}, "net.blocklist", check.Info, "No block list could be asked"},
		{"list that is gone", func(h *healthy) { h.zone("bl.spamcop.net", "") }, "net.blocklist", check.Info, "is not well"},

		{"dead door", func(h *healthy) { at(h, "imap", func(d *door) { d.dead = true }) }, "mail.doors", check.Problem, "imap does not answer"},
		{"door that turns away", func(h *healthy) { at(h, "imaps", func(d *door) { d.greeting = "* BYE too many" }) }, "mail.doors", check.Problem, "turns visitors away"},
		{"somebody else's door", func(h *healthy) { at(h, "smtp", func(d *door) { d.greeting = "220 router.lan ESMTP" }) }, "mail.doors", check.Problem, "greets as router.lan"},
		{"no STARTTLS", func(h *healthy) { at(h, "smtp", func(d *door) { d.noStartTLS = true }) }, "tls.starttls", check.Problem, "smtp does not offer TLS"},
		{"broken STARTTLS", func(h *healthy) { at(h, "submission", func(d *door) { d.broken = true }) }, "tls.starttls", check.Problem, "TLS fails at our door submission"},
		{"AUTH in clear", func(h *healthy) { at(h, "submission", func(d *door) { d.clear += " AUTH" }) }, "tls.plaintext", check.Problem, "submission takes passwords in clear"},
		{"AUTH on 25", func(h *healthy) { at(h, "smtp", func(d *door) { d.clear += " AUTH" }) }, "tls.plaintext", check.Problem, "smtp takes passwords"},
		{"IMAP LOGIN in clear", func(h *healthy) { at(h, "imap", func(d *door) { d.clear = "IMAP4rev1" }) }, "tls.plaintext", check.Problem, "imap takes passwords"},
		{"old TLS", func(h *healthy) { at(h, "imaps", func(d *door) { d.old = true }) }, "tls.version", check.Warning, "which can be broken"},
		{"certificate expired", func(h *healthy) { h.passes(4) }, "tls.certificate", check.Problem, "has expired"},
		{"certificate ends soon", func(h *healthy) { h.passes(2.85) }, "tls.certificate", check.Warning, "ends in"},
		{"certificate not yet valid", func(h *healthy) { h.passes(-1) }, "tls.certificate", check.Problem, "not valid yet"},
		{"certificate of another name", func(h *healthy) { h.certify("www.example.org") }, "tls.certificate", check.Problem, "not for mail.example.org"},
		{"certificate of nobody", func(h *healthy) { h.selfSigned() }, "tls.certificate", check.Problem, "self-signed"},
		{"chain that is not whole", func(h *healthy) {
			other, _ := world.New(world.Options{Memory: true})
			h.Network.Roots = other.CA
			other.Close()
		}, "tls.certificate", check.Problem, "stands alone"},

		{"abuse@ reaches nobody", func(h *healthy) { h.server.reaches["abuse@example.org"] = errDisabled }, "mail.duty", check.Problem, "Nobody reads abuse@example.org"},
		{"postmaster@ reaches nobody", func(h *healthy) { h.server.reaches["postmaster@example.org"] = errDisabled }, "mail.duty", check.Problem, "Nobody reads postmaster@example.org"},
		{"our door refuses our mail", func(h *healthy) { at(h, "smtp", func(d *door) { d.refuses = "451 4.3.0 not now" }) }, "mail.self", check.Problem, "does not take mail for"},
		{"no mail from the world yet", func(h *healthy) { h.server.came = time.Time{} }, "mail.incoming", check.Info, "has come yet"},
		{"no mail from the world for long", func(h *healthy) { h.server.came = time.Now().Add(-30 * 24 * time.Hour) }, "mail.incoming", check.Info, "for 30 days"},
		{"accepted mail that is not there", func(h *healthy) { h.server.lands = false }, "mail.delivery", check.Problem, "is not in INBOX"},
		{"no operator", func(h *healthy) { h.server.people = nil }, "run.operator", check.Problem, "no operator"},
		{"old mail in the queue", func(h *healthy) { h.server.queue.Oldest = time.Now().Add(-9 * time.Hour) }, "run.queue", check.Warning, "waiting for 9 hours"},
		{"very old mail in the queue", func(h *healthy) { h.server.queue.Oldest = time.Now().Add(-90 * time.Hour) }, "run.queue", check.Problem, "soon be given up"},
		{"very much mail in the queue", func(h *healthy) { h.server.queue.Messages = 5000 }, "run.queue", check.Warning, "5000 messages"},
		{"disk that fills", func(h *healthy) {
			h.server.days = nil
			for i := range int64(10) {
				h.server.days = append(h.server.days, DiskDay{i, 90*gibi - i*3*gibi})
			}
		}, "run.disk", check.Warning, "full in about 20 days"},
		{"renewal fails", func(h *healthy) {
			h.server.certs[0].Problem, h.server.certs[0].Fix = "the authority cannot be reached.", "wait"
		}, "run.certificates", check.Warning, "no new certificate"},
		{"renewal fails to the last", func(h *healthy) {
			h.server.certs[0].Problem, h.server.certs[0].Fix, h.server.certs[0].NotAfter = "CAA forbids it.", "change it", time.Now().Add(48*time.Hour)
		}, "run.certificates", check.Problem, "cannot be renewed"},
		{"own files forgotten", func(h *healthy) { h.server.certs[0].NotAfter = time.Now().Add(7 * 24 * time.Hour) }, "run.certificates", check.Warning, "ends in 7 days"},
		{"no certificate yet", func(h *healthy) { h.server.certs = append(h.server.certs, Certificate{Name: "mta-sts.example.org"}) }, "run.certificates", check.Info, "no certificate for mta-sts.example.org yet"},
		{"no snapshots", func(h *healthy) { h.server.shot = time.Now().Add(-7 * time.Hour) }, "run.snapshot", check.Warning, "no snapshot for 7 hours"},
		{"old backup", func(h *healthy) { h.server.backup.Last = time.Now().Add(-50 * time.Hour) }, "run.backup", check.Warning, "50 hours old"},
		{"very old backup", func(h *healthy) { h.server.backup.Last = time.Now().Add(-20 * 24 * time.Hour) }, "run.backup", check.Problem, "20 days old"},
		{"backup that failed", func(h *healthy) { h.server.backup.Problem = "the disk is full" }, "run.backup", check.Warning, "failed"},
		{"backup beside the mail", func(h *healthy) { h.server.backup.SameDisk = true }, "run.backup", check.Warning, "same disk"},
		{"no backup", func(h *healthy) { h.server.backup = Backup{} }, "run.backup", check.Info, "There is no backup"},
		{"lost files", func(h *healthy) { h.server.lost = []string{"messages/lost/7"} }, "run.lost", check.Warning, "belong to nobody"},
	}
}

// TestFindsEveryFault breaks one thing at a time. Each must be found under its
// ID, and nothing else may be said that is not a consequence of it.
func TestFindsEveryFault(t *testing.T) {
	consequences := map[string][]string{
		"no host name":                      {"net.reverse", "tls.certificate", "mail.doors"},
		"short host name":                   {"net.reverse", "tls.certificate", "mail.doors"},
		"local host name":                   {"net.reverse", "tls.certificate", "mail.doors"},
		"reverse name that leads elsewhere": {"dns.host.spread", "dns.tlsa.spread"},
		"certificate of another name":       {"dns.tlsa.live"},
		"certificate of nobody":             {"dns.tlsa.live"},
		"no operator":                       {"mail.duty", "mail.delivery"},
		"our door refuses our mail":         {"mail.delivery"},
		"certificate expired":               {"run.certificates", "run.queue", "run.snapshot", "run.backup", "mail.incoming"},
		"certificate ends soon":             {"run.certificates", "run.queue", "run.snapshot", "run.backup", "mail.incoming"},
	}
	all := append(faults(), domainFaults()...)
	if len(all) < 40 {
		t.Errorf("only %d faults are planted", len(all))
	}
	for _, f := range all {
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHealthy(t)
				defer h.world.Close()
				f.plant(h)
				if strings.HasPrefix(f.id, "dns.") {
					h.publish()
				}
				found := false
				for _, b := range bad(h.everything()) {
					if b.ID == f.id {
						found = found || b.Severity == f.severity && strings.Contains(b.Sentence, f.says)
						if !found {
							t.Logf("%s %s: %s", b.ID, b.Severity, b.Sentence)
						}
					} else if !contains(consequences[f.name], b.ID) {
						t.Errorf("said besides: %s: %s (%s)", b.ID, b.Sentence, b.Evidence)
					}
					if b.Fix == "" && b.Severity != check.Info {
						t.Errorf("%s has no fix: %s", b.ID, b.Sentence)
					}
					if !strings.HasSuffix(b.Sentence, ".") && !strings.HasSuffix(b.Sentence, "?") {
						t.Errorf("no sentence: %q", b.Sentence)
					}
				}
				if !found {
					t.Errorf("%s was not found as %s %s: %q", f.name, f.id, f.severity, f.says)
				}
			})
		})
	}
}

func contains(list []string, id string) bool {
	for _, one := range list {
		if one == id {
			return true
		}
	}
	return false
}

// TestNothingAnswers holds the bar of twenty seconds when no question of any kind
// is answered, by functions that do not look at their context either.
func TestNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealthy(t)
		never := make(chan struct{})
		h.Host.Memory = func() (machine.Memory, error) { <-never; return machine.Memory{}, nil }
		h.Host.Tool = func(context.Context, string, ...string) (string, error) { <-never; return "", nil }
		h.Network.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		h.Server.Connect = h.Network.Dial
		silent := &dns.Client{Servers: func() []string { return []string{"192.0.2.1:53", "192.0.2.2:53"} }, Dial: h.Network.Dial}
		h.Network.Resolver = silent
		h.Network.SelfTest = func(ctx context.Context) dns.Trust { return silent.SelfTest(ctx, dns.PublicNames()) }
		h.Doctor.Domains = func(context.Context) []check.Check {
			return []check.Check{{ID: "dns.example.org", Title: "records", Run: func(context.Context) []check.Finding { <-never; return nil }}}
		}
		began := time.Now()
		found := bad(h.Run(t.Context()))
		if took := time.Since(began); took >= 20*time.Second {
			t.Errorf("it took %v", took)
		}
		seen := map[string]bool{}
		for _, f := range found {
			seen[f.ID] = true
		}
		for _, id := range []string{"host.memory", "host.firewall", "net.resolver", "net.outgoing.ipv4", "net.reverse", "net.blocklist", "mail.doors", "dns.example.org"} {
			if !seen[id] {
				t.Errorf("%s did not say that nothing answered", id)
			}
		}
		close(never)
		h.world.Close()
		synctest.Wait()
	})
}

// TestOneAtATime: an ID chooses its check, a longer one too, a shorter one all
// below it.
func TestOneAtATime(t *testing.T) {
	for _, tt := range []struct {
		id   string
		only []string
		want bool
	}{
		{"host.disk", nil, true},
		{"host.disk", []string{"host.disk"}, true},
		{"host.disk", []string{"host"}, true},
		{"host.disk", []string{"host.d"}, false},
		{"dns", []string{"dns.spf"}, true},
		{"net.outgoing.ipv6", []string{"tls", "net.outgoing"}, true},
	} {
		if got := Chosen(tt.id, tt.only); got != tt.want {
			t.Errorf("%s of %v: %v", tt.id, tt.only, got)
		}
	}
}

func TestGeneric(t *testing.T) {
	four, six := netip.MustParseAddr("203.0.113.25"), netip.MustParseAddr("2001:db8:1:2::aabb:ccdd")
	got := map[string]bool{}
	want := map[string]bool{
		"mail.example.org": false, "mx1.example.org": false, "smtp2.example.org": false, "postbox.dynamics.example": false,
		"203-0-113-25.isp.example": true, "ip-203-0-113-25.cloud.example": true, "25.113.0.203.isp.example": true,
		"static.25.113.0.203.clients.isp.example": true, "host203.isp.example": true, "dsl-pool-7.isp.example": true,
		"cb007119.isp.example": true, "vps12345.host.example": true, "113-25.dial.isp.example": true,
	}
	for name := range want {
		got[name] = Generic(name, four)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !Generic("2001-db8-1-2--aabb-ccdd.isp.example", six) || Generic("mail.example.org", six) {
		t.Error("IPv6")
	}
}
