package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"mailstead/internal/machine"
)

// Holder tells who has an address that we want to listen at, and how it is given
// back; "" for nobody whom we could see.
func (h Host) Holder(at netip.AddrPort) (who, fix string) {
	all, err := h.Listeners()
	if err != nil {
		return "", ""
	}
	l, found := machine.On(all, at)
	if !found {
		return "", ""
	}
	return h.holder(l)
}

// holder names who listens and says how it stops. Another user's process cannot
// be seen without rights; a mail server that runs is then the likely one.
func (h Host) holder(l machine.Listener) (who, fix string) {
	const other = "stop it, or name another address under [listen] in mailstead.toml"
	guessed := ""
	if l.Program == "" && h.Processes != nil {
		processes, _ := h.Processes()
		for _, p := range processes {
			if _, known := mailServers[p.Program]; known && p.Program != "dovecot" {
				l.PID, l.Program, guessed = p.PID, p.Program, "probably "
				break
			}
		}
	}
	if l.Program == "" {
		return l.Holder(), "`ss -tlnp` as root shows which program it is; " + other
	}
	who = guessed + l.Holder()
	if h.Unit != nil && l.PID != 0 {
		if unit := h.Unit(l.PID); unit != "" {
			return who, "systemctl disable --now " + strings.TrimSuffix(unit, ".service")
		}
	}
	if service, known := mailServers[l.Program]; known {
		return who, "systemctl disable --now " + service
	}
	return who, fmt.Sprintf("%s (kill %d, or systemctl disable --now its service)", other, l.PID)
}
