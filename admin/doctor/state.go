package doctor

import (
	"context"
	"fmt"
	"time"

	"mailstead/dns/check"
)

// A clock may be off so much before others mind: signatures, certificates and
// one-time codes are checked to minutes.
const clockError = 2 * time.Second

// built is before any release: a clock that says less is wrong.
var built = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func (d *Doctor) checkClock(context.Context) []check.Finding {
	const id, fix = "host.clock", "timedatectl set-ntp true (or: apt install chrony)"
	c, err := d.Host.Clock()
	switch {
	case c.Now.Before(built):
		return one(problem(id, "", fmt.Sprintf("The clock says %s, which cannot be.", c.Now.Format(time.DateOnly)), "", fix))
	case err != nil:
		return one(unreadable(id, "", "Whether the clock is synchronised", err))
	case !c.Synchronised:
		return one(warning(id, "", "Nothing keeps the clock right: signatures, certificates and codes fail when it drifts.",
			"The kernel says that the clock is not synchronised.", fix))
	case c.Error > clockError:
		return one(warning(id, "", fmt.Sprintf("The clock may be off by %v.", c.Error.Round(time.Second)), "The kernel's own estimate.", fix))
	}
	return one(ok(id, "", "The clock is kept right."))
}

// Memory: the server takes 25 to 50 MiB; the system around it needs the rest.
const (
	littleMemory    = 200 * mebi
	littleAvailable = 48 * mebi
	needsSwap       = 1000 * mebi
)

func (d *Doctor) checkMemory(context.Context) []check.Finding {
	const id = "host.memory"
	m, err := d.Host.Memory()
	if err != nil {
		return one(unreadable(id, "", "The memory", err))
	}
	evidence := fmt.Sprintf("%s of memory, %s of it available, %s of swap.", size(m.Total), size(m.Available), size(m.Swap))
	switch {
	case m.Total < littleMemory:
		return one(warning(id, "", "This machine has very little memory.", evidence, "256 MiB are enough, 512 MiB are comfortable."))
	case m.Available < littleAvailable:
		return one(warning(id, "", "Hardly any memory is left: the kernel may soon end a program, perhaps this one.", evidence,
			"See with `ps aux --sort -rss | head` who takes it."))
	case m.Swap == 0 && m.Total < needsSwap:
		return one(warning(id, "", "This machine has little memory and no swap, so that one hungry program ends others.", evidence,
			"fallocate -l 1G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile (and a line in /etc/fstab)"))
	}
	return one(ok(id, "", "There is enough memory: "+size(m.Total)+"."))
}
