package setup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mailstead/dns/check"
	"mailstead/internal/control"
	"mailstead/internal/machine"
)

func backupStep() Step {
	return Step{
		ID: "backup", Title: "Backups",
		Look: func(ctx context.Context, r *Run) {
			s, err := control.Call[control.BackupState](ctx, r.caller, "backup.state", nil)
			if r.disks = nil; err == nil && s.Plan.Dir == "" {
				r.disks = otherDisks(r.o.Config.Data)
			}
		},
		Questions: []Question{{
			Key: "backup", Kind: Text, Example: "/mnt/disk/mailstead",
			Title:   "Another disk is there: where shall a backup be made every night?",
			Help:    "Name the folder; empty for none.",
			When:    func(r *Run) bool { return len(r.disks) > 0 },
			Default: func(*Run) string { return "" },
			Heading: func(r *Run) (string, string, bool) {
				return "Shall a backup be made every night on another disk?", "There is one at " + strings.Join(r.disks, ", ") + ". Name a folder on it, such as " +
					filepath.Join(r.disks[0], "mailstead") + "; leave it empty for none.", true
			},
			Check: func(_ *Run, text string) (string, error) {
				if text != "" && !filepath.IsAbs(text) {
					return "", mistake("it begins with a /", "%q is not the whole path of a folder.", text)
				}
				return text, nil
			},
		}},
		Do: planBackup,
	}
}

// otherDisks are where people mount disks of their own.
func otherDisks(data string) (list []string) {
	all, err := machine.Machine{}.Mounts()
	if err != nil {
		return nil
	}
	for _, m := range all {
		place := slices.ContainsFunc([]string{"/mnt", "/media", "/backup"}, func(top string) bool { return m.At == top || strings.HasPrefix(m.At, top+"/") })
		if place && strings.HasPrefix(m.Source, "/dev/") && !m.ReadOnly && !machine.SameDisk(m.At, data) {
			list = append(list, m.At)
		}
	}
	return list
}

func planBackup(ctx context.Context, r *Run) (res Result, err error) {
	dir := r.Answer("backup")
	if dir == "" {
		s, err := control.Call[control.BackupState](ctx, r.caller, "backup.state", nil)
		if err == nil && s.Plan.Dir != "" {
			res.Lines = []string{"Every night into " + s.Plan.Dir + "."}
		} else {
			res.Lines = []string{"None yet: `mailstead backup --every-night DIR`, with another disk."}
		}
		return res, nil
	}
	if err := makeFolder(dir, r.o.Config.Data); err != nil {
		return res, err
	}
	if err := r.caller.Do(ctx, "backup.plan", control.BackupPlan{Dir: dir}, nil); err != nil {
		return res, err
	}
	res.Lines = []string{"Every night into " + dir + "; `mailstead backup " + dir + "` makes one now."}
	if machine.SameDisk(dir, r.o.Config.Data) {
		res.Findings = []check.Finding{{ID: "setup.backup", Subject: dir, Severity: check.Warning, Sentence: dir + " is on the disk that the mail is on: what takes one takes the other.",
			Fix: "`mailstead backup --every-night DIR` with another disk."}}
	}
	return res, nil
}

// makeFolder makes it for the server's user, where it is not there yet.
func makeFolder(dir, data string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(data)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	return os.Chown(dir, int(st.Uid), int(st.Gid))
}
