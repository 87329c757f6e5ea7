package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
)

// tries is how often a wrong answer is asked again.
const tries = 3

// Walk goes all the way. ok tells that nothing is left to do; what was left has
// been told, step by step. Its errors are those after which it makes no sense to
// go on: the person left, or answers were wrong and nobody could be asked.
func (r *Run) Walk(ctx context.Context) (ok bool, err error) {
	ok = true
	for _, s := range Steps() {
		good, end, err := r.step(ctx, s)
		if err != nil || end {
			return false, err
		}
		ok = ok && good
	}
	r.progress.Finished = time.Now()
	return ok, r.progress.save()
}

// step walks one. end tells that it was needed and could not be done.
func (r *Run) step(ctx context.Context, s Step) (ok, end bool, err error) {
	if ctx.Err() != nil {
		return false, false, context.Cause(ctx)
	}
	r.o.Tell(Event{Step: s.ID, Title: s.Title})
	if s.Look != nil {
		s.Look(ctx, r)
	}
	var trouble *Mistake
	for try := 1; ; try++ {
		began := time.Now()
		err := r.ask(ctx, s, s.Questions, trouble)
		if err == nil && s.More != nil {
			err = r.ask(ctx, s, s.More(r), trouble)
		}
		var lacking *Mistake
		if err != nil && !(errors.As(err, &lacking) && r.o.Ask == nil) {
			return false, false, err
		}
		var res Result
		if err == nil {
			began = time.Now()
			res, err = s.Do(ctx, r)
		}
		if ctx.Err() != nil && !(err == nil && res.Once) {
			return false, false, context.Cause(ctx)
		}
		if errors.As(err, &trouble) && r.o.Ask != nil && try < tries {
			r.forget(s)
			continue
		}
		if err != nil {
			res.Findings = append(res.Findings, r.finding(s, err))
		}
		ok = check.Worst(res.Findings) != check.Problem && check.Worst(res.Findings) != check.Warning
		r.o.Tell(Event{Step: s.ID, Title: s.Title, OK: ok, Ms: time.Since(began).Milliseconds(), Result: res, Ended: true})
		return ok, err != nil && s.Needed, r.remember(s)
	}
}

// ask finds the answers of a step's questions: those that are given stay.
func (r *Run) ask(ctx context.Context, s Step, list []Question, trouble *Mistake) error {
	var open []Asked
	for _, q := range list {
		if q.Kind == Table || q.When != nil && !q.When(r) {
			continue
		}
		if _, ok := r.answers[q.Key]; ok {
			continue
		}
		a := r.asked(q)
		if q.Quiet || r.o.Ask == nil {
			if a.Must {
				return &Mistake{Key: q.Key, Sentence: "There is no answer for " + q.Key + ".", Next: q.Title}
			}
			r.answers[q.Key] = a.Preset
			continue
		}
		if trouble != nil && (trouble.Key == q.Key || trouble.Key == "" && len(open) == 0) {
			a.Trouble = trouble
		}
		open = append(open, a)
	}
	if len(open) == 0 {
		return nil
	}
	said, err := r.o.Ask(ctx, s, open)
	if err != nil {
		return err
	}
	for _, a := range open {
		value := strings.TrimSpace(said[a.Key])
		if value == "" {
			value = a.Preset
		}
		if value, err = r.check(a.Question, value); err != nil {
			return err // the Asker asked Valid
		}
		r.answers[a.Key] = value
		r.note(a.Key, value)
	}
	return r.remember(s)
}

// asked is a question as it stands now.
func (r *Run) asked(q Question) Asked {
	a := Asked{Question: q, Title: q.Title, Help: q.Help, Must: q.Default == nil}
	if q.Default != nil {
		a.Preset = q.Default(r)
	}
	if q.Choices != nil {
		a.Picks = q.Choices(r)
	}
	if q.Heading != nil {
		if title, help, ok := q.Heading(r); ok {
			a.Title, a.Help = title, help
		}
	}
	a.Valid = func(text string) error {
		if strings.TrimSpace(text) == "" && !a.Must {
			return nil
		}
		_, err := r.check(q, text)
		return err
	}
	return a
}

// check gives an answer as it is meant.
func (r *Run) check(q Question, text string) (string, error) {
	if q.Kind != Secret {
		text = strings.TrimSpace(text)
	}
	switch q.Kind {
	case YesNo:
		switch strings.ToLower(text) {
		case "yes", "y", "true", "on":
			return "yes", nil
		case "no", "n", "false", "off", "":
			return "no", nil
		}
		return "", &Mistake{Key: q.Key, Sentence: fmt.Sprintf("%q is neither yes nor no.", text), Next: "answer " + q.Key + " with yes or no"}
	case File:
		if f, err := os.Open(text); err == nil {
			f.Close()
		} else if text != "" {
			return "", &Mistake{Key: q.Key, Sentence: sentence(err.Error()), Next: "name another file"}
		}
	case Pick:
		if q.Check == nil && q.Choices != nil {
			all := q.Choices(r)
			if text != "" && !slices.ContainsFunc(all, func(c Choice) bool { return c.Value == text }) {
				var names []string
				for _, c := range all {
					names = append(names, c.Value)
				}
				return "", &Mistake{Key: q.Key, Sentence: fmt.Sprintf("%q is no answer for %s.", text, q.Key), Next: "it is one of " + strings.Join(names, ", ")}
			}
		}
	}
	if q.Check == nil {
		return text, nil
	}
	text, err := q.Check(r, text)
	var m *Mistake
	if errors.As(err, &m) && m.Key == "" {
		m.Key = q.Key
	}
	return text, err
}

// forget drops the answers of a step, which are to be asked again.
func (r *Run) forget(s Step) {
	list := s.Questions
	if s.More != nil {
		list = slices.Concat(list, s.More(r))
	}
	for _, q := range list {
		delete(r.answers, q.Key)
	}
}

// remember writes the answers that are kept.
func (r *Run) remember(s Step) error {
	for _, q := range s.Questions {
		if v, ok := r.answers[q.Key]; ok && q.Kept {
			r.progress.Answers[q.Key] = v
		}
	}
	return r.progress.save()
}

// finding makes one of an error.
func (r *Run) finding(s Step, err error) check.Finding {
	f := check.Finding{ID: "setup." + s.ID, Subject: r.domain.Unicode(), Severity: check.Problem, Sentence: sentence(err.Error()),
		Recheck: "mailstead setup"}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		f.Fix = sentence(h.Hint())
	} else {
		f.Fix = "Run `mailstead setup` again: it goes on here."
	}
	return f
}

// sentence gives what stands in an error the form of one.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}
