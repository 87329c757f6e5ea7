package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
	"mailstead/internal/config"
	"mailstead/internal/machine"
)

// Host is what is asked of the machine. This gives the one that we run on.
type Host struct {
	Listeners func() ([]machine.Listener, error)
	Processes func() ([]machine.Process, error)
	Unit      func(pid int) string // systemd's, "" for none
	Self      func() int           // our own process
	Clock     func() (machine.Clock, error)
	Memory    func() (machine.Memory, error)
	Disk      func(dir string) (machine.Disk, error)
	SyncTimes func(ctx context.Context, dir string) ([]time.Duration, error)
	FileLimit func() (uint64, error)
	Preloaded func() string
	Mode      func(path string) (uint32, error) // permission bits
	Addresses func() ([]netip.Addr, error)      // of the interfaces
	// Tool runs a program of the system that only reads. Errors: ErrNoTool.
	Tool func(ctx context.Context, name string, args ...string) (string, error)
}

// hostChecks are about this machine.
func (d *Doctor) hostChecks() []check.Check {
	h := d.Host
	return []check.Check{
		{ID: "host.name", Title: "the name of this host", Run: d.checkName},
		{ID: "host.ports", Title: "whether our ports are free", Run: when(h.Listeners != nil, d.checkPorts)},
		{ID: "host.mailserver", Title: "other mail servers on this machine", Run: when(h.Processes != nil, d.checkOthers)},
		{ID: "host.clock", Title: "the clock", Run: when(h.Clock != nil, d.checkClock)},
		{ID: "host.memory", Title: "memory and swap", Run: when(h.Memory != nil, d.checkMemory)},
		{ID: "host.disk", Title: "room on the disk", Run: when(h.Disk != nil, d.checkDisk)},
		{ID: "host.inodes", Title: "room for further files", Run: when(h.Disk != nil, d.checkInodes)},
		{ID: "host.filesystem", Title: "the kind of file system", Run: when(h.Disk != nil, d.checkFileSystem)},
		{ID: "host.sync", Title: "whether the disk keeps what it promises, and how fast", Run: when(h.SyncTimes != nil, d.checkSync)},
		{ID: "host.files", Title: "the limit of open files", Run: when(h.FileLimit != nil, d.checkFileLimit)},
		{ID: "host.data", Title: "who may read the data directory", Run: when(h.Mode != nil, d.checkMode)},
		{ID: "host.firewall", Title: "the firewall", Run: when(h.Tool != nil, d.checkFirewall)},
	}
}

// when leaves a check out whose questions cannot be asked.
func when(possible bool, run func(context.Context) []check.Finding) func(context.Context) []check.Finding {
	if !possible {
		return nil
	}
	return run
}

// localNames are ends of names that nobody else can look up (RFC 6761, 6762,
// 8375, and what routers give away).
var localNames = []string{".local", ".localdomain", ".lan", ".home", ".internal", ".home.arpa", ".localhost", ".invalid", ".intranet"}

func (d *Doctor) checkName(context.Context) []check.Finding {
	const id, fix = "host.name", `Put hostname = "mail.example.org" (your name) into mailstead.toml and restart the server.`
	name := strings.ToLower(d.Config.Hostname)
	switch {
	case name == "":
		return one(problem(id, "", "This host has no name for the world.", "", fix))
	case !strings.Contains(name, "."):
		return one(problem(id, name, fmt.Sprintf("The host's name %s is not a full name, so that other servers refuse its greeting.", name), "", fix))
	case slices.ContainsFunc(localNames, func(end string) bool { return strings.HasSuffix(name, end) }):
		return one(problem(id, name, fmt.Sprintf("The host's name %s means nothing outside of your own network.", name), "", fix))
	}
	return one(ok(id, name, fmt.Sprintf("The host is called %s.", name)))
}

// ports are the addresses that our doors want, by door.
type port struct {
	door string
	at   netip.AddrPort
}

func ports(l config.Listen) []port {
	var all []port
	for _, v := range []struct {
		door  string
		addrs []string
	}{
		{"smtp", l.SMTP}, {"submission", l.Submission}, {"submissions", l.Submissions}, {"imap", l.IMAP}, {"imaps", l.IMAPS},
		{"http", l.HTTP}, {"https", l.HTTPS}, {"metrics", l.Metrics},
	} {
		for _, a := range v.addrs {
			if strings.HasPrefix(a, ":") {
				a = "[::]" + a
			}
			if at, err := netip.ParseAddrPort(a); err == nil && at.Port() != 0 {
				all = append(all, port{v.door, at})
			}
		}
	}
	return all
}

// checkPorts looks who holds the ports of our doors. What we hold ourselves is
// as it should be.
func (d *Doctor) checkPorts(context.Context) []check.Finding {
	const id = "host.ports"
	all, err := d.Host.Listeners()
	if err != nil {
		return one(unreadable(id, "", "Who holds the ports", err))
	}
	var found []check.Finding
	for _, p := range ports(d.Config.Listen) {
		l, taken := machine.On(all, p.at)
		if !taken || d.ours(l) {
			continue
		}
		say, name := problem, fmt.Sprintf("port %d", p.at.Port())
		if p.door == "http" || p.door == "https" || p.door == "metrics" {
			say = warning
		}
		who, fix := d.Host.holder(l)
		if rest, found := strings.CutPrefix(fix, "stop "); found { // a sentence here, a hint elsewhere
			fix = "Stop " + rest
		}
		found = append(found, say(id, name, fmt.Sprintf("Port %d, which our door %s needs, is taken by %s.", p.at.Port(), p.door, who),
			fmt.Sprintf("It listens at %s.", l.Addr), fix))
	}
	if found == nil {
		found = one(ok(id, "", "All ports that we need are free or ours."))
	}
	return found
}

// ours tells whether a listener is this server, which a command beside it sees as
// another process of the same program; without rights one sees nothing of it.
func (d *Doctor) ours(l machine.Listener) bool {
	if l.Program == "mailstead" || d.Server.Running && l.PID == 0 {
		return true
	}
	if d.Host.Self == nil || l.PID == 0 {
		return false
	}
	self := d.Host.Self()
	if l.PID == self {
		return true
	}
	all, _ := d.Host.Processes()
	return d.Server.Running && slices.Contains(all, machine.Process{PID: self, Program: l.Program})
}

// mailServers are programs of other mail servers with their service.
var mailServers = map[string]string{
	"exim4": "exim4", "exim": "exim", "postfix": "postfix", "master": "postfix", "sendmail": "sendmail", "sendmail-mta": "sendmail",
	"smtpd": "opensmtpd", "opensmtpd": "opensmtpd", "dovecot": "dovecot", "cyrmaster": "cyrus-imapd", "courier": "courier",
	"qmail-smtpd": "qmail", "chasquid": "chasquid", "maddy": "maddy", "mox": "mox", "stalwart": "stalwart", "stalwart-mail": "stalwart-mail",
	"dma": "dma", "nullmailer-send": "nullmailer",
}

// checkOthers finds other mail servers, those that hold none of our ports too:
// cron and root hand them mail that nobody ever sees.
func (d *Doctor) checkOthers(context.Context) []check.Finding {
	const id = "host.mailserver"
	all, err := d.Host.Processes()
	if err != nil {
		return one(unreadable(id, "", "What else runs on this machine", err))
	}
	var found []check.Finding
	seen := map[string]bool{}
	for _, p := range all {
		service, known := mailServers[p.Program]
		if !known || seen[service] || p.Program == "smtpd" && seen["postfix"] { // Postfix has an smtpd too
			continue
		}
		seen[service] = true
		found = append(found, warning(id, service, fmt.Sprintf("Another mail server runs on this machine: %s (pid %d).", p.Program, p.PID),
			"", fmt.Sprintf("Unless you want both: systemctl disable --now %s", service)))
	}
	if found == nil {
		found = one(ok(id, "", "No other mail server runs on this machine."))
	}
	return found
}

func one(f check.Finding) []check.Finding { return []check.Finding{f} }
