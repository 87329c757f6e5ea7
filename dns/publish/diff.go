package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"mailstead/dns/zone"
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
	TTL  int    `json:"ttl"`            // seconds
	Data string `json:"data"`           // presentation form, names with the final dot; TXT as plain text
	Ours bool   `json:"ours,omitempty"` // we published it
	Base string `json:"base,omitempty"` // the foreign SPF record that it was merged with
}

func (r Record) same(o Record) bool { return r.Name == o.Name && r.Type == o.Type && r.Data == o.Data }

// rr is the record inside of a zone.
func (r Record) rr(zone string) libdns.RR {
	return libdns.RR{Name: relative(r.Name, zone), Type: r.Type, TTL: time.Duration(r.TTL) * time.Second, Data: r.Data}
}

// Change is one set of records of a Diff.
type Change struct {
	Action   Action    `json:"action"`
	Name     string    `json:"name"`
	Type     string    `json:"type"`
	Removes  []Record  `json:"removes,omitempty"`
	Adds     []Record  `json:"adds,omitempty"`
	Keeps    []Record  `json:"keeps,omitempty"`
	Foreign  []Record  `json:"foreign,omitempty"` // what is in the way of a conflict, or stands beside ours
	Kind     zone.Kind `json:"kind,omitempty"`
	Optional bool      `json:"optional,omitempty"` // mail works without it
	Sentence string    `json:"sentence"`           // why, for a person
}

// Set is how Plan is told to take the records over: "_dmarc.example.org/TXT".
func (c Change) Set() string { return c.Name + "/" + c.Type }

// touches tells whether applying it changes anything.
func (c Change) touches() bool {
	return c.Action != Conflict && c.Action != Elsewhere && len(c.Removes)+len(c.Adds) > 0
}

// Diff is what Apply would do.
type Diff struct {
	Domain   message.Domain `json:"domain"`
	Zone     string         `json:"zone"`
	Provider string         `json:"provider"`
	Changes  []Change       `json:"changes"`
	Digest   string         `json:"digest"` // of the changes: what was shown is what is applied

	// Unfinished says that a change was left in the middle. Applying ends it, even
	// where nothing is left to change: it may not have been put into service.
	Unfinished bool `json:"unfinished,omitempty"`

	lost []Record // ours once, and gone
}

// Empty tells whether there is nothing to apply.
func (d Diff) Empty() bool { return d.Count(Add, Modify, Delete, Merge) == 0 }

// Count counts the changes of these actions.
func (d Diff) Count(actions ...Action) int {
	n := 0
	for _, c := range d.Changes {
		for _, a := range actions {
			if c.Action == a {
				n++
			}
		}
	}
	return n
}

// seal sets the digest.
func (d *Diff) seal() error {
	text, err := json.Marshal(struct {
		Zone    string
		Changes []Change
	}{d.Zone, d.Changes})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	d.Digest = hex.EncodeToString(sum[:8])
	return nil
}

// Text shows a record as a line of a zone file.
func (r Record) Text() string {
	return strings.Join([]string{r.Name, r.Type, wire(libdns.RR{Type: r.Type, Data: r.Data})}, " ")
}
