package dns

import (
	"context"
	"fmt"
	"strings"
	"sync"

	mdns "github.com/miekg/dns"
)

// TestNames are what a self-test asks for: the apexes of zones.
type TestNames struct {
	Signed   []string // a validating resolver gives AD
	Broken   []string // and SERVFAIL for these, whose signatures are wrong on purpose
	Unsigned []string // and no AD here
}

// PublicNames are the Internet's: several of each kind, so that one zone that is
// down or has changed decides nothing.
func PublicNames() TestNames {
	return TestNames{
		Signed:   []string{"ietf.org", "nic.cz", "nlnetlabs.nl"},
		Broken:   []string{"dnssec-failed.org", "servfail.nl", "rhybar.cz"},
		Unsigned: []string{"google.com", "amazon.com"},
	}
}

// Trust is what a self-test found out of the servers.
type Trust struct {
	Answers   bool   // at least one name was answered by every server
	Validates bool   // so their AD bit counts
	Reason    string // why not, in words
	Evidence  string // each name with its answer
}

// SelfTest asks every server for names whose answers tell whether it validates.
// That a server is on loopback or says AD proves nothing: it must also refuse
// what is broken. Nothing of this is answered from the cache. It changes
// nothing; Trust does.
func (c *Client) SelfTest(ctx context.Context, names TestNames) Trust {
	type probe struct{ server, kind, name string }
	var probes []probe
	servers := c.Servers()
	for _, s := range servers {
		for _, k := range []struct {
			kind  string
			names []string
		}{{"signed", names.Signed}, {"broken", names.Broken}, {"unsigned", names.Unsigned}} {
			for _, n := range k.names {
				probes = append(probes, probe{s, k.kind, n})
			}
		}
	}
	said := make([]string, len(probes))
	var all sync.WaitGroup
	for i, p := range probes {
		all.Go(func() { said[i] = c.probe(ctx, p.server, p.name) })
	}
	all.Wait()

	t := Trust{Answers: len(servers) > 0, Validates: len(servers) > 0}
	var evidence []string
	for _, s := range servers {
		count := map[string]int{}
		for i, p := range probes {
			if p.server != s {
				continue
			}
			count[p.kind+" "+said[i]]++
			if said[i] != silent {
				count[answered]++
			}
			evidence = append(evidence, fmt.Sprintf("%s: %s (%s): %s", p.server, p.name, p.kind, said[i]))
		}
		if why := judge(count); why != "" && t.Validates {
			t.Validates, t.Reason = false, s+" "+why
		}
		t.Answers = t.Answers && count[answered] > 0
	}
	if len(servers) == 0 {
		t.Reason = "no name server is configured"
	}
	t.Evidence = strings.Join(evidence, "\n")
	return t
}

// What a probe gives.
const (
	secure   = "answered, AD"
	insecure = "answered, no AD"
	servfail = "SERVFAIL"
	silent   = "no answer"
	answered = "answered"
)

// judge says what is wrong with a server's answers, "" for nothing.
func judge(count map[string]int) string {
	switch {
	case count[answered] == 0:
		return "does not answer"
	case count["unsigned "+secure] > 0:
		return "says AD of a name that is not signed"
	case count["broken "+secure]+count["broken "+insecure] > 0:
		return "answers for names whose signatures are wrong: it does not validate"
	case count["signed "+secure] == 0:
		return "does not say AD of signed names: it does not validate, or the way to it takes AD away"
	case count["broken "+servfail] == 0:
		return "could not be shown to refuse broken signatures"
	case count["unsigned "+insecure] == 0:
		return "gave no answer for unsigned names"
	}
	return ""
}

func (c *Client) probe(ctx context.Context, server, name string) string {
	reply, err := c.askServer(ctx, server, mdns.Fqdn(name), mdns.TypeSOA, flags{recursive: true})
	switch {
	case err != nil:
		return silent
	case reply.Rcode == mdns.RcodeServerFailure:
		return servfail
	case reply.Rcode != mdns.RcodeSuccess:
		return mdns.RcodeToString[reply.Rcode]
	case reply.AuthenticatedData:
		return secure
	}
	return insecure
}

// Trust says from now on whether the servers' AD bit counts, and forgets what
// was answered before. Before the first call it is what Trusted says.
func (c *Client) Trust(yes bool) {
	word := distrusted
	if yes {
		word = trusted
	}
	if c.word.Swap(word) != word {
		c.cache.clear()
	}
}

const (
	distrusted int32 = iota + 1
	trusted
)

// Judged tells whether Trust was called, or Trusted set.
func (c *Client) Judged() bool { return c.Trusted || c.word.Load() != 0 }

// Trusts tells whether the AD bit counts.
func (c *Client) Trusts() bool {
	switch c.word.Load() {
	case trusted:
		return true
	case distrusted:
		return false
	}
	return c.Trusted
}
