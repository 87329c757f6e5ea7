package imap

import (
	"context"
	"strings"
	"time"

	"mailstead/internal/listen"
)

// idle is IDLE (RFC 2177): the client waits, we tell what happens, until DONE.
// One goroutine waits for the client's line; all else stays with this one.
func (s *session) idle() run {
	return func(ctx context.Context) (reply, error) {
		watch := s.srv.Mailboxes.Watch(s.account.ID)
		defer watch.Close()
		// Whatever was committed before the watch began shows now.
		if err := s.sync(ctx, all, nil); err != nil {
			return reply{}, err
		}
		s.w.Str("+ idling\r\n")
		if err := s.w.Flush(); err != nil {
			return reply{}, err
		}
		if s.r.Buffered() == 0 {
			s.r.Release()
		}
		s.conn.SetTimeout(idleTimeout)
		defer s.conn.SetTimeout(workTimeout)
		done := make(chan error, 1)
		go func() { done <- s.awaitDone() }()
		tick := time.NewTicker(keepalive)
		defer tick.Stop()
		for {
			var err error
			select {
			case err := <-done:
				return reply{text: "IDLE ended"}, err
			case <-s.ctx.Done():
				s.farewell(listen.ErrShutdown)
				err = errBye
			case <-watch.C:
				watch.Take()
				err = s.sync(ctx, all, nil)
			case <-tick.C:
				s.w.Str("* OK still here\r\n")
			}
			if err == nil {
				err = s.w.Flush()
			}
			if err != nil {
				s.conn.Close() // wakes the reader
				<-done
				return reply{}, errBye
			}
		}
	}
}

func (s *session) awaitDone() error {
	line, err := s.r.NextLine(loginBudget)
	if err != nil {
		return err
	}
	if !strings.EqualFold(string(line), "DONE") {
		return bad("DONE expected")
	}
	return nil
}
