package trace

import (
	"fmt"
	"strings"

	"mailstead/internal/maillog"
)

const clock = "2006-01-02 15:04:05"

// Story tells one message's events in plain words: what came, what was
// checked, what was decided and why, and in its last line where it is now.
func Story(events []maillog.Event) []string {
	if len(events) == 0 {
		return nil
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Time.Format(clock)+"  "+sentence(e))
	}
	if now := whereNow(events); now != "" {
		lines = append(lines, "Now: "+now)
	}
	return lines
}

// sentence tells one event.
func sentence(e maillog.Event) string {
	var b strings.Builder
	switch e.Kind {
	case maillog.Received, maillog.Submitted:
		came(&b, e)
	case maillog.Refused:
		fmt.Fprintf(&b, "Refused what %s wanted to send%s.", from(e), prefixed(" to ", e.Rcpt))
	case maillog.Queued:
		fmt.Fprintf(&b, "Waits in the queue as %d%s.", e.QID, prefixed(" for ", e.Rcpt))
	case maillog.Delivered:
		fmt.Fprintf(&b, "Put into %s%s.", or(e.Mailbox, "the mailbox"), prefixed(" of ", e.Rcpt))
	case maillog.Appended:
		fmt.Fprintf(&b, "Put into %s by a mail program.", or(e.Mailbox, "the mailbox"))
	case maillog.Relayed:
		fmt.Fprintf(&b, "Handed over for %s to %s.", or(e.Rcpt, "its recipient"), other(e))
	case maillog.Deferred:
		fmt.Fprintf(&b, "Not delivered to %s yet%s.", or(e.Rcpt, "its recipient"), prefixed(", by ", e.Host))
	case maillog.Failed:
		fmt.Fprintf(&b, "Given up for %s.", or(e.Rcpt, "its recipient"))
	case maillog.Reported:
		fmt.Fprintf(&b, "A report was sent to %s.", or(e.Rcpt, "nobody"))
	case maillog.Deleted:
		fmt.Fprintf(&b, "Taken out of the queue%s by the operator.", prefixed(" for ", e.Rcpt))
	case maillog.Login:
		if e.Account != 0 {
			fmt.Fprintf(&b, "%s logged in from %s.", or(e.Rcpt, fmt.Sprintf("Account %d", e.Account)), other(e))
		} else {
			fmt.Fprintf(&b, "A login as %s from %s was refused.", or(e.Rcpt, "nobody"), other(e))
		}
	default:
		fmt.Fprintf(&b, "%s%s%s.", strings.ToUpper(e.Kind[:min(1, len(e.Kind))]), e.Kind[min(1, len(e.Kind)):],
			prefixed(" for ", e.Rcpt))
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " Why: %s.", strings.TrimRight(clean(e.Reason), "."))
	}
	if e.Reply != "" {
		who := "They said"
		switch e.Kind {
		case maillog.Received, maillog.Submitted, maillog.Refused, maillog.Login:
			who = "We said"
		}
		fmt.Fprintf(&b, " %s: “%s”.", who, clean(e.Reply))
	}
	if !e.Next.IsZero() {
		fmt.Fprintf(&b, " Next attempt at %s.", e.Next.Format(clock))
	}
	if e.Err != "" {
		fmt.Fprintf(&b, " Something went wrong on our side: %s.", clean(e.Err))
	}
	return b.String()
}

func came(b *strings.Builder, e maillog.Event) {
	verb := "sent"
	if e.Kind == maillog.Submitted {
		verb = "submitted"
	}
	fmt.Fprintf(b, "%s %s", from(e), verb)
	if e.MessageID != "" {
		fmt.Fprintf(b, " <%s>", clean(e.MessageID))
	}
	b.WriteString(prefixed(" to ", e.Rcpt))
	if e.Host != "" || e.Remote.IsValid() {
		fmt.Fprintf(b, " from %s", other(e))
	}
	if e.Size > 0 {
		fmt.Fprintf(b, " (%d bytes)", e.Size)
	}
	if e.MID != "" {
		fmt.Fprintf(b, "; accepted as %s", clean(e.MID))
	}
	b.WriteString(".")
}

func from(e maillog.Event) string {
	switch {
	case e.ReversePath != "":
		return clean(e.ReversePath)
	case e.Kind == maillog.Refused && (e.Host != "" || e.Remote.IsValid()):
		return other(e)
	}
	return "The null sender"
}

// other names the other side.
func other(e maillog.Event) string {
	switch {
	case e.Host != "":
		return clean(e.Host)
	case e.Remote.IsValid():
		return e.Remote.String()
	}
	return "another server"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return clean(s)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + clean(s)
}

// whereNow takes each recipient's last word.
func whereNow(events []maillog.Event) string {
	var order []string
	last := make(map[string]string)
	for _, e := range events {
		var is string
		switch e.Kind {
		case maillog.Delivered:
			is = fmt.Sprintf("it is in %s of %s", or(e.Mailbox, "the mailbox"), or(e.Rcpt, "its recipient"))
		case maillog.Relayed:
			is = fmt.Sprintf("%s has it for %s", other(e), or(e.Rcpt, "its recipient"))
		case maillog.Queued:
			is = "it waits for " + or(e.Rcpt, "its recipient")
		case maillog.Deferred:
			is = "it waits for " + or(e.Rcpt, "its recipient")
			if !e.Next.IsZero() {
				is += " until " + e.Next.Format(clock)
			}
		case maillog.Failed:
			is = "it will not reach " + or(e.Rcpt, "its recipient")
		case maillog.Deleted:
			is = "it was taken out of the queue for " + or(e.Rcpt, "its recipient")
		case maillog.Refused:
			is = "we do not have it; the sending server keeps it or tells its sender"
		default:
			continue
		}
		if _, ok := last[e.Rcpt]; !ok {
			order = append(order, e.Rcpt)
		}
		last[e.Rcpt] = is
	}
	var all []string
	for _, rcpt := range order {
		all = append(all, last[rcpt])
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "; ") + "."
}
