package backup

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"mailstead/internal/control"
	"mailstead/internal/machine"
)

// State is what there is to know of backups, for doctor and pages.
type State struct {
	Plan     control.BackupPlan // Dir is "" when nothing is set for the nights
	Good     time.Time          // when the last complete one began, where the plan wants them if there is one; zero: never
	Dir      string             // where that one is
	Problem  string             // what became of the last one there; "" when it is complete
	Missing  bool               // the folder of the plan is not there, or no backup folder: is its disk mounted?
	SameDisk bool               // the folder of the plan is on the disk with the data
}

// Age of the last complete backup; ok is false when there is none.
func (s State) Age() (age time.Duration, ok bool) {
	return time.Since(s.Good), !s.Good.IsZero()
}

// Status reads it. c is a running server or the stores; data is the data
// directory.
func Status(ctx context.Context, c control.Caller, data string) (State, error) {
	got, err := control.Call[control.BackupState](ctx, c, "backup.state", nil)
	if err != nil {
		return State{}, err
	}
	s := State{Plan: got.Plan, Good: got.Good.Began, Dir: got.Good.Dir, Problem: got.Last.Problem}
	if s.Plan.Dir != "" {
		s.Good, s.Dir = time.Time{}, ""
		if got.Night.Dir == s.Plan.Dir {
			s.Good, s.Dir = got.Night.Began, got.Night.Dir
		}
		if got.Last.Dir != s.Plan.Dir {
			s.Problem = ""
		}
		_, err := os.Stat(filepath.Join(s.Plan.Dir, markName))
		s.Missing = err != nil
		s.SameDisk = machine.SameDisk(s.Plan.Dir, data)
	}
	return s, nil
}
