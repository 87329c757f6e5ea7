package queue

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"mailstead/message"
)

func TestReports(t *testing.T) {
	const never, success, failure, delay = message.NotifyNever, message.NotifySuccess, message.NotifyFailure, message.NotifyDelay
	set := func(n message.Notify) func(*Message) {
		return func(m *Message) { m.Envelope.Recipients[0].Notify = n }
	}
	for _, tt := range []struct {
		name   string
		change func(*Message)
		action message.Action
		want   string // part of the DSN, "" for none
	}{
		{"failure, no NOTIFY", nil, message.Failed, "Action: failed\r\n"},
		{"failure, FAILURE", set(failure), message.Failed, "Action: failed\r\n"},
		{"failure, NEVER", set(never), message.Failed, ""},
		{"failure, SUCCESS", set(success), message.Failed, ""},
		{"success, no NOTIFY", nil, message.Relayed, ""},
		{"success, SUCCESS", set(success), message.Relayed, "Action: relayed\r\n"},
		{"local success, SUCCESS", set(success), message.Delivered, "Action: delivered\r\n"},
		{"failure of a null reverse-path", func(m *Message) { m.Envelope.ReversePath = message.Address{} }, message.Failed, ""},
		{"failure of a forged reverse-path", func(m *Message) { m.Account = 0 }, message.Failed, ""},
		{"failure of a proven reverse-path", func(m *Message) { m.Account, m.Verified = 0, true }, message.Failed, "Action: failed\r\n"},
		{"RET=FULL", func(m *Message) { m.Envelope.Return = "FULL" }, message.Failed, "\r\nbody\r\n"},
		{"ENVID", func(m *Message) { m.Envelope.EnvID = "a+2Bb" }, message.Failed, "Original-Envelope-Id: a+b\r\n"},
		{"ORCPT", func(m *Message) { m.Envelope.Recipients[0].Original = "rfc822;x+2By@b.test" }, message.Failed,
			"Original-Recipient: rfc822; x+y@b.test\r\n"},
		{"delay before its time", set(delay), message.Delayed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, b *bench) {
				b.f.say("bob", tt.action, "5.1.1", "550 5.1.1 no bob")
				b.add(tt.change, "bob@b.test")
				synctest.Wait()
				var reports []string
				for i, s := range b.f.taken() {
					if s == "ann@us.test" {
						reports = append(reports, b.f.texts[i])
					}
				}
				switch {
				case tt.want == "" && len(reports) > 0:
					t.Errorf("a DSN was sent:\n%s", reports[0])
				case tt.want != "" && (len(reports) != 1 || !strings.Contains(reports[0], tt.want)):
					t.Errorf("%d DSNs, want %q in\n%s", len(reports), tt.want, strings.Join(reports, "\n----\n"))
				}
				if tt.name != "RET=FULL" && len(reports) > 0 && strings.Contains(reports[0], "\r\nbody\r\n") {
					t.Error("the body was returned unasked")
				}
			})
		})
	}
}

// TestFailingReportEndsThere: a DSN that cannot be delivered causes no other.
func TestFailingReportEndsThere(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		b.f.say("bob", message.Failed, "5.1.1", "550 no")
		b.f.say("ann", message.Failed, "5.1.1", "550 no")
		b.add(nil, "bob@b.test")
		synctest.Wait()
		if got := b.f.taken(); len(got) != 2 || b.left().Messages != 0 {
			t.Error(got, b.left())
		}
	})
}

// TestReportsAreSigned by the keys of the host's domain; without a signature
// they leave all the same.
func TestReportsAreSigned(t *testing.T) {
	for _, want := range []string{"DKIM-Signature: of us\r\n", ""} {
		var author message.Domain
		o := Options{Sign: func(_ context.Context, d message.Domain, r io.ReaderAt, size int64) ([]byte, error) {
			author = d
			if want == "" {
				return nil, errors.New("no keys today")
			}
			return []byte(want), nil
		}}
		bubble(t, o, func(t *testing.T, b *bench) {
			b.f.say("bob", message.Failed, "5.1.1", "550 no")
			b.add(nil, "bob@b.test")
			synctest.Wait()
			b.f.taken()
			if last := b.f.texts[len(b.f.texts)-1]; !strings.HasPrefix(last, want+"From: ") || author != message.Domain(b.q.o.Hostname) {
				t.Errorf("author %s:\n%s", author, last)
			}
		})
	}
}
