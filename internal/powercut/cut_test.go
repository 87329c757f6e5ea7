package powercut

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// cut is a place of a record with what becomes of unsynced steps there.
type cut struct {
	place int
	luck  Luck
}

// cuts picks n places, ascending: half of them right after a reply was begun,
// where the promise is youngest, half anywhere.
func (x *session) cuts(n int, rnd *rand.Rand) []cut {
	replies := slices.Sorted(maps.Values(x.told))
	last := x.calls[len(x.calls)-1].Entry
	out := make([]cut, n)
	for i := range out {
		out[i] = cut{rnd.IntN(last), Luck(rnd.IntN(int(Lucks)))}
		if i%2 == 0 {
			out[i].place = replies[rnd.IntN(len(replies))] + 1
		}
	}
	slices.SortFunc(out, func(a, b cut) int { return a.place - b.place })
	return out
}

// commits gives the worst cut after each sync of the log: whatever a commit
// relies on must have been safe before it.
func (x *session) commits() (out []cut) {
	for _, c := range x.calls {
		if (c.Name == "fsync" || c.Name == "fdatasync") && c.Ret == 0 && strings.HasSuffix(c.Path, "mailstead.db-wal") {
			out = append(out, cut{c.Exit + 1, Nothing})
		}
	}
	return out
}

// known tells what the clients knew at a place of the record.
func (x *session) known(place int) func(*deed) (asked, told bool) {
	i := sort.Search(len(x.calls), func(i int) bool { return x.calls[i].Entry >= place })
	at := x.calls[max(0, i-1)].Time
	return func(d *deed) (bool, bool) {
		said, done := x.told[d]
		return d.begun && !d.Sent.After(at), done && said < place
	}
}

// replay cuts the power at places in their order, starts a server of bin on
// what is left, and gives up at the first thing that is wrong.
func (x *session) replay(t *testing.T, bin string, cuts []cut, seed uint64) error {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 3))
	d := x.disk(t)
	return d.Run(x.calls, func(place int) error {
		for ; len(cuts) > 0 && cuts[0].place <= place; cuts = cuts[1:] {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			if err := d.Cut(dir, cuts[0].luck, rnd); err != nil {
				return err
			}
			if err := x.survives(t, bin, dir, place); err != nil {
				return fmt.Errorf("cut at place %d of %d, luck %d, seed %d: %w", place, len(x.calls), cuts[0].luck, seed, err)
			}
			os.RemoveAll(dir)
		}
		return nil
	})
}

// survives checks what a cut left: the command and the server must both find
// every acknowledged message whole.
func (x *session) survives(t *testing.T, bin, dir string, place int) error {
	t.Helper()
	s := newServer(t, bin, dir)
	if out, err := s.run("check"); err != nil {
		return fmt.Errorf("check: %w\n%s", err, out)
	}
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	known := x.known(place)
	users := append([]string{}, accounts...)
	for _, d := range x.diary.deeds {
		if _, told := known(d); told && d.then == "carol:INBOX" {
			users = append(users, "carol")
		}
	}
	holds, err := s.holds(&x.diary, users, map[string]int{})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.out)
	}
	if wrong := x.diary.check(holds, known); len(wrong) > 0 {
		return errors.New(wrong[0])
	}
	return nil
}

func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	needs(t, "strace")
	bin := program(t, "")
	x := recorded(t, bin, number("MAILSTEAD_PROOF_SHARE", 10))
	seed := rand.Uint64()
	n := number("MAILSTEAD_PROOF_CUTS", 20)
	if err := x.replay(t, bin, x.commits()[:min(n/2, len(x.commits()))], seed); err != nil {
		t.Error(err)
	}
	if err := x.replay(t, bin, x.cuts(n, rand.New(rand.NewPCG(seed, 2))), seed); err != nil {
		t.Error(err)
	}
	t.Logf("%d cuts", n)
}
