package account

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailstead/internal/sqlite"
)

var remote = netip.MustParseAddr("192.0.2.7")

// with makes an account with a password.
func (s *Store) with(t testing.TB, address, password string) Account {
	t.Helper()
	h, err := s.Secret(context.Background(), 0, password)
	if err != nil {
		t.Fatal(err)
	}
	var a Account
	s.do(t, func(tx *sqlite.Tx) (err error) {
		a, err = s.Add(tx, New{Address: addr(t, address), Password: h})
		return err
	})
	return a
}

func (s *Store) app(t *testing.T, account int64, name string, scope Scope) string {
	t.Helper()
	secret, err := s.NewAppSecret(context.Background(), account)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error {
		_, err := s.AddAppPassword(tx, account, name, scope, secret)
		return err
	})
	return secret.Text
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	const own = "correct horse battery"
	alice := s.with(t, "alice@example.org", own)
	s.do(t, func(tx *sqlite.Tx) error { return s.AddAddress(tx, alice.ID, addr(t, "al@example.org")) })
	s.do(t, func(tx *sqlite.Tx) error { return s.AddAlias(tx, addr(t, "info@example.org"), alice.ID) })
	phone := s.app(t, alice.ID, "phone", IMAP|SMTP)
	tests := []struct {
		name, password string
		scope          Scope
		want           error
	}{
		{"alice@example.org", own, IMAP, nil},
		{"ALICE@example.org", own, Web, nil},
		{"al@example.org", own, SMTP, nil},
		{"alice", own, IMAP, nil}, // there is one domain
		{"alice@example.org", "correct\u00a0horse battery", IMAP, nil},
		{"alice@example.org", phone, IMAP, nil},
		{"alice@example.org", strings.ToUpper(phone[:5]) + "-" + phone[5:] + " ", SMTP, nil},
		{"alice@example.org", phone, Sieve, ErrBadCredentials},
		{"alice@example.org", phone, Web, ErrBadCredentials},
		{"alice@example.org", own + "x", IMAP, ErrBadCredentials},
		{"alice@example.org", "", IMAP, ErrBadCredentials},
		{"info@example.org", own, IMAP, ErrBadCredentials},
		{"bob@example.org", own, IMAP, ErrBadCredentials},
		{"bob", own, IMAP, ErrBadCredentials},
		{"", own, IMAP, ErrBadCredentials},
		{strings.Repeat("x", 4000), own, IMAP, ErrBadCredentials},
		{"alice@example.org", strings.Repeat("x", 1<<20), IMAP, ErrBadCredentials},
	}
	for i, tt := range tests {
		from := netip.AddrFrom4([4]byte{10, 0, byte(i), 1}) // no throttle here
		for range 2 {                                       // the second from memory
			got, err := s.CheckPassword(ctx, Login{tt.name, tt.scope, from}, tt.password)
			if !errors.Is(err, tt.want) {
				t.Errorf("%.30q with %.40q for %s: %v, want %v", tt.name, tt.password, tt.scope, err, tt.want)
			}
			if err == nil && got.ID != alice.ID {
				t.Errorf("%q proved account %d", tt.name, got.ID)
			}
		}
	}
}

func TestNoPasswordOpensNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.add(t, "alice@example.org")
	for _, p := range []string{"", "x", "00000000"} {
		if _, err := s.CheckPassword(context.Background(), Login{"alice@example.org", IMAP, remote}, p); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestDisabledIsToldOnlyToTheOwner(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	s.add(t, "op@example.org")
	bob := s.with(t, "bob@example.org", "long enough")
	l := Login{"bob@example.org", IMAP, remote}
	if _, err := s.CheckPassword(ctx, l, "long enough"); err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.SetDisabled(tx, bob.ID, true) })
	if _, err := s.CheckPassword(ctx, l, "long enough"); !errors.Is(err, ErrDisabled) {
		t.Errorf("right password: %v", err)
	}
	if _, err := s.CheckPassword(ctx, l, "not that one"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("wrong password: %v", err)
	}
}

func TestChangingPasswords(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	alice := s.with(t, "alice@example.org", "first password")
	phone := s.app(t, alice.ID, "phone", IMAP)
	l := Login{"alice@example.org", IMAP, remote}
	try := func(password string) error {
		_, err := s.CheckPassword(ctx, l, password)
		return err
	}
	if err := errors.Join(try("first password"), try(phone)); err != nil {
		t.Fatal(err)
	}
	if err := s.ChangePassword(ctx, l, "wrong", "second password"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("with a wrong old password: %v", err)
	}
	if err := s.ChangePassword(ctx, l, phone, "second password"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("with an app password: %v", err)
	}
	if err := s.ChangePassword(ctx, l, "first password", "short"); !errors.Is(err, ErrInvalid) {
		t.Errorf("to a short one: %v", err)
	}
	if err := s.ChangePassword(ctx, l, "first password", "second password"); err != nil {
		t.Fatal(err)
	}
	if err := try("first password"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("the old password after the change: %v", err)
	}
	if err := errors.Join(try("second password"), try(phone)); err != nil {
		t.Error(err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.RevokeAppPassword(tx, alice.ID, "phone") })
	if err := try(phone); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("a revoked app password: %v", err)
	}
	s.refused(t, ErrUnknown, func(tx *sqlite.Tx) error { return s.RevokeAppPassword(tx, alice.ID, "phone") })
}

func TestAppPasswords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s, db := openAt(t, path)
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "example.org") })
	ctx := context.Background()
	alice := s.add(t, "alice@example.org")
	phone := s.app(t, alice.ID, "phone", IMAP|SMTP)
	s.app(t, alice.ID, "tablet", IMAP)
	secret, err := s.NewAppSecret(ctx, alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	add := func(want error, name string, scope Scope) {
		t.Helper()
		s.refused(t, want, func(tx *sqlite.Tx) error {
			_, err := s.AddAppPassword(tx, alice.ID, name, scope, secret)
			return err
		})
	}
	add(ErrExists, "phone", IMAP)
	add(ErrInvalid, "", IMAP)
	add(ErrInvalid, "x\x1b", IMAP)
	add(ErrInvalid, "pages", Web)
	add(ErrInvalid, "none", 0)
	if _, err := s.CheckPassword(ctx, Login{"alice@example.org", SMTP, remote}, phone); err != nil {
		t.Fatal(err)
	}
	check := func(s *Store) {
		t.Helper()
		got, err := s.AppPasswords(ctx, alice.ID)
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		if got[0].Name != "tablet" || !got[0].LastUsed.IsZero() {
			t.Errorf("the unused one: %+v", got[0])
		}
		if got[1].Name != "phone" || time.Since(got[1].LastUsed) > time.Minute || got[1].Scope != IMAP|SMTP {
			t.Errorf("the used one: %+v", got[1])
		}
	}
	check(s)
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s, _ = openAt(t, path)
	check(s)
}

// What follows has no database below it: the throttle alone, in a clock of its own.

func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		guess := guesser(th)
		victim := th.account(1)
		attacker, owner := netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("192.0.2.1")
		th.succeed(owner, 1)
		var slept time.Duration
		for n := 1; n <= pairFailures; n++ {
			if got := th.admit(attacker, victim, mark{}, 1); got != admitted {
				t.Fatalf("try %d: %v", n, got)
			}
			slept += guess(attacker, victim)
		}
		if want := 250*time.Millisecond + 500*time.Millisecond + 7*time.Second + 4*time.Second; slept != want {
			t.Errorf("answered after %v altogether, want %v", slept, want)
		}
		for _, from := range []string{"198.51.100.9", "198.51.100.200", "::ffff:198.51.100.1"} {
			if got := th.admit(netip.MustParseAddr(from), victim, mark{}, 1); got != refused {
				t.Errorf("from %s: %v, want refused", from, got)
			}
		}
		for what, got := range map[string]admission{
			"the owner at home":                th.admit(owner, victim, mark{}, 1),
			"the owner on the road":            th.admit(netip.MustParseAddr("203.0.113.5"), victim, mark{}, 1),
			"somebody else beside the guesser": th.admit(attacker, th.account(2), mark{}, 1),
		} {
			if got != admitted {
				t.Errorf("%s: %v, want admitted", what, got)
			}
		}
		wait, left := firstRefusal, firstRefusal
		for range 9 {
			time.Sleep(left)
			if got := th.admit(attacker, victim, mark{}, 1); got != admitted {
				t.Fatalf("after %v: %v", wait, got)
			}
			guess(attacker, victim)
			wait = min(2*wait, longestRefuse)
			time.Sleep(wait - time.Second)
			if got := th.admit(attacker, victim, mark{}, 1); got != refused {
				t.Fatalf("before %v are over: %v", wait, got)
			}
			left = time.Second
		}
		time.Sleep(failureMemory + time.Second)
		if d := guess(attacker, victim); d != 0 {
			t.Errorf("a day later the first failure is answered after %v", d)
		}
	})
}

// guesser fails with a new password each time.
func guesser(th *throttle) func(netip.Addr, who) time.Duration {
	n := 0
	return func(a netip.Addr, id who) time.Duration {
		n++
		return th.fail(a, id, mark{byte(n), byte(n >> 8), 1}, 1)
	}
}

func TestThrottleNeverRefusesAFamiliarNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		guess := guesser(th)
		home := netip.MustParseAddr("192.0.2.1")
		release := th.hold(1, home, nil)
		for range 100 {
			if d := guess(netip.MustParseAddr("192.0.2.77"), th.account(1)); d > longestDelay {
				t.Fatal(d)
			}
		}
		if got := th.admit(home, th.account(1), mark{}, 1); got != admitted {
			t.Errorf("with a live session: %v", got)
		}
		release()
		release()
		if got := th.admit(home, th.account(1), mark{}, 1); got != refused {
			t.Errorf("without: %v", got)
		}
		th.succeed(home, 1)
		for range 100 {
			guess(home, th.account(1))
		}
		time.Sleep(familiarFor - time.Hour)
		for range 100 {
			guess(home, th.account(1))
		}
		if got := th.admit(home, th.account(1), mark{}, 1); got != admitted {
			t.Errorf("a month after the last success: %v", got)
		}
	})
}

func TestThrottleOfOneNetworkAtManyAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		guess := guesser(th)
		attacker := netip.MustParseAddr("2001:db8:1:2::1")
		th.succeed(attacker, 7)
		for i := range netFailures {
			guess(attacker, th.who(nil, string(rune('a'+i))))
		}
		if got := th.admit(netip.MustParseAddr("2001:db8:1:20::9"), th.account(5), mark{}, 1); got != refused {
			t.Errorf("a new account: %v, want refused", got)
		}
		if got := th.admit(attacker, th.account(7), mark{}, 1); got != admitted {
			t.Errorf("an account that was proven from there: %v", got)
		}
		if got := th.admit(netip.MustParseAddr("2001:db8:1:100::1"), th.account(5), mark{}, 1); got != admitted {
			t.Errorf("the next /56: %v", got)
		}
	})
}

func TestTheSameWrongPasswordCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		stale := mark{1}
		for range 1000 {
			th.fail(remote, th.account(1), stale, 1)
		}
		if got := th.admit(remote, th.account(1), stale, 1); got != repeated {
			t.Errorf("the same again: %v", got)
		}
		if got := th.admit(remote, th.account(1), mark{2}, 1); got != admitted {
			t.Errorf("another: %v", got)
		}
		if got := th.admit(remote, th.account(1), stale, 2); got != admitted {
			t.Errorf("the same after a change: %v", got)
		}
	})
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	th := newThrottle()
	th.succeed(remote, 1)
	for i := range 5 * maxFailures {
		a := netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1})
		th.fail(a, th.account(1), mark{1}, 1)
	}
	if n := len(th.young) + len(th.old); n > 2*maxFailures+2 {
		t.Errorf("%d entries", n)
	}
	for i := range maxFamiliar + 10 {
		th.succeed(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 2)
	}
	if n := len(th.familiar); n > maxFamiliar {
		t.Errorf("%d familiar places", n)
	}
}

func TestProofsOfAnOlderGenerationAreNotKept(t *testing.T) {
	t.Parallel()
	s := &Store{proven: newProven()}
	f := proof{mark: mark{1}, scope: Everything, expires: time.Now().Add(time.Hour)}
	s.generation.Store(2)
	s.proven.put(s, 1, 1, f)
	if _, ok := s.proven.get(1, IMAP, f.mark); ok {
		t.Error("kept")
	}
	s.proven.put(s, 1, 2, f)
	if _, ok := s.proven.get(1, IMAP, f.mark); !ok {
		t.Error("not kept")
	}
	s.proven.forget(1)
	if _, ok := s.proven.get(1, IMAP, f.mark); ok {
		t.Error("not forgotten")
	}
}
