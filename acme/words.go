package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"mailstead/dns"
)

// explain makes a Problem of what certmagic, the CA or the network said.
func (a *authority) explain(name string, err error) *Problem {
	p := &Problem{Kind: Other, Evidence: err.Error(), At: time.Now()}
	var known *Problem
	if errors.As(err, &known) {
		return known
	}
	ca := caHost(a.set.ca())
	var said acme.Problem
	var provider *providerError
	switch {
	case errors.As(err, &provider):
		p.Kind = Provider
		p.Sentence = fmt.Sprintf("The DNS provider did not take the record that proves %s.", name)
		p.Fix = "Look at what it says; often the token has expired or may not change this zone."
		p.Evidence = provider.err.Error()
	case errors.As(err, &said):
		p.Evidence = said.Error()
		a.explainProblem(p, name, ca, said)
	case unreachable(err):
		p.Kind = CADown
		p.Sentence = fmt.Sprintf("The CA %s could not be reached.", ca)
		p.Fix = fmt.Sprintf("It is tried again by itself. If it stays so, see whether this machine gets out: curl -I %s", a.set.ca())
	case strings.Contains(err.Error(), "provisioning client"): // its directory is none
		p.Kind = CADown
		p.Sentence = fmt.Sprintf("The CA %s did not answer as a CA does.", ca)
		p.Fix = fmt.Sprintf("It is tried again by itself. If it stays so, see whether this is the address of its directory: %s", a.set.ca())
	case strings.Contains(err.Error(), "timed out waiting for record"):
		p.Kind = DNSProblem
		p.Sentence = fmt.Sprintf("The record that proves %s was set, but the DNS does not show it.", name)
		p.Fix = "See whether the DNS provider is the one that serves the zone, and how long its changes take."
	case strings.Contains(err.Error(), "could not determine zone"):
		p.Kind = DNSProblem
		p.Sentence = fmt.Sprintf("The DNS does not say in which zone %s lies.", name)
		p.Fix = "See whether the domain is registered and delegated, and whether this machine's resolver works."
	default:
		p.Sentence = fmt.Sprintf("No certificate for %s could be had.", name)
		p.Fix = "It is tried again by itself; the log says more."
	}
	return p
}

// kinds sorts the errors of RFC 8555, 6.7.
var kinds = map[string]Kind{
	acme.ProblemTypeRateLimited:             RateLimited,
	acme.ProblemTypeCAA:                     CAAForbids,
	acme.ProblemTypeDNS:                     DNSProblem,
	acme.ProblemTypeConnection:              Unreachable,
	acme.ProblemTypeUnauthorized:            Unreachable,
	acme.ProblemTypeTLS:                     Unreachable,
	acme.ProblemTypeIncorrectResponse:       Unreachable,
	acme.ProblemTypeServerInternal:          CADown,
	acme.ProblemTypeRejectedIdentifier:      Rejected,
	acme.ProblemTypeUnsupportedIdentifier:   Rejected,
	acme.ProblemTypeInvalidContact:          Rejected,
	acme.ProblemTypeUnsupportedContact:      Rejected,
	acme.ProblemTypeUserActionRequired:      Rejected,
	acme.ProblemTypeAccountDoesNotExist:     Rejected,
	acme.ProblemTypeExternalAccountRequired: Rejected,
}

func (a *authority) explainProblem(p *Problem, name, ca string, said acme.Problem) {
	p.Kind = Other
	for _, s := range said.Subproblems { // what went wrong with the name says more than the whole
		if k, ok := kinds[s.Type]; ok && p.Kind == Other {
			p.Kind = k
		}
	}
	if k, ok := kinds[said.Type]; ok && p.Kind == Other {
		p.Kind = k
	}
	if p.Kind == Other && said.Status >= 500 {
		p.Kind = CADown
	}
	switch p.Kind {
	case RateLimited:
		p.after = retryAfter(said.Detail)
		p.Sentence = fmt.Sprintf("The CA %s was asked too often and wants to be left alone for a while.", ca)
		p.Fix = "It is tried again by itself when the time is over; trying by hand makes it longer."
	case CAAForbids:
		p.Sentence = fmt.Sprintf("A CAA record in the DNS forbids %s to issue a certificate for %s.", ca, name)
		p.Fix = "Add the CAA record that `mailstead dns show` lists, or remove the one that names another CA."
		if id := a.caIssuer(); id != "" {
			p.Fix = fmt.Sprintf("Add the record CAA 0 issue %q for %s or a name above it, or remove the one that names another CA.", id, name)
		}
	case DNSProblem:
		p.Sentence = fmt.Sprintf("The CA cannot find %s in the DNS.", name)
		p.Fix = "Publish the records that `mailstead dns show` lists; a new record may take some minutes to be seen."
	case Unreachable:
		p.Sentence = fmt.Sprintf("The CA looked at %s and did not find this server there.", name)
		p.Fix = fmt.Sprintf("See whether the address of %s in the DNS is this machine's (IPv6 too), and whether ports 80 and 443 come through firewall and router. Behind another web server use DNS-01 or certificate files.", name)
	case Rejected:
		p.Sentence = fmt.Sprintf("The CA %s does not issue certificates for %s to this account.", ca, name)
		p.Fix = "Look at what it says; another CA can be named in the settings of acme."
	case CADown:
		p.Sentence = fmt.Sprintf("The CA %s has a fault of its own.", ca)
		p.Fix = "It is tried again by itself."
	default:
		p.Sentence = fmt.Sprintf("The CA %s refused a certificate for %s.", ca, name)
		p.Fix = "Look at what it says."
	}
}

var retryAfterRE = regexp.MustCompile(`retry after (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)`)

// retryAfter reads the time that Let's Encrypt writes into its refusals.
func retryAfter(detail string) time.Time {
	if m := retryAfterRE.FindStringSubmatch(detail); m != nil {
		if at, err := time.Parse(time.DateTime, strings.Replace(m[1], "T", " ", 1)); err == nil {
			return at
		}
	}
	return time.Time{}
}

// unreachable tells an error on the way to the CA.
func unreachable(err error) bool {
	var link *url.Error
	var network net.Error
	var unknown x509.UnknownAuthorityError
	var wrong x509.HostnameError
	return errors.As(err, &link) || errors.As(err, &network) || errors.As(err, &unknown) || errors.As(err, &wrong) ||
		errors.Is(err, context.DeadlineExceeded)
}

// explainAddress says what is wrong with a name that has no address; nil when it
// has one, or when that cannot be told from here.
func (a *authority) explainAddress(name string, err error) *Problem {
	if !errors.Is(err, dns.ErrNotExist) {
		return nil
	}
	return &Problem{
		Kind: DNSProblem, Evidence: err.Error(), At: time.Now(),
		Sentence: fmt.Sprintf("%s has no address in the DNS, so no CA can find it.", name),
		Fix:      "Publish the records that `mailstead dns show` lists; the certificate comes by itself then.",
	}
}
