package mailbox

import (
	"sync"

	"mailstead/internal/sqlite"
)

// feed is the broker of the change feed: it says that mailbox X is at
// mod-sequence N, never what changed; readers ask the database for that. Nothing
// queues: a watch that sleeps holds one number for each mailbox that changed.
type feed struct {
	mu      sync.Mutex
	watches map[int64]map[*Watch]struct{} // by account; 0 hears all accounts
}

func (f *feed) init() { f.watches = map[int64]map[*Watch]struct{}{} }

// Watch wakes the reader when anything of the account changes. C has room for
// one token; Take returns the mailboxes that changed since the last Take, and
// whether the list of mailboxes did.
type Watch struct {
	C <-chan struct{}

	c       chan struct{}
	feed    *feed
	account int64
	pending map[int64]uint64 // under feed.mu
	list    bool             // under feed.mu
}

// Watch begins to watch an account; 0 means all of them.
func (s *Store) Watch(account int64) *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, feed: &s.feed, account: account}
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if s.feed.watches[account] == nil {
		s.feed.watches[account] = map[*Watch]struct{}{}
	}
	s.feed.watches[account][w] = struct{}{}
	return w
}

// Take returns and forgets what changed: mailboxes with their mod-sequences.
func (w *Watch) Take() (mailboxes map[int64]uint64, list bool) {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	mailboxes, list = w.pending, w.list
	w.pending, w.list = nil, false
	return mailboxes, list
}

// Close ends the watch; C stays open and silent.
func (w *Watch) Close() {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	delete(w.feed.watches[w.account], w)
	if len(w.feed.watches[w.account]) == 0 {
		delete(w.feed.watches, w.account)
	}
}

// publish runs on the writer, so it only marks and wakes. mailbox 0: the list.
func (f *feed) publish(account, mailbox int64, modseq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range [...]int64{account, 0} {
		for w := range f.watches[key] {
			w.mark(mailbox, modseq)
		}
	}
}

func (w *Watch) mark(mailbox int64, modseq uint64) {
	switch {
	case mailbox == 0:
		w.list = true
	case w.pending == nil:
		w.pending = map[int64]uint64{mailbox: modseq}
	case w.pending[mailbox] < modseq:
		w.pending[mailbox] = modseq
	}
	select {
	case w.c <- struct{}{}:
	default: // a token is there already
	}
}

// announce tells the feed and the snapshots, once tx is committed, that the
// mailbox is at modseq.
func (s *Store) announce(tx *sqlite.Tx, account, mailbox int64, modseq uint64) {
	tx.AfterCommit(func() {
		s.snapshots.outdate(mailbox, modseq)
		s.feed.publish(account, mailbox, modseq)
	})
}

// announceList tells the feed that names, uses or subscriptions changed.
func (s *Store) announceList(tx *sqlite.Tx, account int64) {
	tx.AfterCommit(func() { s.feed.publish(account, 0, 0) })
}
