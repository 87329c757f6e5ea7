package maillog

import (
	"context"
	"log/slog"
)

// maxValue bounds what one event can add to the log under one key.
const maxValue = 512

// Log is a Sink that writes one line an event, with the fixed keys. Events
// hold no credentials; text from outside is cleaned.
type Log struct{ Logger *slog.Logger }

// Record implements Sink. An event with Err is a warning. Where an accepted
// message was put at once is in the trace; its line in the log is that of its
// coming.
func (l Log) Record(e Event) {
	level := slog.LevelInfo
	switch {
	case e.Err != "":
		level = slog.LevelWarn
	case e.Kind == Delivered && e.Kept && e.QID == 0:
		level = slog.LevelDebug
	}
	ctx := context.Background()
	if !l.Logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, Clean(value, maxValue)))
		}
	}
	number := func(key string, value int64) {
		if value != 0 {
			attrs = append(attrs, slog.Int64(key, value))
		}
	}
	text("cid", e.CID)
	text("mid", e.MID)
	number("qid", e.QID)
	number("account", e.Account)
	text("mailbox", e.Mailbox)
	number("uid", int64(e.UID))
	if e.Remote.IsValid() {
		attrs = append(attrs, slog.String("remote", e.Remote.String()))
	}
	text("host", e.Host)
	text("reverse_path", e.ReversePath)
	text("rcpt", e.Rcpt)
	text("message_id", e.MessageID)
	number("size", e.Size)
	text("reply", e.Reply)
	text("reason", e.Reason)
	if e.Dur != 0 {
		attrs = append(attrs, slog.Duration("dur", e.Dur))
	}
	if !e.Next.IsZero() {
		attrs = append(attrs, slog.Time("next", e.Next))
	}
	text("err", e.Err)
	l.Logger.LogAttrs(ctx, level, e.Kind, attrs...)
}
