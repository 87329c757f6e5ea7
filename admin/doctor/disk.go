package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
)

const (
	mebi = 1 << 20
	gibi = 1 << 30
)

// Room on the disk: below lowRoom or a twentieth somebody should act; below
// noRoom new mail is put off (DESIGN: MAIL is refused under the size limit or
// 64 MiB).
const (
	lowRoom  = 2 * gibi
	noRoom   = 64 * mebi
	lowShare = 20
)

func (d *Doctor) checkDisk(context.Context) []check.Finding {
	const id = "host.disk"
	disk, err := d.Host.Disk(d.Config.Data)
	if err != nil {
		return one(unreadable(id, d.Config.Data, "The disk", err))
	}
	need := max(uint64(d.Config.Limit), noRoom)
	evidence := fmt.Sprintf("%s of %s are free on %s.", size(disk.Free), size(disk.Total), disk.Source)
	const fix = "Make room: delete large mail and empty Trash, remove old files beside ours, or move the data directory to a larger disk."
	switch {
	case disk.Free < need:
		return one(problem(id, d.Config.Data, "The disk is full: new mail is put off.", evidence, fix))
	case disk.Free < lowRoom && disk.Free < disk.Total/lowShare:
		return one(warning(id, d.Config.Data, "The disk is nearly full.", evidence, fix))
	}
	return one(ok(id, d.Config.Data, "There is room on the disk: "+size(disk.Free)+"."))
}

func (d *Doctor) checkInodes(context.Context) []check.Finding {
	const id = "host.inodes"
	disk, err := d.Host.Disk(d.Config.Data)
	if err != nil {
		return one(unreadable(id, d.Config.Data, "The disk", err))
	}
	evidence := fmt.Sprintf("%d of %d inodes are free on %s.", disk.InodeFree, disk.Inodes, disk.Source)
	const fix = "Each message is a file: remove many small files elsewhere on this disk, or move the data directory to a file system with more inodes."
	switch {
	case disk.Inodes == 0: // made on demand, as btrfs and xfs may say
	case disk.InodeFree < 1000:
		return one(problem(id, d.Config.Data, "The file system takes no further files: new mail is put off.", evidence, fix))
	case disk.InodeFree < disk.Inodes/lowShare && disk.InodeFree < 100_000:
		return one(warning(id, d.Config.Data, "The file system takes few further files.", evidence, fix))
	}
	return one(ok(id, d.Config.Data, "There is room for further files."))
}

// fileSystems that are not fit for the data directory, with the reason.
var fileSystems = map[string]struct{ severity, why string }{
	"nfs":      {"problem", "locks and syncs over a network do not hold what the store promises"},
	"nfs4":     {"problem", "locks and syncs over a network do not hold what the store promises"},
	"cifs":     {"problem", "locks and syncs over a network do not hold what the store promises"},
	"smb3":     {"problem", "locks and syncs over a network do not hold what the store promises"},
	"9p":       {"problem", "it passes on what another machine does, without a promise"},
	"virtiofs": {"warning", "it passes on what another machine does, without a promise"},
	"tmpfs":    {"problem", "it lives in memory: everything is gone at the next restart"},
	"ramfs":    {"problem", "it lives in memory: everything is gone at the next restart"},
	"overlay":  {"warning", "it is a container's own layer: everything is gone with the container"},
	"aufs":     {"warning", "it is a container's own layer: everything is gone with the container"},
	"vfat":     {"problem", "it knows neither owners nor links"},
	"exfat":    {"problem", "it knows neither owners nor links"},
	"msdos":    {"problem", "it knows neither owners nor links"},
	"fuseblk":  {"warning", "its promises depend on a program beside the kernel"},
	"ecryptfs": {"warning", "it shortens long names and syncs slowly"},
}

func (d *Doctor) checkFileSystem(context.Context) []check.Finding {
	const id = "host.filesystem"
	disk, err := d.Host.Disk(d.Config.Data)
	if err != nil {
		return one(unreadable(id, d.Config.Data, "The file system", err))
	}
	kind := disk.Kind
	if strings.HasPrefix(kind, "fuse.") {
		kind = "fuseblk"
	}
	const fix = "Put the data directory on a local disk with ext4, xfs, btrfs or zfs (in a container: on a volume)."
	bad, known := fileSystems[kind]
	switch sentence := fmt.Sprintf("The data directory is on %s: %s.", disk.Kind, bad.why); {
	case known && bad.severity == "problem":
		return one(problem(id, d.Config.Data, sentence, disk.Source, fix))
	case known:
		return one(warning(id, d.Config.Data, sentence, disk.Source, fix))
	case slices.Contains(disk.Options, "ro"):
		return one(problem(id, d.Config.Data, "The data directory is on a file system that is mounted for reading only.", disk.Source,
			"Look into the kernel's log (dmesg): a failing disk is often mounted so. Then mount it for writing."))
	}
	return one(ok(id, d.Config.Data, "The data directory is on "+disk.Kind+"."))
}

// A sync that is slower than slowSync is felt; no disk at all is faster than
// fastSync, so that it cannot have asked one.
const (
	syncs    = 9
	slowSync = 60 * time.Millisecond
	fastSync = 8 * time.Microsecond
)

func (d *Doctor) checkSync(ctx context.Context) []check.Finding {
	const id = "host.sync"
	times, err := d.Host.SyncTimes(ctx, d.Config.Data)
	if err != nil {
		return one(unreadable(id, d.Config.Data, "How the disk syncs", err))
	}
	if len(times) == 0 {
		return one(problem(id, d.Config.Data, "The disk did not finish one sync in time.", "", "Look into the kernel's log (dmesg) and check the disk."))
	}
	middle := times[len(times)/2]
	evidence := fmt.Sprintf("%d syncs took %v to %v, the middle one %v.", len(times), round(times[0]), round(times[len(times)-1]), round(middle))
	why := ""
	var options []string
	if d.Host.Disk != nil {
		disk, _ := d.Host.Disk(d.Config.Data)
		options = disk.Options
	}
	switch {
	case d.Host.Preloaded != nil && strings.Contains(d.Host.Preloaded(), "eatmydata"):
		why = "libeatmydata in /etc/ld.so.preload swallows it"
	case slices.Contains(options, "nobarrier") || slices.Contains(options, "barrier=0"):
		why = "the file system is mounted without barriers"
	case middle < fastSync:
		why = "it returns faster than any disk can answer"
	}
	if why != "" {
		return one(problem(id, d.Config.Data, "A sync does not reach the disk ("+why+"): mail that was accepted is lost when the power fails.", evidence,
			"Take the option or library away; on a virtual machine choose a disk cache mode that honours flushes (writethrough, none), not unsafe."))
	}
	if middle > slowSync {
		return one(warning(id, d.Config.Data, fmt.Sprintf("The disk needs %v for a sync, so that every message takes at least as long.", round(middle)), evidence,
			"Mail is safe, only slow. A disk of flash, or another class of disk at your provider, is faster."))
	}
	return one(ok(id, d.Config.Data, fmt.Sprintf("The disk syncs in %v.", round(middle))))
}

func round(t time.Duration) time.Duration {
	if t < time.Millisecond {
		return t.Round(time.Microsecond)
	}
	return t.Round(100 * time.Microsecond)
}

// openFiles is what the doors may need at once: DefaultMaxConns of two doors,
// and the store's own.
const openFiles = 8192

func (d *Doctor) checkFileLimit(context.Context) []check.Finding {
	const id = "host.files"
	n, err := d.Host.FileLimit()
	if err != nil {
		return one(unreadable(id, "", "The limit of open files", err))
	}
	if n < openFiles {
		return one(warning(id, "", fmt.Sprintf("Only %d files and connections may be open at once.", n), "",
			"Allow more: LimitNOFILE=65536 in the unit of the service, or ulimit -n 65536 before the server."))
	}
	return one(ok(id, "", fmt.Sprintf("%d files and connections may be open at once.", n)))
}

func (d *Doctor) checkMode(context.Context) []check.Finding {
	const id = "host.data"
	mode, err := d.Host.Mode(d.Config.Data)
	if err != nil {
		return one(unreadable(id, d.Config.Data, "The data directory", err))
	}
	if mode&0o077 != 0 {
		return one(problem(id, d.Config.Data, "Other users of this machine may look into the data directory.", fmt.Sprintf("Its mode is %04o.", mode),
			"chmod 700 "+d.Config.Data))
	}
	return one(ok(id, d.Config.Data, "Only the server's user may look into the data directory."))
}

// size writes bytes as people say them.
func size(n uint64) string {
	switch {
	case n >= gibi:
		return fmt.Sprintf("%.1f GiB", float64(n)/gibi)
	case n >= mebi:
		return fmt.Sprintf("%d MiB", n/mebi)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
