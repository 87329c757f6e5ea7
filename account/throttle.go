package account

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// The login throttle counts failures by network and account together, never by
// account alone: somebody far away who guesses cannot lock the owner out. And a
// network from which the account has a live session, or was proven lately, is
// only answered slowly, never refused.
//
//	failures of one network at one account   answer to the next failure
//	1, 2                                     at once
//	3 … 7                                    after 0.25, 0.5, 1, 2, 4 s
//	8 and more                               after 4 s, and refused untried for
//	                                         30 s, 1 min, 2 min … 1 h
//
// The same wrong password again (a program that was not told the new one) is
// answered slowly but counts once. A network that tries many accounts is refused
// after 40 failures in the same way, save for accounts that it is familiar with. Entries are forgotten a day after their last failure; memory is
// bounded, and what guessers make us remember never displaces an owner's
// successes.
const (
	freeFailures  = 2
	firstDelay    = 250 * time.Millisecond
	longestDelay  = 4 * time.Second
	pairFailures  = 8
	netFailures   = 40
	firstRefusal  = 30 * time.Second
	longestRefuse = time.Hour
	failureMemory = 24 * time.Hour
	familiarFor   = 30 * 24 * time.Hour
	maxFailures   = 8192 // entries in each of two halves
	maxFamiliar   = 8192
	rememberWrong = 4
)

// who is an account, or a name that is none, in the throttle's eyes.
type who uint64

// anybody stands for all accounts of one network.
const anybody who = 0

type pair struct {
	network netip.Prefix
	id      who
}

type failures struct {
	count      int
	last       time.Time
	until      time.Time
	wrong      [rememberWrong]mark
	next       int
	generation uint64 // of the tables when wrong was wrong
}

type session struct {
	account int64
	network netip.Prefix
	end     func()
}

type throttle struct {
	seed maphash.Seed

	mu       sync.Mutex
	young    map[pair]*failures // two halves: when young is full it becomes old,
	old      map[pair]*failures // and what was old is forgotten
	familiar map[pair]time.Time // last success
	sessions map[*session]struct{}
	live     map[pair]int // live sessions
}

func newThrottle() *throttle {
	return &throttle{
		seed:     maphash.MakeSeed(),
		young:    map[pair]*failures{},
		old:      map[pair]*failures{},
		familiar: map[pair]time.Time{},
		sessions: map[*session]struct{}{},
		live:     map[pair]int{},
	}
}

// network is what counts as one place: IPv4 /24, IPv6 /56.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 24
	if a.Is6() {
		bits = 56
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: one place of its own
	}
	return p
}

func (t *throttle) who(a *Account, name string) who {
	if a != nil {
		return t.account(a.ID)
	}
	if len(name) > 320 {
		name = name[:320]
	}
	return who(maphash.String(t.seed, fold(name)) | 1<<63)
}

func (t *throttle) account(id int64) who { return who(id) &^ (1 << 63) }

type admission int

const (
	admitted admission = iota
	repeated           // this very password was wrong a moment ago
	refused
)

// admit tells what to do with an attempt before the password is looked at.
func (t *throttle) admit(remote netip.Addr, id who, m mark, generation uint64) admission {
	now, n := time.Now(), network(remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.find(pair{n, id}, now)
	if !t.isFamiliar(pair{n, id}, now) {
		if f != nil && now.Before(f.until) {
			return refused
		}
		if all := t.find(pair{n, anybody}, now); all != nil && now.Before(all.until) {
			return refused
		}
	}
	if f != nil && f.knows(m, generation) {
		return repeated
	}
	return admitted
}

// fail counts a failure and says how long its answer should wait.
func (t *throttle) fail(remote netip.Addr, id who, m mark, generation uint64) time.Duration {
	now, n := time.Now(), network(remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.make(pair{n, id}, now)
	if !f.knows(m, generation) {
		if f.generation != generation {
			f.wrong, f.next, f.generation = [rememberWrong]mark{}, 0, generation
		}
		f.wrong[f.next%rememberWrong] = m
		f.next++
		f.add(now, pairFailures)
		if !remote.Unmap().IsLoopback() { // our own pages and proxies speak for many
			t.make(pair{n, anybody}, now).add(now, netFailures)
		}
	}
	return grow(firstDelay, f.count-freeFailures-1, longestDelay)
}

// grow doubles first n times, up to longest; 0 when n is negative.
func grow(first time.Duration, n int, longest time.Duration) time.Duration {
	if n < 0 {
		return 0
	}
	for ; n > 0 && first < longest; n-- {
		first *= 2
	}
	return min(first, longest)
}

func (f *failures) knows(m mark, generation uint64) bool {
	if f.generation != generation || m == (mark{}) {
		return false
	}
	for _, w := range f.wrong {
		if w == m {
			return true
		}
	}
	return false
}

func (f *failures) add(now time.Time, limit int) {
	f.count++
	f.last = now
	if wait := grow(firstRefusal, f.count-limit, longestRefuse); wait > 0 {
		f.until = now.Add(wait)
	}
}

// find returns a remembered entry, nil when there is none.
func (t *throttle) find(p pair, now time.Time) *failures {
	f := t.young[p]
	if f == nil {
		f = t.old[p]
	}
	if f == nil || now.Sub(f.last) > failureMemory {
		return nil
	}
	return f
}

// make returns the entry to count in.
func (t *throttle) make(p pair, now time.Time) *failures {
	f := t.find(p, now)
	if f == nil {
		f = &failures{}
	}
	if t.young[p] != f {
		if len(t.young) >= maxFailures {
			t.old, t.young = t.young, map[pair]*failures{}
		}
		t.young[p] = f
	}
	return f
}

// succeed forgets the failures of this network at this account and makes it
// familiar.
func (t *throttle) succeed(remote netip.Addr, account int64) {
	now, p := time.Now(), pair{network(remote), t.account(account)}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.young, p)
	delete(t.old, p)
	if _, known := t.familiar[p]; !known && len(t.familiar) >= maxFamiliar {
		t.forgetFamiliar()
	}
	t.familiar[p] = now
}

// forgetFamiliar makes room by dropping the place that was used longest ago.
func (t *throttle) forgetFamiliar() {
	var oldest pair
	var when time.Time
	for p, last := range t.familiar {
		if when.IsZero() || last.Before(when) {
			oldest, when = p, last
		}
	}
	delete(t.familiar, oldest)
}

func (t *throttle) isFamiliar(p pair, now time.Time) bool {
	if t.live[p] > 0 {
		return true
	}
	last, ok := t.familiar[p]
	return ok && now.Sub(last) < familiarFor
}

func (t *throttle) hold(account int64, remote netip.Addr, end func()) (release func()) {
	s := &session{account, network(remote), end}
	p := pair{s.network, t.account(account)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sessions[s] = struct{}{}
	t.live[p]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.sessions, s)
		if t.live[p]--; t.live[p] == 0 {
			delete(t.live, p)
		}
	})
}

// end asks every live session of the account to stop.
func (t *throttle) end(account int64) {
	t.mu.Lock()
	var ends []func()
	for s := range t.sessions {
		if s.account == account && s.end != nil {
			ends = append(ends, s.end)
		}
	}
	t.mu.Unlock()
	for _, end := range ends {
		end()
	}
}
