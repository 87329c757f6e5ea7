package queue

import (
	"container/heap"
	"context"
	"time"

	"mailstead/message"
)

// key names an Item.
type key struct {
	qid         int64
	destination message.Domain
}

// entry is an Item as the scheduler knows it. It is in exactly one place: the
// heap of times, its lane's line, running, or nowhere while it is held.
type entry struct {
	key
	next  time.Time
	place place
	index int  // in the heap
	again bool // was woken while running: due as soon as that ends
	keep  bool // was held while running
}

type place int

const (
	held place = iota
	timed
	ready
	attempting
)

// lane is one destination: first come, first served, so many at once.
type lane struct {
	line    []*entry
	running int
	open    bool // stands in scheduler.lanes
}

// scheduler knows when what is due. It holds some 150 bytes for each Item that
// waits, nothing of its content. All methods need Queue.mu.
type scheduler struct {
	entries map[key]*entry
	times   times
	byName  map[message.Domain]*lane
	lanes   []*lane // with a line and room, in turn
	running int
	timer   *time.Timer
	ctx     context.Context // of attempts; nil while closed
}

func (s *scheduler) open(ctx context.Context) {
	s.ctx = ctx
	s.entries = make(map[key]*entry)
	s.byName = make(map[message.Domain]*lane)
	s.times, s.lanes = nil, nil
}

// add makes an Item known. One that is known already stays as it is.
func (s *scheduler) add(k key, next time.Time, isHeld bool) {
	if s.ctx == nil || s.entries[k] != nil {
		return
	}
	e := &entry{key: k}
	s.entries[k] = e
	if !isHeld {
		s.at(e, next)
	}
}

// at puts an entry that is nowhere into the heap.
func (s *scheduler) at(e *entry, next time.Time) {
	e.next, e.place = next, timed
	heap.Push(&s.times, e)
}

// take removes an entry from where it waits; one that is running stays.
func (s *scheduler) take(e *entry, perDestination int) {
	switch e.place {
	case timed:
		heap.Remove(&s.times, e.index)
	case ready:
		l := s.byName[e.destination]
		for i, x := range l.line {
			if x == e {
				l.line = append(l.line[:i], l.line[i+1:]...)
				break
			}
		}
		s.tidy(e.destination, l, perDestination)
	}
	e.place = held
}

// due moves what is due from the heap into the lanes.
func (s *scheduler) due(now time.Time, perDestination int) {
	for len(s.times) > 0 && !s.times[0].next.After(now) {
		e := heap.Pop(&s.times).(*entry)
		e.place = ready
		l := s.byName[e.destination]
		if l == nil {
			l = new(lane)
			s.byName[e.destination] = l
		}
		l.line = append(l.line, e)
		s.tidy(e.destination, l, perDestination)
	}
}

// tidy keeps the list of lanes that can start something, and forgets empty ones.
func (s *scheduler) tidy(name message.Domain, l *lane, perDestination int) {
	want := len(l.line) > 0 && l.running < perDestination
	if want && !l.open {
		s.lanes = append(s.lanes, l)
		l.open = true
	}
	// A lane in the list that can start nothing is dropped when its turn comes.
	if len(l.line) == 0 && l.running == 0 {
		delete(s.byName, name)
	}
}

// pick takes the next entry to start; lanes are served in turn.
func (s *scheduler) pick(perDestination int) *entry {
	for len(s.lanes) > 0 {
		l := s.lanes[0]
		s.lanes = s.lanes[1:]
		if len(l.line) == 0 || l.running >= perDestination {
			l.open = false
			continue
		}
		e := l.line[0]
		l.line[0] = nil
		l.line = l.line[1:]
		l.running++
		s.running++
		e.place = attempting
		l.open = len(l.line) > 0 && l.running < perDestination
		if l.open {
			s.lanes = append(s.lanes, l)
		}
		return e
	}
	return nil
}

// done takes an entry out of running. It is then nowhere.
func (s *scheduler) done(e *entry, perDestination int) {
	s.running--
	e.place = held
	if l := s.byName[e.destination]; l != nil {
		l.running--
		s.tidy(e.destination, l, perDestination)
	}
}

// recheck bounds how long a timer sleeps, because it does not see the machine
// sleep or the clock being set.
const recheck = time.Minute

// start starts what is due and sets the timer for what is not. Queue.mu is held.
func (q *Queue) start() {
	s := &q.s
	if s.ctx == nil {
		return
	}
	s.due(time.Now(), q.o.PerDestination)
	for s.running < q.o.Concurrency {
		e := s.pick(q.o.PerDestination)
		if e == nil {
			break
		}
		ctx := s.ctx
		q.running.Add(1)
		go func() {
			defer q.running.Done()
			q.attempt(ctx, e)
		}()
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if len(s.times) > 0 {
		s.timer = time.AfterFunc(min(time.Until(s.times[0].next), recheck), func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.start()
		})
	}
}

// wake makes Items due at once. It runs in the writer after a commit.
func (q *Queue) wake(keys []key, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.s.ctx == nil {
		return
	}
	for _, k := range keys {
		q.s.add(k, at, false)
	}
	q.start()
}

// ended takes an attempt's end: next is when to try again, zero is never.
func (q *Queue) ended(e *entry, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.s.done(e, q.o.PerDestination)
	switch {
	case q.s.ctx == nil:
	case next.IsZero():
		delete(q.s.entries, e.key)
	case e.keep:
	case e.again:
		q.s.at(e, time.Now())
	default:
		q.s.at(e, next)
	}
	e.again, e.keep = false, false
	q.start()
}

// close lets nothing more start.
func (q *Queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.s.ctx = nil
	if q.s.timer != nil {
		q.s.timer.Stop()
	}
}

// times is a heap of entries by their time.
type times []*entry

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i].next.Before(t[j].next) }
func (t times) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t *times) Push(x any) {
	e := x.(*entry)
	e.index = len(*t)
	*t = append(*t, e)
}

func (t *times) Pop() any {
	old := *t
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return e
}
