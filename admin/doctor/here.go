package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"mailstead/internal/machine"
)

// Here is the machine that we run on.
func Here() Host {
	var m machine.Machine
	return Host{
		Listeners: m.Listeners,
		Processes: m.Processes,
		Unit:      m.Unit,
		Self:      os.Getpid,
		Clock:     machine.ReadClock,
		Memory:    m.Memory,
		Disk:      func(dir string) (machine.Disk, error) { return m.Disk(present(dir)) },
		SyncTimes: func(ctx context.Context, dir string) ([]time.Duration, error) {
			return machine.SyncTimes(ctx, dir, syncs)
		},
		FileLimit: machine.FileLimit,
		Preloaded: m.Preloaded,
		Mode: func(path string) (uint32, error) {
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			return uint32(info.Mode().Perm()), nil
		},
		Addresses: machine.Addresses,
		Tool:      tool,
	}
}

// present is the directory, or the nearest one above that is there: before the
// set-up its disk is that on which it will be made.
func present(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" || dir == "." {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// tool runs a program that only reads, found where administrators' programs are
// whatever PATH says. This is not the way of any message.
func tool(ctx context.Context, name string, args ...string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%s: %w: %s", name, err, short(string(exit.Stderr), 200))
		}
		return string(out), err
	}
	return "", ErrNoTool
}
