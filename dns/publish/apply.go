package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// looks is how often a change is looked for after it was made: providers with
// many machines need some seconds.
const looks = 5

// Apply does what the Diff says, step by step, and looks whether it is there.
// Conflicts and what belongs elsewhere are passed over. A record that the provider
// refuses does not keep the others back. Errors: *Error; the steps done until then
// stay done and are known to Undo, and planning and applying again goes on from
// there.
func (p *Publisher) Apply(ctx context.Context, d Diff) error {
	single := steps(d)
	if len(single) == 0 {
		return p.settle(ctx, d)
	}
	if len(single) > 1 && p.atomic() {
		err := p.run(ctx, d, []step{joined(single)})
		if !errors.Is(err, ErrRefused) || errors.Is(err, errUnseen) {
			return err
		}
		// One record that it does not like is no reason to publish none.
	}
	return p.run(ctx, d, single)
}

// settle ends a change that was left in the middle and of which nothing is left
// to do. Where changes wait until they are asked for, that may be what failed.
func (p *Publisher) settle(ctx context.Context, d Diff) error {
	id, err := p.unfinished(ctx, d)
	if err != nil || id == 0 {
		return err
	}
	if b, ok := p.Provider.(byRecord); ok {
		if err := b.finish(ctx, d.Zone); err != nil {
			return err
		}
	}
	return p.end(ctx, d, id)
}

func (p *Publisher) run(ctx context.Context, d Diff, steps []step) error {
	id, err := p.begin(ctx, d, steps)
	if err != nil {
		return err
	}
	var made, bad []step
	var refused error
	for i, s := range steps {
		if err := p.mark(ctx, d.Domain, id, s, begun); err != nil {
			return err
		}
		err := p.replace(ctx, d.Zone, s.removes, s.adds)
		if errors.Is(err, ErrRefused) {
			// It stays begun: a part of it may have been done.
			bad = append(bad, s)
			refused = err
			continue
		}
		if err != nil {
			return partly(err, i-len(bad), len(steps), s)
		}
		if err := p.mark(ctx, d.Domain, id, s, done); err != nil {
			return err
		}
		made = append(made, s)
	}
	if err := p.verify(ctx, d.Zone, made); err != nil {
		return err
	}
	if len(made) > 0 {
		if err := p.markChange(ctx, id, done); err != nil {
			return err
		}
	}
	if refused != nil {
		return partly(refused, len(made), len(steps), bad...)
	}
	return nil
}

// steps are the changes that touch something.
func steps(d Diff) []step {
	var all []step
	for _, c := range d.Changes {
		if c.touches() {
			all = append(all, step{removes: c.Removes, adds: c.Adds, beside: slices.Concat(c.Keeps, c.Foreign)})
		}
	}
	return all
}

// joined makes one step of all, for a provider that does it whole or not at all.
func joined(all []step) (one step) {
	for _, s := range all {
		one.removes, one.adds, one.beside = append(one.removes, s.removes...), append(one.adds, s.adds...), append(one.beside, s.beside...)
	}
	return one
}

// partly says how far a change got, and which steps were not done.
func partly(err error, finished, all int, bad ...step) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	told := *known
	if all > 1 {
		var names []string
		for _, s := range bad {
			name, typ := s.about()
			names = append(names, name+" "+typ)
		}
		told.Text = fmt.Sprintf("%s (%d of %d steps are done; not %s)", known.Text, finished, all, strings.Join(names, ", "))
	}
	after := "publishing again goes on from here, undo takes back what was done"
	if finished == 0 && (errors.Is(err, ErrToken) || errors.Is(err, ErrNoZone) || errors.Is(err, ErrCredentials)) {
		after = "nothing was changed" // of any other failure nobody knows how far the change had got
	}
	if told.Next != "" {
		after = told.Next + "; " + after
	}
	told.Next = after
	return &told
}

// errUnseen tells of a change that was taken: made piece by piece it would be no
// more to be seen.
var errUnseen = errors.New("not to be seen")

// verify looks until all that was added is there and all that was removed is
// gone.
func (p *Publisher) verify(ctx context.Context, zone string, steps []step) error {
	wait := p.Wait
	if wait == nil {
		wait = sleep
	}
	for try := 1; ; try++ {
		wrong, err := p.wrong(ctx, zone, steps)
		if err != nil {
			return err
		}
		if len(wrong) == 0 {
			return nil
		}
		if try == looks {
			return &Error{Kind: ErrRefused, Provider: p.Name, Err: errUnseen, Text: fmt.Sprintf("the change was taken, but it does not show: %s %s", wrong[0].Name, wrong[0].Type),
				Next: "look again in some minutes; publishing again repeats what is missing"}
		}
		if err := wait(ctx, time.Second<<(try-1)); err != nil {
			return err
		}
	}
}

// wrong gives the records that are not as the steps left them. Of a record that
// one step added and a later one removed the last counts.
func (p *Publisher) wrong(ctx context.Context, zone string, steps []step) ([]Record, error) {
	type fate struct {
		r     Record
		there bool
	}
	fates := map[[3]string]fate{}
	var names []string
	for _, s := range steps {
		for _, r := range s.removes {
			fates[[3]string{r.Name, r.Type, r.Data}] = fate{r, false}
			names = append(names, r.Name)
		}
		for _, r := range s.adds {
			fates[[3]string{r.Name, r.Type, r.Data}] = fate{r, true}
			names = append(names, r.Name)
		}
	}
	live, err := p.look(ctx, zone, names)
	if err != nil {
		return nil, err
	}
	var wrong []Record
	for _, f := range fates {
		if has(live, f.r) != f.there {
			wrong = append(wrong, f.r)
		}
	}
	return wrong, nil
}
