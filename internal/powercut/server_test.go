package powercut

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailstead/internal/world"
)

const (
	domain   = "pc.test"
	password = "correct horse battery staple"
)

var accounts = []string{"alice", "bob"}

// builds keeps one program per overlay for all tests.
var builds struct {
	sync.Mutex
	dir string
	of  map[string]string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builds.dir != "" {
		os.RemoveAll(builds.dir)
	}
	os.Exit(code)
}

// program builds the server; overlay is a file for go build -overlay, or "".
func program(t *testing.T, overlay string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if bin := builds.of[overlay]; bin != "" {
		return bin
	}
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "powercut-bin")
		if err != nil {
			t.Fatal(err)
		}
		builds.dir, builds.of = dir, map[string]string{}
	}
	bin := filepath.Join(builds.dir, fmt.Sprintf("mailstead%d", len(builds.of)))
	args := []string{"build", "-o", bin}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.Command("go", append(args, "mailstead")...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	builds.of[overlay] = bin
	return bin
}

// needs skips when a tool of the system is not there.
func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
}

// number reads a length from the environment: .ci/run and .ci/nightly ask for
// longer proofs than go test does.
func number(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return usual
}

// server is the program with one data directory.
type server struct {
	t                        *testing.T
	bin, data, conf          string
	smtp, submissions, imaps string
	cmd                      *exec.Cmd
	out                      *syncBuffer
	wrap                     []string // strace and its arguments
	gone                     chan error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// newServer lays a configuration for data beside it; ports are free ones.
func newServer(t *testing.T, bin, data string) *server {
	t.Helper()
	s := &server{t: t, bin: bin, data: data, conf: data + ".toml"}
	free, err := world.FreePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	var ports []string
	for _, port := range free {
		ports = append(ports, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	s.smtp, s.submissions, s.imaps = ports[0], ports[1], ports[2]
	toml := fmt.Sprintf(`hostname = "mail.%s"
data = %q
[listen]
smtp = [%q]
submission = []
submissions = [%q]
imap = []
imaps = [%q]
http = []
https = []
metrics = []
[dns]
resolver = %q
`, domain, data, s.smtp, s.submissions, s.imaps, ports[3]) // nobody answers: mail for elsewhere stays in the queue
	if err := os.WriteFile(s.conf, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// run types one subcommand and returns what it printed.
func (s *server) run(args ...string) (string, error) {
	out, err := exec.Command(s.bin, append(args, "--config", s.conf, "--data", s.data)...).CombinedOutput()
	return string(out), err
}

func (s *server) must(args ...string) string {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Fatalf("mailstead %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// populate makes the domain and the usual accounts.
func (s *server) populate() {
	s.t.Helper()
	s.must("domain", "add", domain)
	for _, a := range accounts {
		s.addAccount(a)
	}
}

func (s *server) addAccount(name string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.must("account", "add", name+"@"+domain, "--password-file", file)
}

// launch starts the server without waiting for its doors.
func (s *server) launch() error {
	args := append(append([]string{}, s.wrap...), s.bin, "serve", "--config", s.conf, "--data", s.data)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.out = &syncBuffer{}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.gone = make(chan error, 1)
	go func(cmd *exec.Cmd, gone chan error) { gone <- cmd.Wait() }(s.cmd, s.gone)
	return nil
}

// start launches and waits for the first banners.
func (s *server) start() error {
	if err := s.launch(); err != nil {
		return err
	}
	for _, addr := range []string{s.smtp, s.imaps} {
		for end := time.Now().Add(time.Minute); ; {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
				break
			}
			select {
			case werr := <-s.gone:
				s.gone <- werr
				return fmt.Errorf("the server ended at its start: %v\n%s", werr, s.out)
			case <-time.After(5 * time.Millisecond):
			}
			if time.Now().After(end) {
				return errors.New("no banner in a minute: " + s.out.String())
			}
		}
	}
	return nil
}

// kill ends the server (and strace around it) at once.
func (s *server) kill() {
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.gone
}

// stop asks the server to end in good order. strace does not pass signals on,
// so its child is asked.
func (s *server) stop() error {
	pid := s.cmd.Process.Pid
	if len(s.wrap) > 0 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			return err
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return err
		}
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.gone:
		return err
	case <-time.After(time.Minute):
		s.kill()
		return errors.New("the server did not stop in a minute")
	}
}
