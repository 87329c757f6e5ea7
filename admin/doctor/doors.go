package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailstead/dns/check"
)

// doorChecks are about our own doors as a stranger sees them.
func (d *Doctor) doorChecks() []check.Check {
	known := d.Server.Doors != nil && d.Server.Connect != nil
	return []check.Check{
		{ID: "mail.doors", Title: "whether the server's doors answer", Run: when(known, d.checkDoors)},
		{ID: "tls.starttls", Title: "TLS at every door", Run: when(known, d.checkStartTLS)},
		{ID: "tls.plaintext", Title: "that no password travels in clear", Run: when(known, d.checkPlaintext)},
		{ID: "tls.version", Title: "the versions of TLS", Run: when(known, d.checkVersion)},
		{ID: "tls.certificate", Title: "the certificate that clients and servers are shown", Run: when(known, d.checkCertificate)},
	}
}

// visits knocks at all doors at once.
func (d *Doctor) visits(ctx context.Context, lowest, highest uint16) []visit {
	doors := d.Server.Doors()
	all := make([]visit, len(doors))
	var going sync.WaitGroup
	for i, door := range doors {
		going.Go(func() { all[i] = d.knock(ctx, door, lowest, highest) })
	}
	going.Wait()
	return all
}

// tour is what was seen at all doors in one run, which several checks judge.
type tour struct {
	begun atomic.Bool
	over  chan struct{}
	seen  []visit // when over is closed
}

// tourKey finds the run's tour in its context.
type tourKey struct{}

// tour knocks at all doors as people do, once for a run.
func (d *Doctor) tour(ctx context.Context) []visit {
	t, _ := ctx.Value(tourKey{}).(*tour)
	if t == nil {
		return d.visits(ctx, tls.VersionTLS12, tls.VersionTLS13)
	}
	if !t.begun.Swap(true) {
		t.seen = d.visits(ctx, tls.VersionTLS12, tls.VersionTLS13)
		close(t.over)
	}
	<-t.over // soon: whoever is on the way has our time
	return t.seen
}

func (d *Doctor) checkDoors(ctx context.Context) []check.Finding {
	const id = "mail.doors"
	var found []check.Finding
	for _, v := range d.tour(ctx) {
		good := "220 "
		if v.door.imap() {
			good = "* OK"
		}
		switch {
		case v.err != nil && v.greeting == "" && v.step != "TLS handshake":
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("Our door %s does not answer.", v.door.Name),
				fmt.Sprintf("%s, %s: %v", v.door.Addr, v.step, v.err), "Look into the server's log; restart it."))
		case v.greeting != "" && !strings.HasPrefix(v.greeting, good):
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("Our door %s turns visitors away.", v.door.Name), v.greeting, "Look into the server's log."))
		case v.greeting != "" && !v.door.imap() && !strings.EqualFold(second(v.greeting), d.Config.Hostname):
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("Somebody else answers at our door %s: it greets as %s, not as %s.", v.door.Name, second(v.greeting), d.Config.Hostname),
				v.greeting, "Look who listens there (`ss -tlnp` as root), or restart the server if hostname was changed."))
		}
	}
	if found == nil {
		found = one(ok(id, "", "All doors answer."))
	}
	return found
}

func second(line string) string {
	if f := strings.Fields(line); len(f) > 1 {
		return f[1]
	}
	return "nobody"
}

func (d *Doctor) checkStartTLS(ctx context.Context) []check.Finding {
	const id, fix = "tls.starttls", "Something between may take STARTTLS away (a firewall that inspects mail); otherwise look into the server's log."
	var found []check.Finding
	for _, v := range d.tour(ctx) {
		switch {
		case v.step == "TLS handshake" || v.step == "STARTTLS":
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("TLS fails at our door %s.", v.door.Name), v.err.Error(), fix))
		case v.err == nil && v.version == 0:
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("Our door %s does not offer TLS, so that mail travels in clear.", v.door.Name),
				"Offered: "+strings.Join(v.clear, ", "), fix))
		}
	}
	if found == nil {
		found = one(ok(id, "", "Every door offers TLS."))
	}
	return found
}

// checkPlaintext looks for ways to log in before TLS, and on port 25 at all.
func (d *Doctor) checkPlaintext(ctx context.Context) []check.Finding {
	const id = "tls.plaintext"
	var found []check.Finding
	for _, v := range d.tour(ctx) {
		if v.door.implicitTLS() || v.clear == nil {
			continue
		}
		auth := slices.IndexFunc(v.clear, func(o string) bool { return strings.HasPrefix(o, "AUTH") })
		switch {
		case auth >= 0:
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("Our door %s takes passwords in clear.", v.door.Name), "Offered before TLS: "+v.clear[auth],
				"Our server never does this: something else listens there, or stands between."))
		case v.door.imap() && !has(v.clear, "LOGINDISABLED"):
			found = append(found, problem(id, v.door.Name, fmt.Sprintf("Our door %s takes passwords in clear.", v.door.Name), "LOGINDISABLED is missing before TLS: "+strings.Join(v.clear, " "),
				"Our server never does this: something else listens there, or stands between."))
		}
	}
	if found == nil {
		found = one(ok(id, "", "No door takes a password in clear."))
	}
	return found
}

// checkVersion tries what RFC 8996 has put away.
func (d *Doctor) checkVersion(ctx context.Context) []check.Finding {
	const id = "tls.version"
	var found []check.Finding
	for _, v := range d.visits(ctx, tls.VersionTLS10, tls.VersionTLS11) {
		if v.version != 0 {
			found = append(found, warning(id, v.door.Name, fmt.Sprintf("Our door %s takes %s, which can be broken.", v.door.Name, tls.VersionName(v.version)), "",
				"Our server never does this: something else listens there, or stands between."))
		}
	}
	if found == nil {
		found = one(ok(id, "", "Only TLS 1.2 and newer is taken."))
	}
	return found
}

// Before its end a certificate should have been renewed for long.
const certificateLate = 10 * 24 * time.Hour

func (d *Doctor) checkCertificate(ctx context.Context) []check.Finding {
	const id = "tls.certificate"
	var found []check.Finding
	for _, v := range d.tour(ctx) {
		if len(v.chain) == 0 {
			continue // told by tls.starttls
		}
		f := d.judgeChain(id, v.chain)
		same := slices.IndexFunc(found, func(o check.Finding) bool { return o.Sentence == f.Sentence })
		if same < 0 {
			f.Evidence = strings.TrimSpace(fmt.Sprintf("%s At the door %s.", f.Evidence, v.door.Name))
			found = append(found, f)
		}
	}
	return found
}

func (d *Doctor) judgeChain(id string, chain []*x509.Certificate) check.Finding {
	leaf, host, now := chain[0], d.Config.Hostname, d.now()
	evidence := fmt.Sprintf("Names: %s. Issuer: %s. From %s to %s.", strings.Join(leaf.DNSNames, ", "), leaf.Issuer,
		leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))
	const renew = "`mailstead doctor run.certificates` says why it was not renewed; own files are read again when they change."
	switch {
	case now.After(leaf.NotAfter):
		return problem(id, host, "The certificate has expired: mail programs refuse to connect.", evidence, renew)
	case now.Before(leaf.NotBefore):
		return problem(id, host, "The certificate is not valid yet: is the clock right?", evidence, "mailstead doctor host.clock")
	case leaf.VerifyHostname(host) != nil:
		return problem(id, host, fmt.Sprintf("The certificate is not for %s: mail programs refuse to connect.", host), evidence,
			"Have one issued for that name, or correct hostname in mailstead.toml.")
	}
	rest := x509.NewCertPool()
	for _, c := range chain[1:] {
		rest.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Intermediates: rest, Roots: d.Network.Roots, CurrentTime: now})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil && leaf.NotAfter.Sub(now) < certificateLate:
		return warning(id, host, fmt.Sprintf("The certificate ends in %d days.", int(leaf.NotAfter.Sub(now).Hours()/24)), evidence, renew)
	case err == nil:
		return ok(id, host, "The certificate is valid until "+leaf.NotAfter.Format(time.DateOnly)+".")
	case leaf.CheckSignatureFrom(leaf) == nil || leaf.Issuer.String() == leaf.Subject.String():
		return problem(id, host, "The certificate is self-signed: mail programs warn or refuse.", evidence, "mailstead setup gets one that everybody knows.")
	case errors.As(err, &unknown) && len(chain) == 1:
		return problem(id, host, "The certificate stands alone: the one that vouches for it (the intermediate) is missing, or nobody knows its authority.", evidence,
			"Put the whole chain into the file of tls_cert: yours first, then the intermediate ones.")
	}
	return problem(id, host, "The certificate is not trusted: mail programs warn or refuse.", evidence+" "+err.Error(),
		"Have one issued by an authority that everybody knows; mailstead setup does.")
}
