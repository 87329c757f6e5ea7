package acme

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// published is what the world sees of a host's TLSA records.
type published struct {
	hashes []string
	ttl    time.Duration
	err    error
}

func (p *published) ask(context.Context, string) ([]string, time.Duration, error) {
	return p.hashes, p.ttl, p.err
}

func TestRollIsHeldBackUntilTheNextKeyIsLive(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	authority := tn.authority(3600)
	o := tn.options(t.TempDir())
	world := &published{ttl: time.Hour}
	o.TLSA = world.ask
	c := tn.open(o)
	tn.serve(c)
	tn.configure(c, settings(authority, HTTP))
	if err := c.Obtain(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	tlsa, err := c.TLSA(tn.host)
	if err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(c.Leaf(tn.host).PublicKey); got != tlsa[0] {
		t.Fatalf("served %s, TLSA %v", got, tlsa)
	}
	held := func(until bool) {
		t.Helper()
		var h *HeldBackError
		if err := c.Roll(t.Context(), tn.host); !errors.As(err, &h) || h.Until.IsZero() == until {
			t.Fatalf("%v", err)
		}
		if got := fingerprint(tn.shown(c, tn.host).PublicKey); got != tlsa[0] {
			t.Fatal("the key changed although it was held back")
		}
	}
	world.hashes = tlsa[:1]
	held(false)
	world.err = errors.New("SERVFAIL")
	held(false)
	world.err, world.hashes = nil, tlsa
	held(true)
	// A renewal meanwhile keeps the key in use.
	if err := c.Obtain(t.Context(), true, tn.host); err != nil {
		t.Fatal(err)
	}
	held(true)

	world.ttl = 0
	if err := c.Roll(t.Context(), tn.host); err != nil {
		t.Fatal(err)
	}
	after, err := c.TLSA(tn.host)
	if err != nil {
		t.Fatal(err)
	}
	if after[0] != tlsa[1] || after[1] == tlsa[0] || after[1] == tlsa[1] {
		t.Errorf("keys before %v, after %v", tlsa, after)
	}
	if got := fingerprint(tn.shown(c, tn.host).PublicKey); got != after[0] {
		t.Errorf("served %s, in use %s", got, after[0])
	}
}

// A crash between the certificate and the renaming of the key left TLSA records
// that named the wrong key as the one in use.
func TestRollCutShortIsFinishedByTheNextStart(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	authority := tn.authority(3600)
	o := tn.options(t.TempDir())
	c := tn.open(o)
	tn.serve(c)
	tn.configure(c, settings(authority, HTTP))
	before, err := c.TLSA(tn.host)
	if err != nil {
		t.Fatal(err)
	}
	a := c.authority.Load()
	s := a.site(tn.host)
	s.one.Lock()
	a.mu.Lock()
	s.rolling = true
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.config.RenewCertAsync(ctx, tn.host, true); err != nil {
		t.Fatal(err)
	}
	s.one.Unlock()
	c.Close()

	c = tn.open(o)
	tn.configure(c, settings(authority, HTTP))
	after, err := c.TLSA(tn.host)
	if err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(c.Leaf(tn.host).PublicKey); got != before[1] || after[0] != before[1] {
		t.Errorf("served %s; keys before %v, after %v", got, before, after)
	}
}

func TestRollWithoutACA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := Open(Options{Dir: dir, Hostname: "mail.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	before, err := c.TLSA("mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Roll(t.Context(), "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	after, err := c.TLSA("mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if after[0] != before[1] || fingerprint(c.Leaf("mail.example.org").PublicKey) != after[0] {
		t.Errorf("served %s; keys before %v, after %v", fingerprint(c.Leaf("mail.example.org").PublicKey), before, after)
	}
}

func TestOwnFilesHaveOneKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := selfMade(dir, "mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(Options{
		Dir: filepath.Join(dir, "acme"), Hostname: "mail.example.org", CertFile: filepath.Join(dir, "self-signed.pem"), KeyFile: made.keyFile,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.TLSA("mail.example.org")
	if d := cmp.Diff([]string{fingerprint(made.Leaf().PublicKey)}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if err := c.Roll(t.Context(), "mail.example.org"); err == nil {
		t.Error("the operator's own key was rolled")
	}
	if st := c.Status(); st[0].Origin != FromFiles {
		t.Errorf("%+v", st)
	}
}
