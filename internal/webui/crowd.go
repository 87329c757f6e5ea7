package webui

import (
	"net/netip"
	"sync"
)

// A sign-in waits for its turn at the hashing of passwords, and a failed one is
// answered late. A crowd of them must not stand in the way of the mail programs
// that wait at the same place.
const (
	crowdOfNetwork = 4
	crowdOfAll     = 32
)

// crowd is who is signing in just now.
type crowd struct {
	mu  sync.Mutex
	all int
	by  map[netip.Prefix]int
}

// enter lets an attempt in; leave ends it.
func (c *crowd) enter(from netip.Addr) (leave func(), ok bool) {
	bits := 24
	if from.Is6() {
		bits = 56
	}
	place, _ := from.Prefix(bits) // the zero one for no address
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= crowdOfAll || c.by[place] >= crowdOfNetwork {
		return nil, false
	}
	if c.by == nil {
		c.by = map[netip.Prefix]int{}
	}
	c.all++
	c.by[place]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.by[place]--; c.by[place] == 0 {
			delete(c.by, place)
		}
	}, true
}
