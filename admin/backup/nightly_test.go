package backup

import (
	"testing"
	"time"

	"mailstead/internal/control"
)

func TestDue(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 30, 0, 0, time.Local) }
	plan := control.BackupPlan{Dir: "/d"}
	good := func(day, hour int) control.BackupNote {
		return control.BackupNote{Dir: "/d", Began: at(day, hour), Ended: at(day, hour)}
	}
	failed := control.BackupNote{Dir: "/d", Ended: at(10, 3), Problem: "full"}
	for name, c := range map[string]struct {
		state control.BackupState
		now   time.Time
		want  bool
	}{
		"nothing set":                 {control.BackupState{}, at(10, 3), false},
		"the first one, at once":      {control.BackupState{Plan: plan}, at(10, 15), true},
		"the next night":              {control.BackupState{Plan: plan, Night: good(9, 3)}, at(10, 3), true},
		"by day not":                  {control.BackupState{Plan: plan, Night: good(9, 3)}, at(10, 14), false},
		"the same night not again":    {control.BackupState{Plan: plan, Night: good(10, 2)}, at(10, 4), false},
		"set in the evening":          {control.BackupState{Plan: plan, Night: good(9, 20)}, at(10, 3), false},
		"the machine was off":         {control.BackupState{Plan: plan, Night: good(8, 3)}, at(9, 18), true},
		"another folder now":          {control.BackupState{Plan: control.BackupPlan{Dir: "/e"}, Night: good(10, 3)}, at(10, 14), true},
		"another failed elsewhere":    {control.BackupState{Plan: plan, Night: good(5, 3), Last: control.BackupNote{Dir: "/e", Ended: at(10, 3), Problem: "full"}}, at(10, 4), true},
		"it failed a moment ago":      {control.BackupState{Plan: plan, Night: good(5, 3), Last: failed}, at(10, 4), false},
		"it failed some hours ago":    {control.BackupState{Plan: plan, Night: good(5, 3), Last: failed}, at(10, 7), true},
		"the clock was ahead":         {control.BackupState{Plan: plan, Night: good(28, 3)}, at(10, 14), true},
		"it failed under that clock":  {control.BackupState{Plan: plan, Night: good(5, 3), Last: control.BackupNote{Dir: "/d", Ended: at(28, 3), Problem: "full"}}, at(10, 3), true},
		"one by hand counts as today": {control.BackupState{Plan: plan, Night: good(9, 23)}, at(10, 5), false},
	} {
		if got := due(c.state, c.now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
