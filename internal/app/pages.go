package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// shedPages lets go of the pages of the program's own file that only the start
// needed, and of what else was not used since: commands, first connections,
// tables of packages that serve never calls. They are clean, so that the kernel
// would drop them itself, but only once memory is short and somebody waits for
// it; and a machine of 512 MB is told from its memory in use, not from what could
// be given back. What is used comes back by itself, 64 KiB for half a microsecond.
func (a *App) shedPages(ctx context.Context) {
	for wait := time.Second; ; wait = time.Hour {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := shedFile(); err != nil {
			a.Log.Debug("pages of the program stay in memory", "err", err)
			return
		}
	}
}

// shedFile unmaps the pages of the program's code and constants; never those that
// can be written, whose content is nowhere else.
func shedFile() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	var errs []error
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uintptr
		var rights string
		line := lines.Text()
		n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights)
		if n != 3 || strings.Contains(rights, "w") || !strings.HasSuffix(line, " "+program) {
			continue
		}
		if _, _, no := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); no != 0 {
			errs = append(errs, fmt.Errorf("madvise: %w", no))
		}
	}
	return errors.Join(append(errs, lines.Err())...)
}
