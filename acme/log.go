package acme

import (
	"context"
	"log/slog"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge brings certmagic's log to slog. What it takes for news is the step of a
// machine here, so its levels go down by one; and that a certificate could not be
// had is said once, by us, in plain words.
type bridge struct {
	to     slog.Handler
	fields []zapcore.Field
}

func newZap(log *slog.Logger) *zap.Logger { return zap.New(&bridge{to: log.Handler()}) }

func level(l zapcore.Level, name string) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel && !strings.HasPrefix(name, "obtain") && !strings.HasPrefix(name, "renew"):
		return slog.LevelWarn
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core; certmagic's own debugging is never wanted.
func (b *bridge) Enabled(l zapcore.Level) bool {
	return l >= zapcore.InfoLevel && b.to.Enabled(context.Background(), level(l, ""))
}

// With implements zapcore.Core.
func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{to: b.to, fields: append(b.fields[:len(b.fields):len(b.fields)], fields...)}
}

// Check implements zapcore.Core.
func (b *bridge) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) && b.to.Enabled(context.Background(), level(e.Level, e.LoggerName)) {
		return ce.AddCore(e, b)
	}
	return ce
}

// Write implements zapcore.Core.
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	r := slog.NewRecord(e.Time, level(e.Level, e.LoggerName), "certmagic", 0)
	r.AddAttrs(slog.String("what", e.Message))
	for _, list := range [][]zapcore.Field{b.fields, fields} {
		for _, f := range list {
			f.AddTo(values)
			key := f.Key
			if key == "error" {
				key = "err"
			}
			if v, ok := values.Fields[f.Key]; ok {
				r.AddAttrs(slog.Any(key, v))
			}
		}
	}
	return b.to.Handle(context.Background(), r)
}

// Sync implements zapcore.Core.
func (b *bridge) Sync() error { return nil }
