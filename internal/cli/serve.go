package cli

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"mailstead/internal/app"
	"mailstead/internal/systemd"
)

type serveCommand struct{}

func (serveCommand) Help() string {
	return `Runs until it is told to stop (SIGTERM, Ctrl-C), then lets sessions finish for
ten seconds. Logs go to standard error.

Example:
  mailstead serve --config /etc/mailstead/mailstead.toml`
}

func (c *serveCommand) Run(p *program) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: level}))
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // of a larger heap half as much lies about
		defer runtime.KeepAlive(reckoned())
	}
	a, err := app.New(p.ctx, app.Options{Config: cfg, Log: log, Version: ReadVersion().Version, Manager: systemd.FromEnvironment(),
		Runtime: strings.Split(os.Getenv("RUNTIME_DIRECTORY"), ":")[0]})
	if err != nil {
		return explainOpen(err, cfg)
	}
	p.ends = append(p.ends, func() error { return a.Close(p.ctx) })
	if err := a.Listen(); err != nil {
		return err
	}
	return a.Run(p.ctx)
}

// reckoned is memory that nobody touches and that so takes none. The collector
// reckons with it and lets 1 MiB more lie about: the heap of this server is so
// small that it was collected every few dozen messages.
func reckoned() []byte { return make([]byte, 2<<20) }
