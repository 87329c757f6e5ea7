package metrics

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"mailstead/internal/maillog"
)

// Events counts mail events; it is a maillog.Sink. A kind that is not in the
// list is counted as "other", so that no text from outside becomes a name.
type Events struct {
	counts [len(kinds) + 1]count
	logins [2]atomic.Uint64 // failed, good

	mu      sync.Mutex
	refused map[string]uint64 // by code; guarded by mu, which is seldom taken
}

type count struct{ number, bytes, micros atomic.Uint64 }

var kinds = [...]string{
	maillog.Received, maillog.Submitted, maillog.Refused, maillog.Queued, maillog.Delivered, maillog.Relayed,
	maillog.Deferred, maillog.Failed, maillog.Reported, maillog.Deleted, maillog.Appended,
}

// Record implements maillog.Sink.
func (e *Events) Record(ev maillog.Event) {
	if ev.Kind == maillog.Login {
		e.logins[good(ev)].Add(1)
		return
	}
	at := slices.Index(kinds[:], ev.Kind)
	if at < 0 {
		at = len(kinds)
	}
	c := &e.counts[at]
	c.number.Add(1)
	c.bytes.Add(uint64(max(0, ev.Size)))
	c.micros.Add(uint64(max(0, ev.Dur.Microseconds())))
	if ev.Kind == maillog.Refused {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.refused == nil {
			e.refused = make(map[string]uint64)
		}
		e.refused[code(ev.Reply)]++
	}
}

// good tells a login that succeeded, over SMTP or IMAP.
func good(ev maillog.Event) int {
	if strings.HasPrefix(ev.Reply, "2") || strings.HasPrefix(ev.Reply, "OK") {
		return 1
	}
	return 0
}

// code is the code of an SMTP reply.
func code(reply string) string {
	if len(reply) < 3 || strings.Trim(reply[:3], "0123456789") != "" {
		return "none"
	}
	return reply[:3]
}

// Write is a Source.
func (e *Events) Write(_ context.Context, w *Writer) {
	each := func(write func(kind string, c *count)) {
		for i := range e.counts {
			kind := "other"
			if i < len(kinds) {
				kind = kinds[i]
			}
			write(kind, &e.counts[i])
		}
	}
	each(func(kind string, c *count) {
		w.Counter("mailstead_events_total", "Mail events, one for each message or recipient.", float64(c.number.Load()), "event", kind)
	})
	each(func(kind string, c *count) {
		w.Counter("mailstead_event_bytes_total", "Bytes of the messages of these events.", float64(c.bytes.Load()), "event", kind)
	})
	each(func(kind string, c *count) {
		w.Counter("mailstead_event_seconds_total", "How long these events took together.", float64(c.micros.Load())/1e6, "event", kind)
	})
	e.mu.Lock()
	refused := maps.Clone(e.refused)
	e.mu.Unlock()
	for _, c := range slices.Sorted(maps.Keys(refused)) {
		w.Counter("mailstead_refused_total", "Refused messages and recipients by the code of the reply.", float64(refused[c]), "code", c)
	}
	for i, result := range []string{"failed", "ok"} {
		w.Counter("mailstead_logins_total", "Logins.", float64(e.logins[i].Load()), "result", result)
	}
}
