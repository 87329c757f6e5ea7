package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailstead/internal/control"
)

// When the nightly backup is made: in the quiet hours, or whenever the last one
// is more than a day and a half old (the machine was off, the disk away); after
// a failure not at once again.
const (
	quietFrom   = 2
	quietUntil  = 6
	notBefore   = 18 * time.Hour
	atLatest    = 36 * time.Hour
	afterFailed = 3 * time.Hour
)

// due tells whether the nightly backup is to be made now.
func due(s control.BackupState, now time.Time) bool {
	if s.Plan.Dir == "" {
		return false
	}
	ago := now.Sub(s.Last.Ended)
	if s.Last.Problem != "" && s.Last.Dir == s.Plan.Dir && 0 <= ago && ago < afterFailed {
		return false
	}
	since := now.Sub(s.Night.Began)
	if s.Night.Dir != s.Plan.Dir || since < 0 {
		since = atLatest // the first into this folder, or one of a clock that was wrong
	}
	hour := now.Local().Hour()
	return since >= atLatest || since >= notBefore && hour >= quietFrom && hour < quietUntil
}

// Nightly makes the backup that the setting asks for, when it is time. It is a
// job: call it every quarter of an hour.
func Nightly(ctx context.Context, c control.Caller, config string) error {
	s, err := control.Call[control.BackupState](ctx, c, "backup.state", nil)
	if err != nil || !due(s, time.Now()) {
		return err
	}
	// A disk that is not mounted leaves an empty folder, and nobody wants the
	// disk below it filled.
	if _, err := os.Stat(filepath.Join(s.Plan.Dir, markName)); errors.Is(err, fs.ErrNotExist) {
		now := time.Now().UTC()
		p := &Problem{Text: s.Plan.Dir + " is no folder of backups", Next: "is its disk mounted?"}
		note := control.BackupNote{Dir: s.Plan.Dir, Began: now, Ended: now, Problem: p.Error()}
		return errors.Join(p, c.Do(ctx, "backup.note", note, nil))
	}
	_, err = Take(ctx, c, Options{
		Dir: s.Plan.Dir, Keys: Keys{Recipients: s.Plan.Recipients}, Config: config, Keep: s.Plan.Keep,
	})
	return err
}

// Plan sets what is made every night; an empty Dir ends it. The folder is made a
// folder of backups, and given to the owner of the data directory, who the server
// runs as. Of a passphrase the server is told the public half alone.
func Plan(ctx context.Context, c control.Caller, p control.BackupPlan, keys Keys, data string) error {
	if p.Dir != "" {
		v, err := newVault(p.Dir, keys)
		if err != nil {
			return err
		}
		defer v.close()
		p.Recipients = v.seal.public
		if err := v.handOver(data); err != nil {
			return err
		}
	}
	return c.Do(ctx, "backup.plan", p, nil)
}

// handOver gives a folder that root has made to the owner of the data directory.
func (v *vault) handOver(data string) error {
	info, err := os.Stat(data)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	uid, gid := owner(info)
	if uid <= 0 {
		return nil
	}
	return filepath.WalkDir(v.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
