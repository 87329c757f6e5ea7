package cli

import (
	"fmt"
	"io"
	"time"

	"mailstead/internal/control"
)

type queueCommand struct {
	List   queueList   `cmd:"" help:"List what waits."`
	Show   queueShow   `cmd:"" help:"Show one message that waits, with the last answers of the other side."`
	Retry  queueRetry  `cmd:"" help:"Try now; ends a hold."`
	Hold   queueHold   `cmd:"" help:"Keep back until retry."`
	Delete queueDelete `cmd:"" help:"Take a message out; its sender is not told."`
}

type queueList struct{}

func (queueList) Help() string {
	return `Example:
  mailstead queue list`
}

func (c *queueList) Run(p *program) error {
	var all control.QueuePage
	for after := int64(0); ; {
		page, err := call[control.QueuePage](p, "queue.list", control.QueueQuery{After: after})
		if err != nil {
			return err
		}
		all.Waiting = page.Waiting
		all.Items = append(all.Items, page.Items...)
		if len(page.Items) == 0 {
			break
		}
		after = page.Items[len(page.Items)-1].QID
	}
	if all.Items == nil {
		all.Items = []control.QueueItem{}
	}
	return p.show(all.Items, func(w io.Writer) {
		if len(all.Items) == 0 {
			fmt.Fprintln(w, "Nothing waits.")
			return
		}
		t := table{header: []string{"NUMBER", "SINCE", "SIZE", "FROM", "TO", "STATE", "NEXT"}}
		for _, it := range all.Items {
			state, next := itemState(it)
			t.add(it.QID, ago(it.Created), bytesText(it.Size), sender(it), receivers(it), state, next)
		}
		t.print(p, w)
	})
}

func sender(it control.QueueItem) string {
	if it.From == "" {
		return "<>"
	}
	return it.From
}

func receivers(it control.QueueItem) string {
	switch len(it.Recipients) {
	case 0:
		return ""
	case 1:
		return it.Recipients[0].Address
	}
	return fmt.Sprintf("%s and %d more", it.Recipients[0].Address, len(it.Recipients)-1)
}

// itemState sums the recipients up: what is furthest, and what comes next.
func itemState(it control.QueueItem) (cell, string) {
	rank := map[string]int{"attempting": 3, "deferred": 2, "queued": 1}
	state, best := "held", 0
	var next time.Time
	for _, r := range it.Recipients {
		if rank[r.State] > best {
			state, best = r.State, rank[r.State]
		}
		if r.State != "held" && (next.IsZero() || r.Next.Before(next)) {
			next = r.Next
		}
	}
	switch state {
	case "held":
		return cell{state, yellow}, "on retry"
	case "deferred":
		return cell{state, yellow}, until(next)
	case "attempting":
		return cell{state, green}, ""
	}
	return cell{text: state}, until(next)
}

// oneItem is the message that a command is about.
type oneItem struct {
	Number string `arg:"" help:"Number of the message, as queue list shows it."`
}

func (o oneItem) in() (control.OneItem, error) {
	qid, err := control.ParseQID(o.Number)
	return control.OneItem{QID: qid}, err
}

// manyItems is one message, or all.
type manyItems struct {
	Number string `arg:"" help:"Number of the message, as queue list shows it, or all."`
}

func (m manyItems) in() (control.OneItem, error) {
	if m.Number == "all" {
		return control.OneItem{All: true}, nil
	}
	return oneItem(m).in()
}

type queueShow struct{ oneItem }

func (queueShow) Help() string {
	return `Example:
  mailstead queue show 17`
}

func (c *queueShow) Run(p *program) error {
	in, err := c.in()
	if err != nil {
		return usageError{err}
	}
	it, err := call[control.QueueItem](p, "queue.show", in)
	if err != nil {
		return err
	}
	return p.show(it, func(w io.Writer) { printItem(p, w, it) })
}

func printItem(p *program, w io.Writer, it control.QueueItem) {
	var l list
	l.add("Number", "%d", it.QID)
	l.add("Our id", "%s", it.MID)
	l.add("From", "%s", sender(it))
	if it.Account != "" {
		l.add("Submitted by", "%s", it.Account)
	}
	l.add("Size", "%s", bytesText(it.Size))
	l.add("Since", "%s (%s)", it.Created.Format(dateTime), ago(it.Created))
	l.add("Given up", "%s", it.Expires.Format(dateTime))
	l.print(p, w)
	for _, r := range it.Recipients {
		fmt.Fprintf(w, "\n%s\n", p.paint(bold, clean(r.Address)))
		var l list
		l.add("  State", "%s, %s", r.State, plural(r.Attempts, "attempt", "attempts"))
		if r.State != "held" && r.State != "attempting" {
			l.add("  Next", "%s", until(r.Next))
		}
		if r.Reason != "" {
			l.add("  Why", "%s", r.Reason)
		}
		if r.Host != "" {
			l.add("  Other side", "%s", r.Host)
		}
		if r.Reply != "" {
			l.add("  They said", "%s", r.Reply)
		}
		l.print(p, w)
	}
}

type queueRetry struct{ manyItems }

func (queueRetry) Help() string {
	return `Examples:
  mailstead queue retry 17
  mailstead queue retry all`
}

func (c *queueRetry) Run(p *program) error {
	return c.change(p, "queue.retry", "is due now", "Everything is due now.")
}

type queueHold struct{ manyItems }

func (queueHold) Help() string {
	return `Example:
  mailstead queue hold 17`
}

func (c *queueHold) Run(p *program) error {
	return c.change(p, "queue.hold", "is held", "Everything is held.")
}

func (m manyItems) change(p *program, name, word, all string) error {
	in, err := m.in()
	if err != nil {
		return usageError{err}
	}
	if _, err := call[control.None](p, name, in); err != nil {
		return err
	}
	if in.All {
		return p.say("%s", all)
	}
	return p.say("Message %d %s.", in.QID, word)
}

type queueDelete struct {
	oneItem
	Yes bool `help:"Do not ask."`
}

func (queueDelete) Help() string {
	return `Nobody is told: neither its sender nor its recipients. The trace keeps what happened.

Example:
  mailstead queue delete 17`
}

func (c *queueDelete) Run(p *program) error {
	in, err := c.in()
	if err != nil {
		return usageError{err}
	}
	if !c.Yes {
		it, err := call[control.QueueItem](p, "queue.show", in)
		if err != nil {
			return err
		}
		printItem(p, p.err, it)
		err = p.confirm(fmt.Sprintf("\nThe message is lost. Type %d to delete it: ", in.QID), fmt.Sprint(in.QID), "--yes does it without asking")
		if err != nil {
			return err
		}
	}
	if _, err := call[control.None](p, "queue.delete", in); err != nil {
		return err
	}
	return p.say("Message %d is deleted.", in.QID)
}
