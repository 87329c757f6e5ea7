package publish

import (
	"context"
	"time"

	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Action is what is to happen to a set of records.
type Action string

// The actions; the package comment has the table.
const (
	Add       Action = "add"
	Modify    Action = "change"
	Delete    Action = "delete"
	Keep      Action = "keep"
	Merge     Action = "merge"
	Conflict  Action = "conflict"
	Elsewhere Action = "elsewhere"
)

// Record is a record at a provider.
type Record struct {
	Name string `json:"name"` // fully qualified, lower case, without the final dot
	Type string `json:"type"`
	TTL  int    `json:"ttl"`  // seconds
	Data string `json:"data"` // presentation form, names with the final dot; TXT as plain text
}

// Change is one set of records of a Diff.
type Change struct {
	Action   Action    `json:"action"`
	Name     string    `json:"name"`
	Type     string    `json:"type"`
	Removes  []Record  `json:"removes,omitempty"`
	Adds     []Record  `json:"adds,omitempty"`
	Keeps    []Record  `json:"keeps,omitempty"`
	Foreign  []Record  `json:"foreign,omitempty"` // of a conflict: what is in the way
	Kind     zone.Kind `json:"kind,omitempty"`
	Optional bool      `json:"optional,omitempty"`
	Sentence string    `json:"sentence"` // why, for a person
}

// Diff is what Apply would do.
type Diff struct {
	Domain   message.Domain `json:"domain"`
	Zone     string         `json:"zone"`
	Provider string         `json:"provider"`
	Changes  []Change       `json:"changes"`
	Digest   string         `json:"digest"` // of the changes: what was shown is what is applied
}

// Publisher brings the wanted records of domains into one provider's zones.
type Publisher struct {
	DB       *sqlite.DB // has the tables of Schema
	Provider Provider
	Name     string                                     // the provider's, as New takes it
	Wait     func(context.Context, time.Duration) error // between looks after a change; nil sleeps
}

// Plan compares the wanted records with the provider's. take names sets of
// records ("_dmarc.example.org/TXT") whose foreign records are to be replaced.
func (p *Publisher) Plan(ctx context.Context, domain message.Domain, wanted []zone.Record, take ...string) (Diff, error) {
	panic("border")
}

// Apply does what the Diff says, step by step, and looks whether it is there.
// Errors: *Error; the steps done until then stay done and are known to Undo.
func (p *Publisher) Apply(ctx context.Context, d Diff) error { panic("border") }

// PlanUndo shows what Undo would do.
func (p *Publisher) PlanUndo(ctx context.Context, domain message.Domain) (Diff, error) {
	panic("border")
}

// Undo takes back the domain's last change that was not taken back yet.
// Errors: ErrNothing.
func (p *Publisher) Undo(ctx context.Context, domain message.Domain) error { panic("border") }
