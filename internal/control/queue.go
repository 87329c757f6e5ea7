package control

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailstead/smtp/queue"
)

// QueueItem is a message in the queue as people see it.
type QueueItem struct {
	QID        int64            `json:"qid"`
	MID        string           `json:"mid"`
	Account    string           `json:"account,omitempty"` // who submitted
	From       string           `json:"reverse_path"`      // "" is the null reverse-path
	Size       int64            `json:"size"`
	Created    time.Time        `json:"created"`
	Expires    time.Time        `json:"expires"`
	Recipients []QueueRecipient `json:"recipients"`
}

// QueueRecipient is one that still waits.
type QueueRecipient struct {
	Address  string    `json:"address"`
	State    string    `json:"state"` // queued, attempting, deferred, held
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
	Status   string    `json:"status,omitempty"` // of the last attempt, as all below
	Reply    string    `json:"reply,omitempty"`
	Host     string    `json:"host,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// QueueQuery is what queue.list takes.
type QueueQuery struct {
	After int64 `json:"after,omitempty"` // QID of the last one seen
	Limit int   `json:"limit,omitempty"` // 0 means 1,000
}

// QueuePage is what queue.list gives.
type QueuePage struct {
	Items   []QueueItem `json:"items"`
	Waiting int64       `json:"waiting"` // messages in all
}

// QueueCounts is what queue.counts gives.
type QueueCounts struct {
	Messages int64     `json:"messages"`
	Deferred int64     `json:"deferred"` // recipients that were tried before
	Held     int64     `json:"held"`     // recipients that are kept back
	Oldest   time.Time `json:"oldest,omitzero"`
}

func (o *Ops) queueCounts(ctx context.Context, _ None) (QueueCounts, error) {
	c, err := o.Queue.Counts(ctx)
	return QueueCounts{Messages: c.Messages, Deferred: c.Deferred, Held: c.Held, Oldest: c.Oldest}, err
}

// OneItem is what the queue's other operations take.
type OneItem struct {
	QID int64 `json:"qid"`
	All bool  `json:"all,omitempty"` // for retry and hold
}

func (o *Ops) queueList(ctx context.Context, in QueueQuery) (QueuePage, error) {
	entries, err := o.Queue.List(ctx, in.After, in.Limit)
	if err != nil {
		return QueuePage{}, err
	}
	page := QueuePage{Items: []QueueItem{}}
	for _, e := range entries {
		page.Items = append(page.Items, o.queueItem(ctx, e))
	}
	counts, err := o.Queue.Counts(ctx)
	page.Waiting = counts.Messages
	return page, err
}

func (o *Ops) queueItem(ctx context.Context, e queue.Entry) QueueItem {
	v := QueueItem{QID: e.QID, MID: e.MID, Size: e.Size, Created: e.Created, Expires: e.Expires, Recipients: []QueueRecipient{}}
	if !e.ReversePath.IsZero() {
		v.From = e.ReversePath.Unicode()
	}
	if a, err := o.Accounts.Account(ctx, e.Account); err == nil {
		v.Account = a.Address.Unicode()
	} else if e.Account != 0 {
		v.Account = fmt.Sprintf("account %d", e.Account) // removed since
	}
	for _, r := range e.Recipients {
		v.Recipients = append(v.Recipients, QueueRecipient{
			Address: r.Address.Unicode(), State: string(r.State), Attempts: r.Attempts, Next: r.Next,
			Status: r.Status, Reply: r.Reply, Host: r.Host, Reason: r.Reason,
		})
	}
	return v
}

func (o *Ops) queueShow(ctx context.Context, in OneItem) (QueueItem, error) {
	e, err := o.Queue.Show(ctx, in.QID)
	if err != nil {
		return QueueItem{}, err
	}
	return o.queueItem(ctx, e), nil
}

func (o *Ops) queueRetry(ctx context.Context, in OneItem) (None, error) {
	qid, err := in.which()
	if err != nil {
		return None{}, err
	}
	return None{}, o.Queue.Retry(ctx, qid)
}

func (o *Ops) queueHold(ctx context.Context, in OneItem) (None, error) {
	qid, err := in.which()
	if err != nil {
		return None{}, err
	}
	return None{}, o.Queue.Hold(ctx, qid)
}

func (o *Ops) queueDelete(ctx context.Context, in OneItem) (None, error) {
	if in.All || in.QID <= 0 {
		return None{}, invalid("name one item by its number", "the queue is not deleted as a whole")
	}
	return None{}, o.Queue.Delete(ctx, in.QID)
}

// which gives the queue's number for what is meant: 0 is all.
func (in OneItem) which() (int64, error) {
	if in.All == (in.QID != 0) || in.QID < 0 {
		return 0, invalid("name one item by its number, or all", "no item %d", in.QID)
	}
	return in.QID, nil
}

// queued counts the messages of an account that wait.
func (o *Ops) queued(ctx context.Context, account int64) (n int, err error) {
	const page = 1000
	for after := int64(0); ; {
		entries, err := o.Queue.List(ctx, after, page)
		if err != nil {
			return n, err
		}
		for _, e := range entries {
			if e.Account == account {
				n++
			}
			after = e.QID
		}
		if len(entries) < page {
			return n, nil
		}
	}
}

// ParseQID reads a queue number as people write it: 17 or q17 or #17.
func ParseQID(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimLeft(text, "q#Q"), 10, 64)
	if err != nil || n <= 0 {
		return 0, invalid("`mailstead queue list` shows the numbers", "%q is not the number of a queue item", text)
	}
	return n, nil
}
