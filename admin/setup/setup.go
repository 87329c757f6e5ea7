// Package setup leads from an installed program to working mail: it asks for a
// domain, an address, and how to reach the domain's DNS, and does all the rest.
// It is a list of steps as data. Whoever walks them (a terminal, a file of
// answers, later a page) brings an Asker and a function that is told what
// happens; the steps know nothing of either.
//
//	Steps ─▶ Walk ─┬─ questions ─▶ given answers, else those of last time, else the Asker, else their default
//	               ├─ Do ─▶ internal/control's operations, on the server that runs (Server sees to that)
//	               └─ Event: what was done, findings with their fixes
//
// It computes no record, gets no certificate and judges nothing by itself: every
// step calls the operations that the commands call, so that whatever it did can be
// looked at and changed by them afterwards.
//
// # Coming back
//
// Every step looks before it acts and does only what is missing, so that walking
// all of them again is always right: it goes on where it was broken off, and when
// all is done it looks at everything once more. Remembered are the answers alone
// (DATA/setup.json, without secrets), so that nothing is asked twice.
//
// # Trouble
//
// A wrong answer is a Mistake: asked again, or the end before anything was done
// where nobody can be asked. All other trouble is a finding of its step, with its
// fix, and the walk goes on; it ends early only where a step is Needed by all
// that follow. The configuration is written whole or not at all.
package setup

import (
	"context"
	"slices"
	"time"

	"mailstead/dns"
	"mailstead/dns/check"
	"mailstead/dns/publish"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/message"
)

// Kind is how an answer is given.
type Kind string

const (
	Text   Kind = "text"
	Secret Kind = "secret" // not shown; in a file also as KEY_file
	Pick   Kind = "pick"   // one of the Choices
	YesNo  Kind = "yes/no"
	List   Kind = "list"  // texts with commas between them
	File   Kind = "file"  // its path; in a file of answers relative to that
	Table  Kind = "table" // names with texts, only from a file: KEY.NAME
)

// Choice is one of a Pick's.
type Choice struct{ Value, Title string }

// Question is one thing that a step wants to know.
type Question struct {
	Key     string // of the answer: "domain"
	Kind    Kind
	Title   string
	Help    string
	Example string // for a file of answers
	Quiet   bool   // its default is good for nearly everybody: taken from a file or a flag, never asked
	Kept    bool   // remembered for the next walk

	When    func(*Run) bool                          // whether it is asked now; nil: always
	Default func(*Run) string                        // nil: there is none, and an answer is needed
	Choices func(*Run) []Choice                      // of a Pick
	Check   func(*Run, string) (string, error)       // gives the answer as it is meant; errors: *Mistake
	Heading func(*Run) (title, help string, ok bool) // instead of Title and Help, where what was found says more
}

// Step is one part of the way.
type Step struct {
	ID, Title string
	Needed    bool                                        // nothing that follows can be done without
	Look      func(context.Context, *Run)                 // finds out what to ask
	Questions []Question                                  // asked together
	More      func(*Run) []Question                       // asked then
	Do        func(context.Context, *Run) (Result, error) // errors: *Mistake is asked again
}

// Result is what a step did.
type Result struct {
	Lines    []string        `json:"lines,omitempty"` // for a person
	Findings []check.Finding `json:"findings,omitempty"`
	Data     any             `json:"data,omitempty"` // for a program, and for walkers that show it their own way
	Once     bool            `json:"-"`              // cannot be told again: it is told even when the person has left
}

// Event is told when a step begins (Ended is false) and when it has ended.
type Event struct {
	Step  string `json:"step"`
	Title string `json:"title"`
	OK    bool   `json:"ok"`
	Ms    int64  `json:"ms"`
	Result
	Ended bool `json:"-"`
}

// Asked is a question as an Asker puts it.
type Asked struct {
	Question
	Title, Help string
	Preset      string // what an empty answer means
	Must        bool   // there is no such thing
	Picks       []Choice
	Valid       func(string) error // *Mistake
	Trouble     error              // why it is asked again
}

// Asker puts questions to a person, together, and gives the answers by key.
type Asker func(ctx context.Context, step Step, list []Asked) (map[string]string, error)

// Server sees to it that a server runs. Start is called once the configuration
// is written; the Caller it gives is good until Close. Where no server could be
// had, the Caller works on the stores themselves and the error says why.
type Server interface {
	Start(ctx context.Context, cfg config.Config) (c control.Caller, by string, err error)
	Close(ctx context.Context) error
}

// Options of New.
type Options struct {
	Config     config.Config     // as it is now
	ConfigFile string            // which is written
	Data       string            // goes into the file where it was named by hand; "" leaves it
	Given      map[string]string // answers of a file and of flags, by key
	Ask        Asker             // nil: nobody can be asked
	Tell       func(Event)
	Server     Server
	Password   func() string                         // makes one
	Seen       func([]check.Finding) []check.Finding // improves the doctor's findings; nil leaves them
	Wait       time.Duration                         // for records to be seen in the DNS; 0 is a minute
}

// Run is one walk.
type Run struct {
	o        Options
	answers  map[string]string
	progress *progress

	caller   control.Caller
	resolver *dns.Client
	by       string // who runs the server

	domain  message.Domain
	address message.Address
	made    string // the password that we made, to be told once

	known   bool              // the address is an account's already
	host    control.DNSHost   // who hosts the DNS
	access  bool              // a provider's access is known
	public  []string          // addresses of this host
	shown   bool              // the records, to be entered by hand
	plan    publish.Diff      // what publishing would change
	blocked []check.Finding   // port 25 on the way out
	relay   control.SmartHost // that takes all mail
	disks   []string          // other ones
}

// New makes a walk, and refuses answers that cannot be meant before anything is
// done. Errors: *Mistake; others are of the data directory.
func New(o Options) (*Run, error) {
	r := &Run{o: o, answers: map[string]string{}}
	var err error
	if r.progress, err = loadProgress(o.Config.Data); err != nil {
		return nil, err
	}
	if r.resolver, err = dns.New(o.Config.DNS.Resolver); err != nil {
		return nil, err
	}
	if err := r.take(); err != nil {
		return nil, err
	}
	return r, r.progress.save() // what cannot be kept is told before anything is asked
}

// Finished tells whether a walk has gone all the way before.
func (r *Run) Finished() bool { return !r.progress.Finished.IsZero() }

// Questions are all that can be answered, in their order.
func Questions() []Question {
	var all []Question
	for _, s := range Steps() {
		list := s.Questions
		if s.More != nil {
			list = slices.Concat(list, s.More(nil))
		}
		for _, q := range list {
			if !slices.ContainsFunc(all, func(known Question) bool { return known.Key == q.Key }) {
				all = append(all, q)
			}
		}
	}
	return all
}

// take puts the given answers and those of the last walk into their form.
func (r *Run) take() error {
	given := r.o.Given
	if d := given["domain"]; d != "" {
		// Another domain than last time is another walk.
		if was := r.progress.Answers["domain"]; was != "" {
			name, err := ReadDomain(d)
			if err != nil {
				return err
			}
			if string(name) != was {
				r.progress.Answers, r.progress.Account, r.progress.Finished = map[string]string{}, "", time.Time{}
			}
		}
	}
	all := Questions()
	for _, q := range all {
		if q.Kind == Table {
			continue
		}
		value, ok := given[q.Key]
		if !ok {
			if value, ok = r.progress.Answers[q.Key]; !ok {
				continue
			}
		}
		value, err := r.check(q, value)
		if err != nil {
			return err
		}
		r.answers[q.Key] = value
		r.note(q.Key, value)
	}
	for key, value := range given {
		if slices.ContainsFunc(all, func(q Question) bool { return q.Kind == Table && within(key, q.Key) }) {
			r.answers[key] = value
		}
	}
	if r.o.Ask != nil {
		return nil
	}
	for _, q := range all {
		if q.Kind != Table && q.When == nil && q.Default == nil && r.answers[q.Key] == "" {
			return &Mistake{Key: q.Key, Sentence: "There is no answer for " + q.Key + ".", Next: q.Title + " Put " + q.Key + " = " + `"` + q.Example + `"` + " into the answers, or run this in a terminal"}
		}
	}
	return nil
}

// note keeps what further questions need.
func (r *Run) note(key, value string) {
	switch key {
	case "domain":
		r.domain = message.Domain(value)
	case "address":
		r.address, _ = message.ParseAddress(value)
	}
}

// Answer gives an answer, "" for none.
func (r *Run) Answer(key string) string { return r.answers[key] }

// yes tells whether a YesNo was answered so.
func (r *Run) yes(key string) bool { return r.answers[key] == "yes" }

// table gives the answers below a key.
func (r *Run) table(key string) map[string]string {
	list := map[string]string{}
	for k, v := range r.answers {
		if within(k, key) {
			list[k[len(key)+1:]] = v
		}
	}
	return list
}

func within(key, table string) bool {
	return len(key) > len(table)+1 && key[:len(table)] == table && key[len(table)] == '.'
}

// Steps are the way.
func Steps() []Step {
	return []Step{
		domainStep(), addressStep(), serverStep(), accountStep(), dnsStep(), hostStep(), recordsStep(), certificateStep(),
		outgoingStep(), backupStep(), checksStep(), mailStep(), programsStep(),
	}
}
