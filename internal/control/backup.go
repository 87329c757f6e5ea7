package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"mailstead/internal/sqlite"
)

// BackupPlan is the setting "backup": what is done every night. It is known here
// because commands set it; admin/backup does it.
type BackupPlan struct {
	Dir        string   `json:"dir"`                  // "" for none
	Keep       int      `json:"keep,omitempty"`       // how many backups; 0 for all
	Recipients []string `json:"recipients,omitempty"` // age recipients; none: not encrypted
}

// BackupNote is what became of a backup; the setting "backup.last" is that of
// the last one, "backup.good" that of the last one that was completed, and
// "backup.night" that of the last one completed where the plan wants them.
type BackupNote struct {
	Dir      string    `json:"dir"`
	Name     string    `json:"name,omitempty"` // of the backup in Dir
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Messages int64     `json:"messages"`
	Bytes    int64     `json:"bytes"` // of all that it holds
	Problem  string    `json:"problem,omitempty"`
}

// BackupState is what is known of backups without looking at them.
type BackupState struct {
	Plan  BackupPlan `json:"plan"`
	Last  BackupNote `json:"last"`
	Good  BackupNote `json:"good"`
	Night BackupNote `json:"night"`
}

// The settings' names.
const (
	BackupSetting      = "backup"
	backupLastSetting  = "backup.last"
	backupGoodSetting  = "backup.good"
	backupNightSetting = "backup.night"
	backupKeySetting   = "backup.names" // keys the names of encrypted files
)

func (o *Ops) backupState(ctx context.Context, _ None) (s BackupState, err error) {
	for name, v := range map[string]any{BackupSetting: &s.Plan, backupLastSetting: &s.Last, backupGoodSetting: &s.Good, backupNightSetting: &s.Night} {
		if err := o.Accounts.Setting(ctx, name, v); err != nil {
			return s, err
		}
	}
	return s, nil
}

// backupPlan sets what is done every night, after it has tried whether the
// server may write there: its user and its sandbox are not those of the command.
func (o *Ops) backupPlan(ctx context.Context, in BackupPlan) (None, error) {
	if in.Dir != "" {
		if !filepath.IsAbs(in.Dir) {
			return None{}, invalid("give the whole path", "%q is not an absolute path", in.Dir)
		}
		f, err := os.CreateTemp(in.Dir, ".mailstead-*")
		if err != nil {
			return None{}, &Error{Kind: Failed, Text: fmt.Sprintf("the server cannot write into %s: %v", in.Dir, err),
				Next: "give the folder to the server's user, and name it in ReadWritePaths= of its systemd unit"}
		}
		f.Close()
		os.Remove(f.Name())
	}
	return None{}, o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if in.Dir == "" {
			return o.Accounts.SetSetting(tx, BackupSetting, nil)
		}
		return o.Accounts.SetSetting(tx, BackupSetting, in)
	})
}

func (o *Ops) backupNote(ctx context.Context, in BackupNote) (None, error) {
	return None{}, o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		var plan BackupPlan
		err := o.Accounts.SettingIn(tx, BackupSetting, &plan)
		if err == nil && in.Problem == "" {
			err = o.Accounts.SetSetting(tx, backupGoodSetting, in)
		}
		if err == nil && in.Problem == "" && in.Dir == plan.Dir {
			err = o.Accounts.SetSetting(tx, backupNightSetting, in)
		}
		if err != nil {
			return err
		}
		return o.Accounts.SetSetting(tx, backupLastSetting, in)
	})
}

// BackupHeld is the one line that the stream backup.hold writes: a copy of the
// database, in the data directory. Until the caller ends the stream it stays
// there, and so does every message file that it names.
type BackupHeld struct {
	Database string `json:"database"`
	Data     string `json:"data"`
	Names    []byte `json:"names"` // key of the names of encrypted files
	Version  string `json:"version"`
}

func (o *Ops) backupHold(ctx context.Context, _ None, r io.Reader, w io.Writer) error {
	key, err := o.backupKey(ctx)
	if err != nil {
		return err
	}
	// What is a file already need not be copied with the database every time.
	if err := o.Blobs.File(ctx); err != nil {
		return err
	}
	dir := filepath.Join(o.Data, "snapshots")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, holdPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	// First the hold: what the copy names may not go between the two.
	defer o.Blobs.Hold()()
	path := filepath.Join(tmp, "mailstead.db")
	if err := o.DB.Backup(ctx, path); err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(BackupHeld{Database: path, Data: o.Data, Names: key, Version: o.Version}); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, r)
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// holdPrefix begins the names of folders with copies that are being backed up.
const holdPrefix = "backup-"

// DropHeld removes the copies that a process which died left in a data directory.
// Its caller has just taken the lock.
func DropHeld(data string) error {
	old, err := filepath.Glob(filepath.Join(data, "snapshots", holdPrefix+"*"))
	for _, path := range old {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// backupKey gives the key that turns a message's hash into its name in an
// encrypted backup, so that a name says nothing about what the file holds.
func (o *Ops) backupKey(ctx context.Context) (key []byte, err error) {
	if err := o.Accounts.Setting(ctx, backupKeySetting, &key); err != nil || len(key) > 0 {
		return key, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		key = nil
		if err := o.Accounts.SettingIn(tx, backupKeySetting, &key); err != nil || len(key) > 0 {
			return err
		}
		key = fresh
		return o.Accounts.SetSetting(tx, backupKeySetting, key)
	})
	return key, err
}
