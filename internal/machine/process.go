package machine

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Process is a program that runs.
type Process struct {
	PID     int
	Program string // as the kernel knows it, at most 15 bytes
}

// Processes lists what runs, as far as we may see.
func (m Machine) Processes() ([]Process, error) {
	pids := m.pids()
	if len(pids) == 0 {
		return nil, fmt.Errorf("list the processes: %s cannot be read", m.path("proc"))
	}
	var all []Process
	for _, pid := range pids {
		if name := m.program(pid); name != "" {
			all = append(all, Process{pid, name})
		}
	}
	return all, nil
}

func (m Machine) pids() []int {
	entries, _ := os.ReadDir(m.path("proc"))
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// program is the name of a process. A server that calls its main process
// "master" is known by the path of its program, where we may see it.
func (m Machine) program(pid int) string {
	dir := m.path("proc", strconv.Itoa(pid))
	text, _ := os.ReadFile(dir + "/comm")
	name := strings.TrimSpace(string(text))
	if name == "master" {
		line, _ := os.ReadFile(dir + "/cmdline")
		if strings.Contains(string(line), "postfix") {
			return "postfix"
		}
	}
	return name
}

// Unit is the systemd service that a process belongs to: "exim4.service"; ""
// when none.
func (m Machine) Unit(pid int) string {
	text, _ := os.ReadFile(m.path("proc", strconv.Itoa(pid), "cgroup"))
	for line := range strings.Lines(string(text)) {
		for part := range strings.SplitSeq(strings.TrimSpace(line), "/") {
			if strings.HasSuffix(part, ".service") && !strings.HasPrefix(part, "user@") {
				return part
			}
		}
	}
	return ""
}
