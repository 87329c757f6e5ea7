package control

import (
	"context"
	"os"
	"time"

	"mailstead/internal/machine"
	"mailstead/internal/maillog"
	"mailstead/internal/trace"
)

// Status is what status gives.
type Status struct {
	Version string    `json:"version"`
	Data    string    `json:"data"`
	Running bool      `json:"running"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started,omitzero"`
	Free    uint64    `json:"disk_free,omitempty"` // bytes, of the disk with the data
	Size    uint64    `json:"disk_size,omitempty"`

	Hostname string `json:"hostname,omitempty"`
	// Doors are where a program of this machine reaches the mail doors of a
	// running server, by their names ("smtp", "submissions", "imaps").
	Doors map[string]string `json:"doors,omitempty"`
}

func (o *Ops) status(context.Context, None) (Status, error) {
	s := Status{Version: o.Version, Data: o.Data, Running: !o.Started.IsZero(), PID: os.Getpid(), Started: o.Started}
	if o.Wanted != nil {
		s.Hostname = o.Wanted.Config.Hostname
	}
	if o.Doors != nil {
		s.Doors = o.Doors()
	}
	if disk, err := (machine.Machine{}).Disk(o.Data); err == nil { // not worth a failure
		s.Free, s.Size = disk.Free, disk.Total
	}
	return s, nil
}

// TraceQuery is what trace takes.
type TraceQuery struct {
	Text  string    `json:"text"` // our id, a Message-ID, an address, a queue number
	Since time.Time `json:"since,omitzero"`
	Limit int       `json:"limit,omitempty"`
}

// Traced is the life of one message, or one event of none.
type Traced struct {
	MID    string          `json:"mid,omitempty"`
	Story  []string        `json:"story"`
	Events []maillog.Event `json:"events"`
}

func (o *Ops) trace(ctx context.Context, in TraceQuery) ([]Traced, error) {
	events, err := o.Trace.Find(ctx, trace.Query{Text: in.Text, Since: in.Since, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	list := []Traced{}
	for _, m := range trace.Messages(events) {
		list = append(list, Traced{MID: m[0].MID, Story: trace.Story(m), Events: m})
	}
	return list, nil
}
