package dns

import (
	"sync"
	"time"
)

const (
	maxTTL         = time.Hour
	maxNegativeTTL = 5 * time.Minute
	defaultMax     = 4096
)

type question struct {
	name  string // lower case, with its trailing dot
	qtype uint16
}

// cache keeps answers for their time to live. Failures are never kept.
type cache struct {
	mu      sync.Mutex
	entries map[question]entry // guarded by mu
}

type entry struct {
	a       answer
	expires time.Time
}

func (c *cache) get(q question, now time.Time) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[q]
	if !ok || !now.Before(e.expires) {
		return answer{}, false
	}
	return e.a, true
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// put keeps an answer. A full cache first drops what has expired, then, as Go
// walks maps in random order, a random eighth.
func (c *cache) put(q question, a answer, now time.Time, limit int) {
	if a.ttl <= 0 {
		return
	}
	if limit == 0 {
		limit = defaultMax
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = make(map[question]entry)
	}
	if len(c.entries) >= limit {
		for k, e := range c.entries {
			if !now.Before(e.expires) {
				delete(c.entries, k)
			}
		}
		for k := range c.entries {
			if len(c.entries) <= limit-limit/8-1 {
				break
			}
			delete(c.entries, k)
		}
	}
	c.entries[q] = entry{a: a, expires: now.Add(a.ttl)}
}
