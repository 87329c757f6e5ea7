package publish

import (
	"context"
	"fmt"
	"slices"

	"mailstead/message"
)

// PlanUndo shows what Undo would do. Errors: *Error, of kind ErrNothing when
// there is no change.
func (p *Publisher) PlanUndo(ctx context.Context, domain message.Domain) (Diff, error) {
	_, d, _, err := p.planUndo(ctx, domain)
	return d, err
}

// Undo takes back the domain's last change that was not taken back yet: what we
// added goes, what stood there comes back, unless somebody has put something
// else there since. Errors: as PlanUndo; when it fails in the middle it can be
// called again.
func (p *Publisher) Undo(ctx context.Context, domain message.Domain) error {
	id, d, steps, err := p.planUndo(ctx, domain)
	if err != nil {
		return err
	}
	if err := p.markChange(ctx, id, undoing); err != nil {
		return err
	}
	var made []step
	for i, s := range steps {
		back := step{removes: d.Changes[i].Removes, adds: d.Changes[i].Adds}
		if err := p.replace(ctx, d.Zone, back.removes, back.adds); err != nil {
			return partly(err, i, len(steps), back)
		}
		// Only what really comes back is ours again.
		s.removes = slices.DeleteFunc(s.removes, func(r Record) bool { return has(d.Changes[i].Foreign, r) })
		if err := p.mark(ctx, domain, id, s, undone); err != nil {
			return err
		}
		made = append(made, back)
	}
	if err := p.verify(ctx, d.Zone, made); err != nil {
		return err
	}
	return p.markChange(ctx, id, undone)
}

// planUndo makes one change for each step, in the order in which they are taken
// back, each seeing what those before it have left.
func (p *Publisher) planUndo(ctx context.Context, domain message.Domain) (int64, Diff, []step, error) {
	id, d, steps, err := p.last(ctx, domain)
	if err != nil {
		return 0, d, nil, err
	}
	if d.Provider != p.Name {
		return 0, d, nil, &Error{Kind: ErrNothing, Text: fmt.Sprintf("the last change of %s was made at %s, and now it is %s", domain, d.Provider, p.Name),
			Next: "give the credentials of " + d.Provider + " again, or take the records back by hand"}
	}
	var names []string
	for _, s := range steps {
		for _, r := range append(slices.Clone(s.removes), s.adds...) {
			names = append(names, r.Name)
		}
	}
	live, err := p.look(ctx, d.Zone, names)
	if err != nil {
		return 0, d, nil, err
	}
	for _, s := range steps {
		c := back(s, live)
		live = slices.DeleteFunc(live, func(l Record) bool { return has(c.Removes, l) })
		live = append(live, c.Adds...)
		d.Changes = append(d.Changes, c)
	}
	return id, d, steps, d.seal()
}

// back is the change that takes a step back, given what is there. Foreign holds
// what is not put back.
func back(s step, live []Record) Change {
	c := Change{Action: Modify}
	for _, r := range s.adds {
		if has(live, r) {
			c.Removes = append(c.Removes, r)
		}
	}
	rest := state{live: slices.DeleteFunc(slices.Clone(live), func(l Record) bool { return has(c.Removes, l) })}
	rest.mark(nil)
	for _, r := range s.removes {
		if r.Type == "CNAME" {
			rest.aliased[r.Name] = true
		}
	}
	for _, r := range s.removes {
		g := rest.groupOf(r)
		taken := func(l Record) bool { return rest.groupOf(l) == g && !has(s.removes, l) && !has(s.beside, l) }
		switch {
		case has(rest.live, r):
			c.Keeps = append(c.Keeps, r)
		case g.exclusive() && slices.ContainsFunc(rest.live, taken):
			c.Foreign = append(c.Foreign, r)
		default:
			c.Adds = append(c.Adds, r)
		}
	}
	c.Name, c.Type = s.about()
	switch {
	case len(c.Foreign) > 0:
		c.Sentence = "Somebody has put something else there since: that stays."
	case len(c.Adds) > 0:
		c.Sentence = "What stood there comes back."
	case len(c.Removes) > 0:
		c.Action, c.Sentence = Delete, "We added it."
	default:
		c.Action, c.Sentence = Keep, "It is as it was."
	}
	return c
}

// about names the set that a step is about, or the first of several.
func (s step) about() (name, typ string) {
	for _, r := range append(slices.Clone(s.adds), s.removes...) {
		return r.Name, r.Type
	}
	return "", ""
}
