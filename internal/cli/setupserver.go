package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
)

// setupServer gives set-up a server: the one that runs; else that of the
// package's unit, enabled and started; else one in this process, which ends with
// set-up; else, where its ports cannot be had, the stores alone.
type setupServer struct {
	p        *program
	separate bool // another process
	cfg      config.Config
	client   *control.Client
	own      *app.App
	stop     context.CancelFunc
	ended    chan error
	end      func() error
}

const unit = "mailstead.service"

// Start implements setup.Server.
func (s *setupServer) Start(ctx context.Context, cfg config.Config) (control.Caller, string, error) {
	s.cfg = cfg
	client, err := control.Dial(ctx, cfg.Data)
	switch {
	case err == nil:
		return s.running(ctx, client)
	case !errors.Is(err, control.ErrNoServer):
		return nil, "", err
	case s.managed(ctx):
		if client, err = s.startUnit(ctx); err == nil {
			s.client, s.separate = client, true
			return client, "the service mailstead, now and after every start of the machine", nil
		}
	default:
		err = nil
	}
	caller, by, own := s.startHere(ctx)
	if caller == nil {
		return nil, "", own
	}
	return caller, by, errors.Join(err, own)
}

// running takes the server that is there, by the configuration as it is now.
func (s *setupServer) running(ctx context.Context, client *control.Client) (control.Caller, string, error) {
	s.client, s.separate = client, true
	st, err := control.Call[control.Status](ctx, client, "status", nil)
	if err != nil || st.Hostname == s.cfg.Hostname {
		return client, "it did so before", err
	}
	if !s.managed(ctx) {
		return client, "it did so before", hinted{fmt.Errorf("the running server calls itself %s, not %s", st.Hostname, s.cfg.Hostname), "restart it"}
	}
	again, err := s.startUnit(ctx)
	if err != nil {
		return client, "it did so before", err
	}
	client.Close()
	s.client = again
	return again, "the service mailstead, restarted by its new name", nil
}

// managed tells whether the package's unit runs the server of this configuration,
// and is ours to start.
func (s *setupServer) managed(ctx context.Context) bool {
	if os.Geteuid() != 0 || s.p.flags.ConfigFile != "" && s.p.flags.ConfigFile != config.Path || s.p.flags.Data != "" {
		return false
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return false
	}
	return exec.CommandContext(ctx, "systemctl", "cat", unit).Run() == nil
}

// startUnit enables it, starts it anew, and waits for its socket.
func (s *setupServer) startUnit(ctx context.Context) (*control.Client, error) {
	if err := app.HandOver(s.cfg.Data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, args := range [][]string{{"enable", unit}, {"restart", unit}} {
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, "systemctl", args...)
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil {
			return nil, hinted{fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String())),
				"`journalctl -u mailstead -n 20` says why"}
		}
	}
	for end := time.Now().Add(30 * time.Second); ; {
		client, err := control.Dial(ctx, s.cfg.Data)
		if err == nil {
			return client, nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return nil, hinted{fmt.Errorf("the service was started and does not answer: %w", err), "`journalctl -u mailstead -n 20` says why"}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// startHere runs a server in this process.
func (s *setupServer) startHere(ctx context.Context) (control.Caller, string, error) {
	log := slog.New(slog.DiscardHandler) // what matters is told as findings
	a, err := app.New(ctx, app.Options{Config: s.cfg, Log: log, Version: ReadVersion().Version})
	if err == nil {
		if err = a.Listen(); err == nil {
			run, stop := context.WithCancel(context.WithoutCancel(ctx))
			s.own, s.stop, s.ended = a, stop, make(chan error, 1)
			go func() { s.ended <- a.Run(run) }()
			if s.client, err = control.Dial(ctx, s.cfg.Data); err == nil {
				return s.client, "here, as long as set-up does", nil
			}
			return nil, "", errors.Join(err, s.Close(ctx))
		}
		err = errors.Join(err, a.Close(ctx))
	}
	var port *app.PortError
	if !errors.As(err, &port) {
		return nil, "", explainOpen(err, s.cfg)
	}
	ops, end, e := offline(ctx, s.cfg)
	if e != nil {
		return nil, "", e
	}
	s.end = end
	return ops, "", err
}

// Close implements setup.Server.
func (s *setupServer) Close(ctx context.Context) (err error) {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
	if s.own != nil {
		s.stop()
		err = errors.Join(<-s.ended, s.own.Close(ctx), app.HandOver(s.cfg.Data))
		s.own = nil
	}
	if s.end != nil {
		err = errors.Join(err, s.end())
		s.end = nil
	}
	return err
}

// keep tells how the server goes on after set-up.
func (s *setupServer) keep() string {
	if s.separate {
		return ""
	}
	command := "mailstead serve"
	if s.p.flags.ConfigFile != "" {
		command += " --config " + s.cfg.File
	}
	return "The server ends with this command. Keep it running: `" + command + "`, or install the package, whose service does."
}
