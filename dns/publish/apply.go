package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// looks is how often a change is looked for after it was made: providers with
// many machines need some seconds.
const looks = 5

// Apply does what the Diff says, step by step, and looks whether it is there.
// Conflicts and what belongs elsewhere are passed over. Errors: *Error; the steps
// done until then stay done and are known to Undo, and planning and applying
// again goes on from there.
func (p *Publisher) Apply(ctx context.Context, d Diff) error {
	steps := p.steps(d)
	if len(steps) == 0 {
		return nil
	}
	id, err := p.begin(ctx, d, steps)
	if err != nil {
		return err
	}
	for i, s := range steps {
		if err := p.mark(ctx, d.Domain, id, s, begun); err != nil {
			return err
		}
		if err := p.replace(ctx, d.Zone, s.removes, s.adds); err != nil {
			return partly(err, i, len(steps), s)
		}
		if err := p.mark(ctx, d.Domain, id, s, done); err != nil {
			return err
		}
	}
	if err := p.verify(ctx, d.Zone, steps); err != nil {
		return err
	}
	return p.markChange(ctx, id, done)
}

// steps are the changes, each alone, or all in one where the provider does them
// whole or not at all.
func (p *Publisher) steps(d Diff) []step {
	var all []step
	var one step
	for _, c := range d.Changes {
		if !c.touches() {
			continue
		}
		beside := slices.Concat(c.Keeps, c.Foreign)
		all = append(all, step{removes: c.Removes, adds: c.Adds, beside: beside})
		one.removes, one.adds, one.beside = append(one.removes, c.Removes...), append(one.adds, c.Adds...), append(one.beside, beside...)
	}
	if len(all) > 1 && p.atomic() {
		return []step{one}
	}
	return all
}

// partly says how far a change got.
func partly(err error, finished, all int, s step) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	told := *known
	if all > 1 {
		name, typ := s.about()
		told.Text = fmt.Sprintf("%s (%d of %d steps are done; it stopped at %s %s)", known.Text, finished, all, name, typ)
	}
	after := "publishing again goes on from here, undo takes back what was done"
	if finished == 0 && all > 1 {
		after = "nothing was changed before that"
	}
	if told.Next == "" {
		told.Next = after
	} else if finished > 0 {
		told.Next += "; then " + after
	}
	return &told
}

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
			return &Error{Kind: ErrRefused, Provider: p.Name, Text: fmt.Sprintf("the change was taken, but it does not show: %s %s", wrong[0].Name, wrong[0].Type),
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
