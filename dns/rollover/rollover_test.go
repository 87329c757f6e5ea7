package rollover

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// office is a domain with its first keys, and a DNS that shows what it is told
// to.
type office struct {
	t *testing.T
	*Rollover
	shows  check.Showing
	fails  error
	asked  int
	closes []func()
}

const ours message.Domain = "example.test"

func open(t *testing.T, path string) *office {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Migrations: []fs.FS{account.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := account.Open(t.Context(), db, account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t}
	o.closes = []func(){func() { accounts.Close(context.Background()) }, func() { db.Close() }}
	o.Rollover = &Rollover{
		DB: db, Accounts: accounts, Log: slog.New(slog.DiscardHandler),
		Shown: func(_ context.Context, d message.Domain, records ...zone.Record) (check.Showing, error) {
			o.asked++
			for _, r := range records {
				if d != ours || !strings.HasSuffix(r.Name, "._domainkey.example.test") || r.Type != "TXT" {
					t.Errorf("asked %s for %+v", d, r)
				}
			}
			return o.shows, o.fails
		},
	}
	return o
}

func (o *office) close() {
	for _, fn := range o.closes {
		fn()
	}
}

// found makes the domain.
func (o *office) found() {
	o.t.Helper()
	keys, err := account.NewDKIMKeys(time.Now())
	if err == nil {
		err = o.DB.Update(o.t.Context(), func(tx *sqlite.Tx) error { return o.Accounts.AddDomain(tx, ours, keys...) })
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// want advances, and compares selectors with their states.
func (o *office) want(what string, want ...string) {
	o.t.Helper()
	if err := o.Advance(o.t.Context()); err != nil {
		o.t.Fatal(what, err)
	}
	keys, err := o.Accounts.DKIMKeys(o.t.Context(), ours)
	if err != nil {
		o.t.Fatal(what, err)
	}
	var got []string
	signs := false
	for _, k := range keys {
		got = append(got, k.Selector+" "+string(k.State()))
		signs = signs || k.State() == account.KeySigning
	}
	if diff := cmp.Diff(want, got); diff != "" {
		o.t.Errorf("%s:\n%s", what, diff)
	}
	if !signs {
		o.t.Errorf("%s: nothing signs", what)
	}
}

// The whole way of a pair, with a restart in each state.
func TestRollover(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		o := open(t, path)
		o.found()
		again := func() {
			shows := o.shows
			o.close()
			o = open(t, path)
			o.shows = shows
		}
		defer func() { o.close() }()
		const old1, old2, new1, new2 = "r20000101 ", "e20000101 ", "r20000101-2 ", "e20000101-2 "
		o.want("at rest", old1+"signing", old2+"signing")
		if o.asked > 0 {
			t.Error("the DNS was asked about keys that all sign")
		}
		if err := o.Begin(t.Context(), ours); err != nil {
			t.Fatal(err)
		}
		var running *RunningError
		if err := o.Begin(t.Context(), ours); !errors.As(err, &running) || running.Hint() == "" {
			t.Error("begun twice:", err)
		}
		next := []string{old1 + "signing", old2 + "signing", new1 + "next", new2 + "next"}
		o.want("not published", next...)
		time.Sleep(30 * 24 * time.Hour)
		o.want("never published", next...)

		o.shows = check.Showing{Everywhere: true, Anywhere: true, TTL: 3 * time.Hour}
		o.want("seen for the first time", next...)
		time.Sleep(3*time.Hour - time.Minute)
		again()
		o.want("a minute before its TTL", next...)
		o.shows.Everywhere = false
		o.want("one server lost it", next...)
		o.shows.Everywhere = true
		o.want("back", next...)
		time.Sleep(3*time.Hour - time.Minute)
		o.want("the time counts anew", next...)
		time.Sleep(time.Minute)
		again()
		switched := []string{old1 + "retired", old2 + "retired", new1 + "signing", new2 + "signing"}
		o.want("seen for its TTL", switched...)

		time.Sleep(Kept - time.Minute)
		again()
		o.want("mail on its way", switched...)
		time.Sleep(time.Minute)
		withdrawn := []string{old1 + "withdrawn", old2 + "withdrawn", new1 + "signing", new2 + "signing"}
		o.want("it has arrived", withdrawn...)
		again()
		o.want("the old records are still there", withdrawn...)
		o.shows = check.Showing{}
		o.want("they are gone", new1+"signing", new2+"signing")
	})
}

// A short TTL is not believed: the record waits for LeastTTL. A record that
// nobody takes out is looked after for Forgotten.
func TestRolloverLimits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		o := open(t, path)
		defer o.close()
		o.found()
		time.Sleep(24 * time.Hour)
		if err := o.Begin(t.Context(), ours); err != nil {
			t.Fatal(err)
		}
		o.shows = check.Showing{Everywhere: true, Anywhere: true, TTL: time.Second}
		next := []string{"r20000101 signing", "e20000101 signing", "r20000102 next", "e20000102 next"}
		o.want("seen", next...)
		time.Sleep(LeastTTL - time.Second)
		o.want("an hour is the least", next...)
		time.Sleep(time.Second)
		o.want("an hour later", "r20000101 retired", "e20000101 retired", "r20000102 signing", "e20000102 signing")
		time.Sleep(Kept)
		o.want("a week later", "r20000101 withdrawn", "e20000101 withdrawn", "r20000102 signing", "e20000102 signing")
		time.Sleep(Forgotten)
		o.want("nobody takes them out", "r20000102 signing", "e20000102 signing")
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	o := open(t, filepath.Join(t.TempDir(), "test.db"))
	defer o.close()
	if err := o.Begin(t.Context(), ours); !errors.Is(err, account.ErrNotLocal) {
		t.Error(err)
	}
	o.found()
	if was, err := o.Cancel(t.Context(), ours); was || err != nil {
		t.Error(was, err)
	}
	if err := o.Begin(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	o.fails = errors.New("no resolver")
	if err := o.Advance(t.Context()); !errors.Is(err, o.fails) {
		t.Error(err)
	}
	o.fails = nil
	if was, err := o.Cancel(t.Context(), ours); !was || err != nil {
		t.Error(was, err)
	}
	keys, err := o.Accounts.DKIMKeys(t.Context(), ours)
	if err != nil || len(keys) != 2 || keys[0].State() != account.KeySigning {
		t.Error(keys, err)
	}
}
