package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailstead/internal/trace"
	"mailstead/internal/world"
	"mailstead/mailbox"
)

// Step is one line of the self-check.
type Step struct {
	Name string // what a machine calls it
	do   func(*Demo, context.Context) (string, error)
}

// Steps are the self-check, in order. Each tells in plain words what it saw.
func Steps() []Step {
	return []Step{
		{"submit", (*Demo).submit},
		{"relay", (*Demo).relay},
		{"idle", (*Demo).idle},
		{"receive", (*Demo).receive},
		{"wake", (*Demo).wake},
		{"read", (*Demo).read},
		{"trace", (*Demo).explain},
		{"check", (*Demo).check},
	}
}

// Walk does one step within its time.
func (d *Demo) Walk(ctx context.Context, s Step) (told string, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	began := time.Now()
	told, err = s.do(d, ctx)
	return told, time.Since(began), err
}

// letter is a message of the walk.
type letter struct {
	id   string
	data []byte
}

func compose(from, to, subject, id string, extra ...string) letter {
	lines := append([]string{
		"From: " + from, "To: " + to, "Subject: " + subject, "Message-ID: <" + id + ">",
		"Date: " + time.Now().Format(time.RFC1123Z), "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
	}, extra...)
	text := strings.Join(lines, "\r\n") + "\r\n\r\nThis went all the way.\r\n.\r\nA line with a dot before it came too.\r\n"
	return letter{id, []byte(text)}
}

// submit: alice writes to a friend elsewhere, by implicit TLS on the submission port.
func (d *Demo) submit(ctx context.Context) (string, error) {
	d.sent = compose(d.People[0].Address, "friend@"+remote, "Hello from Mailstead", fmt.Sprintf("out-%d@%s", time.Now().UnixNano(), domain))
	reply, err := d.send(ctx, d.People[0], "friend@"+remote, d.sent.data)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("alice submits a message to friend@%s over TLS with her password: %s", remote, reply), nil
}

// relay: the queue looks up the MX and the remote MTA has the message.
func (d *Demo) relay(ctx context.Context) (string, error) {
	mails, err := d.friend.Wait(ctx, 1)
	if err != nil {
		return "", fmt.Errorf("nothing came to %s: %w", d.friend.Name, err)
	}
	mail := mails[len(mails)-1]
	switch {
	case d.world.Asked(remote) == 0:
		return "", errors.New("the MX was never looked up")
	case !bytes.Contains(mail.Data, d.sent.data):
		return "", errors.New("the remote MTA got other bytes than alice sent")
	case !mail.TLS:
		return "", errors.New("the message travelled in clear though STARTTLS was offered")
	}
	return fmt.Sprintf("the queue finds the MX of %s, and %s takes the message over STARTTLS", remote, d.friend.Name), nil
}

// idle: alice's mail program waits for mail.
func (d *Demo) idle(ctx context.Context) (string, error) {
	if err := d.alice.connect(ctx, d, d.People[0]); err != nil {
		return "", err
	}
	return "alice's mail program opens INBOX and goes into IDLE", d.alice.idle()
}

// receive: the friend answers on port 25.
func (d *Demo) receive(ctx context.Context) (string, error) {
	answer := compose("friend@"+remote, d.People[0].Address, "Re: Hello from Mailstead",
		fmt.Sprintf("back-%d@%s", time.Now().UnixNano(), remote), "In-Reply-To: <"+d.sent.id+">")
	replies, err := d.world.Send(ctx, d.App.Addr("smtp").String(), world.Letter{
		Helo: d.friend.Name, From: "friend@" + remote, To: []string{d.People[0].Address},
		Data: answer.data, StartTLS: true,
	})
	if err != nil {
		return "", err
	}
	d.sent = answer
	for _, reply := range replies {
		if strings.HasPrefix(reply, "250 2.0.0") {
			return fmt.Sprintf("the friend answers on port 25; checked, stored, synced: %s", reply), nil
		}
	}
	return "", fmt.Errorf("port 25 did not take the answer: %q", replies)
}

// wake: the idling client is told.
func (d *Demo) wake(ctx context.Context) (string, error) {
	n, err := d.alice.wake(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("alice's IDLE wakes: INBOX has %d", n), nil
}

// read: what she reads is what was sent.
func (d *Demo) read(ctx context.Context) (string, error) {
	got, err := d.alice.fetchLast()
	if err != nil {
		return "", err
	}
	if !bytes.HasSuffix(got, d.sent.data) {
		return "", fmt.Errorf("alice reads other bytes than were sent: %q", got)
	}
	return "she reads it, byte for byte as it was sent, under the fields of its way", nil
}

// explain: the message's story can be told.
func (d *Demo) explain(ctx context.Context) (string, error) {
	events, err := d.App.Trace.Find(ctx, trace.Query{Text: d.sent.id})
	if err != nil {
		return "", err
	}
	story := trace.Story(events)
	if len(story) == 0 {
		return "", errors.New("the answer left no trace")
	}
	return "the trace explains it:\n" + strings.Join(story, "\n"), nil
}

// check: nothing waits, and the store is whole.
func (d *Demo) check(ctx context.Context) (string, error) {
	// The remote MTA has the message a moment before the queue has noted it.
	for {
		counts, err := d.App.Queue.Counts(ctx)
		if err != nil {
			return "", err
		}
		if counts.Messages == 0 {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("%d messages still wait in the queue", counts.Messages)
		}
	}
	var faults []string
	err := d.App.Mail.Check(ctx, func(f mailbox.Finding) { faults = append(faults, f.Text) })
	if err != nil {
		return "", err
	}
	if len(faults) > 0 {
		return "", fmt.Errorf("the store is not whole: %s", strings.Join(faults, "; "))
	}
	return "nothing waits in the queue, and every message in the store is whole", nil
}
