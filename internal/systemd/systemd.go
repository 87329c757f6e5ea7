// Package systemd tells the service manager how we are: ready, stopping, alive
// (sd_notify(3), Type=notify, WatchdogSec). It is the protocol alone, datagrams
// of lines to the socket in NOTIFY_SOCKET; without that variable everything here
// does nothing, so that nobody needs to ask whether systemd is there.
package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is who started us. The nil one is nobody.
type Manager struct {
	socket   string
	watchdog time.Duration
}

// FromEnvironment reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; nil when
// nobody waits for notes.
func FromEnvironment() *Manager { return from(os.Getenv, os.Getpid()) }

func from(env func(string) string, pid int) *Manager {
	m := &Manager{socket: env("NOTIFY_SOCKET")}
	if m.socket == "" || m.socket[0] != '/' && m.socket[0] != '@' {
		return nil
	}
	usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if who := env("WATCHDOG_PID"); err == nil && usec > 0 && (who == "" || who == strconv.Itoa(pid)) {
		m.watchdog = time.Duration(usec) * time.Microsecond
	}
	return m
}

// At is a manager who listens at a socket and waits so long for Alive.
func At(socket string, watchdog time.Duration) *Manager { return &Manager{socket, watchdog} }

// Ready says that the doors are open.
func (m *Manager) Ready(status string) error { return m.send("READY=1", "STATUS="+oneLine(status)) }

// Stopping says that they are being closed.
func (m *Manager) Stopping() error { return m.send("STOPPING=1") }

// Alive says that all is well; see Interval.
func (m *Manager) Alive() error { return m.send("WATCHDOG=1") }

// Status says in words what we are at.
func (m *Manager) Status(text string) error { return m.send("STATUS=" + oneLine(text)) }

// Interval is how often Alive must be said: half of what is waited for, as
// sd_watchdog_enabled(3) advises. 0: nobody waits.
func (m *Manager) Interval() time.Duration {
	if m == nil {
		return 0
	}
	return m.watchdog / 2
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func (m *Manager) send(lines ...string) error {
	if m == nil {
		return nil
	}
	// A name that begins with @ is an abstract one; net takes it as such.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	// A manager that does not read must not keep the server from stopping.
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	return err
}
