package mailbox

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// cache keeps the newest snapshot of the mailboxes used last, within a bound of
// memory. Sessions keep those they hold alive by themselves.
type cache struct {
	mu    sync.Mutex
	slots map[int64]*slot
	order list.List // of *slot, used last in front
	used  int
	bound int
}

// slot is one mailbox's place. Its lock is held while the snapshot is advanced,
// so that many sessions woken at once cause one query.
type slot struct {
	mailbox int64
	latest  atomic.Uint64 // mod-sequence that the feed spoke of

	mu   sync.Mutex
	snap *Snapshot // under mu; nil before the first load

	element *list.Element // under cache.mu; nil once dropped
	weight  int           // under cache.mu
}

func (c *cache) init(bound int) {
	c.slots, c.bound = map[int64]*slot{}, bound
}

func (c *cache) slot(mailbox int64) *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.slots[mailbox]
	if !ok {
		s = &slot{mailbox: mailbox}
		c.slots[mailbox] = s
		s.element = c.order.PushFront(s)
	} else {
		c.order.MoveToFront(s.element)
	}
	return s
}

// weigh notes a slot's new weight and drops those used longest ago.
func (c *cache) weigh(s *slot, weight int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.element == nil {
		return
	}
	c.used += weight - s.weight
	s.weight = weight
	for c.used > c.bound && c.order.Len() > 1 {
		c.remove(c.order.Back().Value.(*slot))
	}
}

// outdate notes that the mailbox has gone on. It runs on the writer.
func (c *cache) outdate(mailbox int64, modseq uint64) {
	c.mu.Lock()
	s := c.slots[mailbox]
	c.mu.Unlock()
	if s != nil && s.latest.Load() < modseq {
		s.latest.Store(modseq)
	}
}

func (c *cache) drop(mailbox int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.slots[mailbox]; s != nil {
		c.remove(s)
	}
}

func (c *cache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.slots {
		c.remove(s)
	}
}

func (c *cache) remove(s *slot) {
	delete(c.slots, s.mailbox)
	c.order.Remove(s.element)
	s.element = nil
	c.used -= s.weight
}
