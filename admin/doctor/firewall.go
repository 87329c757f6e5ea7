package doctor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mailstead/dns/check"
)

// checkFirewall reads the rules of this machine, as far as we may. It knows ufw
// and nft, which holds the rules of the others too; a firewall of the provider
// is not seen here.
func (d *Doctor) checkFirewall(ctx context.Context) []check.Finding {
	const id = "host.firewall"
	var wanted []uint16
	for _, p := range ports(d.Config.Listen) {
		if n := p.at.Port(); p.door != "metrics" && !p.at.Addr().IsLoopback() && !slices.Contains(wanted, n) {
			wanted = append(wanted, n)
		}
	}
	if len(wanted) == 0 {
		return one(ok(id, "", "No door of ours is open to others."))
	}
	text, err := d.Host.Tool(ctx, "ufw", "status")
	if err == nil && strings.Contains(text, "Status: active") {
		closed := slices.DeleteFunc(slices.Clone(wanted), func(p uint16) bool { return ufwAllows(text, p) })
		return one(firewalled(id, closed, text, "ufw allow "))
	}
	text, err = d.Host.Tool(ctx, "nft", "list", "ruleset")
	switch {
	case errors.Is(err, ErrNoTool):
		return one(ok(id, "", "This machine has no firewall of its own."))
	case err != nil:
		return one(ok(id, "", "The firewall's rules can only be read by root: run this as root to have them looked at."))
	}
	closed := slices.DeleteFunc(slices.Clone(wanted), func(p uint16) bool { return nftAllows(text, p) })
	return one(firewalled(id, closed, text, "nft insert rule inet filter input tcp dport { PORTS } accept"))
}

func firewalled(id string, closed []uint16, rules, open string) check.Finding {
	if len(closed) == 0 {
		return ok(id, "", "The firewall lets our doors be reached.")
	}
	var list []string
	for _, p := range closed {
		list = append(list, strconv.Itoa(int(p)))
	}
	numbers := strings.Join(list, ",")
	fix := strings.ReplaceAll(open, "PORTS", strings.Join(list, ", "))
	if fix == open {
		fix += numbers + "/tcp"
	}
	return problem(id, "", fmt.Sprintf("The firewall of this machine lets nobody in at port %s.", numbers), short(rules, 600), fix)
}

// ufwAllows looks for a line such as "25/tcp ALLOW Anywhere", "25,465,587/tcp
// ALLOW IN", "80:443/tcp ALLOW", "Anywhere ALLOW Anywhere", "Mail submission ALLOW".
func ufwAllows(status string, p uint16) bool {
	if strings.Contains(status, "Default: allow (incoming)") {
		return true
	}
	names := map[uint16][]string{
		25: {"SMTP"}, 465: {"SMTPS", "Submissions"}, 587: {"Mail submission"}, 993: {"IMAPS"}, 143: {"IMAP"},
		80: {"WWW", "WWW Full", "Nginx HTTP", "Nginx Full", "Apache", "Apache Full"}, 443: {"WWW Secure", "WWW Full", "Nginx HTTPS", "Nginx Full", "Apache Secure", "Apache Full"},
	}
	for line := range strings.Lines(status) {
		to, _, found := strings.Cut(line, "ALLOW")
		if to = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(to), "(v6)")); !found {
			continue
		}
		if to == "Anywhere" || slices.Contains(names[p], to) || covers(strings.TrimSuffix(to, "/tcp"), p, ":") {
			return true
		}
	}
	return false
}

var (
	chainRE = regexp.MustCompile(`(?s)chain [^{]*\{(.*?)\n\t\}`)
	dportRE = regexp.MustCompile(`(?:tcp|th) dport (\{[^}]*\}|\S+)`)
)

// nftAllows evaluates the chains that see what comes in, roughly: a port is shut
// when such a chain ends in a drop (by policy or by a rule for everything) and no
// rule anywhere accepts it. Rules with sets and jumps are given the benefit of
// the doubt.
func nftAllows(ruleset string, p uint16) bool {
	shut := false
	for _, m := range chainRE.FindAllStringSubmatch(ruleset, -1) {
		body := m[1]
		if strings.Contains(body, "hook input") && (strings.Contains(body, "policy drop") || endsInDrop(body)) {
			shut = true
		}
	}
	if !shut {
		return true
	}
	for line := range strings.Lines(ruleset) {
		if !strings.Contains(line, "accept") && !strings.Contains(line, "jump") && !strings.Contains(line, "goto") && !strings.Contains(line, "vmap") {
			continue
		}
		m := dportRE.FindStringSubmatch(line)
		switch {
		case m != nil && strings.HasPrefix(m[1], "@"): // a named set: its elements stand elsewhere
			return true
		case m != nil && covers(strings.Trim(m[1], "{} "), p, "-"):
			return true
		}
	}
	return false
}

// endsInDrop tells whether the last rule of a chain drops or rejects everything.
func endsInDrop(chain string) bool {
	rules := strings.Split(strings.TrimSpace(chain), "\n")
	last := strings.Fields(rules[len(rules)-1])
	if len(last) > 0 && last[0] == "counter" {
		last = last[min(5, len(last)):]
	}
	return len(last) > 0 && (last[0] == "drop" || last[0] == "reject")
}

// services are the names that nft prints in place of numbers when it is asked to.
var services = map[string]uint16{
	"smtp": 25, "submissions": 465, "urd": 465, "submission": 587, "imap2": 143, "imap": 143, "imaps": 993, "http": 80, "https": 443, "pop3s": 995, "sieve": 4190,
}

// covers tells whether a list of ports and ranges holds one.
func covers(list string, p uint16, dash string) bool {
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), dash)
		from := number(low)
		if to := number(high); from == p || isRange && from <= p && p <= to {
			return true
		}
	}
	return false
}

func number(s string) uint16 {
	if n, known := services[s]; known {
		return n
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	return uint16(n)
}

// short cuts evidence that would fill a page.
func short(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	return s[:n] + " …"
}
