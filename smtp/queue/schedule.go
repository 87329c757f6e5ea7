package queue

import (
	"math/rand/v2"
	"time"
)

// Schedule is when a message is tried again, and for how long.
type Schedule struct {
	Steps  []time.Duration // pauses after the first, second, … attempt; the last one repeats
	Jitter float64         // share by which a pause is varied, so that retries do not march in step
	Warn   time.Duration   // age at which the sender is told of the delay
	Expire time.Duration   // age at which the message is given up
}

// DefaultSchedule tries early, because greylisting ends after minutes, and
// then ever more rarely: RFC 5321, 4.5.4.1 asks for 30 minutes between
// attempts in the long run, and for 4 to 5 days in all.
func DefaultSchedule() Schedule {
	return Schedule{
		Steps: []time.Duration{
			time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
			time.Hour, 2 * time.Hour, 4 * time.Hour,
		},
		Jitter: 0.15,
		Warn:   4 * time.Hour,
		Expire: 5 * 24 * time.Hour,
	}
}

// next gives the time of the next attempt after the given number of them. The
// last attempt is made at the moment of expiry; false means that it was made.
func (s Schedule) next(attempts int, created, now time.Time) (time.Time, bool) {
	expires := created.Add(s.Expire)
	if !now.Before(expires) {
		return time.Time{}, false
	}
	pause := s.Steps[min(max(attempts, 1), len(s.Steps))-1]
	pause += time.Duration((rand.Float64()*2 - 1) * s.Jitter * float64(pause))
	at := now.Add(pause)
	if warn := created.Add(s.Warn); now.Before(warn) && at.After(warn) {
		at = warn // an attempt then, so that the sender is told in time, and of the newest reason
	}
	if at.After(expires) {
		at = expires
	}
	return at, true
}
