package message

import "strings"

// subject says the worst that happened.
func (d *DSN) subject() string {
	count := map[Action]int{}
	for _, r := range d.Recipients {
		count[r.Action]++
	}
	switch n := len(d.Recipients); {
	case count[Failed] == n && n > 0:
		return "Your message could not be delivered"
	case count[Failed] > 0:
		return "Your message could not be delivered to everybody"
	case count[Delayed] > 0:
		return "Your message is delayed"
	case count[Delivered] == n:
		return "Your message was delivered"
	}
	return "Your message was passed on"
}

// text is the part for people: what happened to which message, for whom, why,
// and what comes next.
func (d *DSN) text(original Header) string {
	var b strings.Builder
	b.WriteString("This is the mail server " + traceName(d.ReportingMTA) + ".\n\nIt is about this message of yours:\n\n")
	if s := DecodeText(original.Get("Subject")); s != "" {
		b.WriteString("    Subject: " + clipText(oneSpace(s), 200) + "\n")
	}
	if s := original.Get("Date"); s != "" {
		b.WriteString("    Sent:    " + clipText(oneSpace(DecodeText(s)), 80) + "\n")
	} else if !d.Arrival.IsZero() {
		b.WriteString("    Came:    " + FormatDate(d.Arrival) + "\n")
	}
	for _, group := range [...]struct {
		action      Action
		head, after string
	}{
		{Failed, "It could not be delivered to:", "Nothing more will be tried for them. To send it again, correct what is said\nabove, or reach them another way first."},
		{Delayed, "It is still waiting to be delivered to:", "You need not do anything: it will be tried again."},
		{Delivered, "It was delivered to:", ""},
		{Relayed, "It was passed on to a server that reports no further, for:", ""},
		{Expanded, "It was passed on to the members of:", ""},
	} {
		d.group(&b, group.action, group.head, group.after)
	}
	return b.String()
}

func (d *DSN) group(b *strings.Builder, action Action, head, after string) {
	some := false
	for _, r := range d.Recipients {
		if r.Action != action {
			continue
		}
		if !some {
			b.WriteString("\n" + head + "\n")
			some = true
		}
		b.WriteString("\n    " + r.Final.Unicode() + "\n")
		if r.Reason != "" {
			b.WriteString("        " + oneLine(r.Reason) + "\n")
		}
		switch {
		case r.Diagnostic != "" && r.RemoteMTA != "":
			b.WriteString("        " + oneLine(r.RemoteMTA) + " said: " + oneLine(r.Diagnostic) + "\n")
		case r.Diagnostic != "" && r.Diagnostic != r.Reason:
			b.WriteString("        " + oneLine(r.Diagnostic) + "\n")
		}
		if action == Delayed && !r.RetryUntil.IsZero() {
			b.WriteString("        It will be tried until " + r.RetryUntil.Format("Monday, 2 January 2006, 15:04 MST") + ".\n")
		}
	}
	if some && after != "" {
		b.WriteString("\n" + after + "\n")
	}
}

func oneLine(s string) string {
	return clipText(strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " "), 900)
}
