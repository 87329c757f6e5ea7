package outbound

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// A connection is given up after so many messages: many servers count.
const maxTaken = 100

// pool keeps idle connections by host and address, and counts those in use by
// host. The zero value is ready.
type pool struct {
	mu     sync.Mutex
	idle   map[string][]*idle // guarded by mu, as all below
	slots  map[string]*slots
	down   map[netip.AddrPort]outage
	closed bool
}

// outage is an address that let us wait for a connection in vain. A queue full
// of mail for it must not wait as often: it would keep other mail waiting.
type outage struct {
	until time.Time
	err   error
}

// outageTime is short, so that an operator's "try now" means now.
const outageTime = 20 * time.Second

// isDown gives the error of an outage.
func (p *pool) isDown(at netip.AddrPort, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.down[at]
	if ok && now.Before(o.until) {
		return o.err
	}
	delete(p.down, at)
	return nil
}

// goesDown remembers an outage, and forgets those that are over.
func (p *pool) goesDown(at netip.AddrPort, now time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down == nil {
		p.down = make(map[netip.AddrPort]outage)
	}
	for a, o := range p.down {
		if !now.Before(o.until) {
			delete(p.down, a)
		}
	}
	p.down[at] = outage{until: now.Add(outageTime), err: err}
}

// idle is a connection that waits for the next message.
type idle struct {
	c     *conn
	timer *time.Timer
}

// slots limits the connections to one host.
type slots struct {
	free  chan struct{}
	users int
}

// acquire waits until a host has room; release gives it back.
func (p *pool) acquire(ctx context.Context, host string, limit int) (release func(), err error) {
	p.mu.Lock()
	if p.slots == nil {
		p.slots = make(map[string]*slots)
	}
	s := p.slots[host]
	if s == nil {
		s = &slots{free: make(chan struct{}, limit)}
		p.slots[host] = s
	}
	s.users++
	p.mu.Unlock()
	leave := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.users--; s.users == 0 {
			delete(p.slots, host)
		}
	}
	select {
	case s.free <- struct{}{}:
		return func() {
			<-s.free
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// take gives the connection that was used last, or nil.
func (p *pool) take(key string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[key]
	for len(list) > 0 {
		x := list[len(list)-1]
		list = list[:len(list)-1]
		if len(list) == 0 {
			delete(p.idle, key)
		} else {
			p.idle[key] = list
		}
		if x.timer.Stop() {
			x.c.reused = true
			return x.c
		}
	}
	return nil
}

// put keeps a connection for a while, or ends it.
func (p *pool) put(c *conn, keep int, wait time.Duration) {
	c.net.SetDeadline(time.Time{})
	p.mu.Lock()
	if p.closed || c.taken >= c.most("MAILMAX", maxTaken) || len(p.idle[c.key]) >= keep {
		p.mu.Unlock()
		go c.quit()
		return
	}
	defer p.mu.Unlock()
	if p.idle == nil {
		p.idle = make(map[string][]*idle)
	}
	x := &idle{c: c}
	x.timer = time.AfterFunc(wait, func() { p.expire(x) })
	p.idle[c.key] = append(p.idle[c.key], x)
}

// expire ends a connection that nobody took.
func (p *pool) expire(x *idle) {
	p.mu.Lock()
	list := p.idle[x.c.key]
	for i := range list {
		if list[i] == x {
			p.idle[x.c.key] = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(p.idle[x.c.key]) == 0 {
		delete(p.idle, x.c.key)
	}
	p.mu.Unlock()
	x.c.quit()
}

func (p *pool) close() {
	p.mu.Lock()
	all := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var running sync.WaitGroup
	for _, list := range all {
		for _, x := range list {
			if x.timer.Stop() {
				running.Go(x.c.quit)
			}
		}
	}
	running.Wait()
}
