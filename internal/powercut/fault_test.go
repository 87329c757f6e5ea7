package powercut

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deliver sends one mail to alice over a new connection.
func deliver(s *server, y *diary, size int) error {
	c, err := dialSMTP(s.smtp, "")
	if err != nil {
		return err
	}
	defer c.Close()
	m := newMail("a@sender.test", "alice@"+domain, size)
	return c.send(y.note("smtp", m, "alice:INBOX"), "a@sender.test", m, "alice@"+domain)
}

// allThere reads everything and compares it with the diary.
func allThere(t *testing.T, s *server, y *diary) {
	t.Helper()
	holds, err := s.holds(y, accounts, map[string]int{})
	if err != nil {
		t.Fatalf("%v\n%s", err, s.out)
	}
	for _, w := range y.check(holds, func(d *deed) (bool, bool) { return d.begun, d.done }) {
		t.Error(w)
	}
}

// refused wants an error that carries a reply.
func refused(t *testing.T, err error, reply string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), reply) {
		t.Errorf("got %v, wanted %s", err, reply)
	}
}

func TestMessageOverTheLimitIsRefusedAndLeavesNothing(t *testing.T) {
	s := newServer(t, program(t, ""), dataDir(t))
	s.populate()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	c, err := dialSMTP(s.smtp, "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.cmd("250", "EHLO client.test")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text, "SIZE ")
	limit, err := strconv.Atoi(strings.Fields(after + " x")[0])
	if err != nil {
		t.Fatalf("no SIZE in %q", text)
	}
	_, err = c.cmd("250", "MAIL FROM:<a@sender.test> SIZE=%d", limit+1)
	refused(t, err, "552")

	var y diary
	m := newMail("a@sender.test", "alice@"+domain, limit+1)
	err = c.send(y.note("too large", m, "alice:INBOX"), "a@sender.test", m, "alice@"+domain)
	refused(t, err, "552")
	if err := deliver(s, &y, small); err != nil { // and the server goes on
		t.Error(err)
	}
	allThere(t, s, &y)
	filepath.WalkDir(s.data, func(p string, e fs.DirEntry, err error) error {
		if fi, ferr := os.Stat(p); ferr == nil && e.Type().IsRegular() && fi.Size() > int64(limit)/2 {
			t.Errorf("%s is left with %d bytes", p, fi.Size())
		}
		return err
	})
}

// smallDisk mounts a file system of its own at a new folder.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	needs(t, "mkfs.ext4")
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	at := dataDir(t) + ".disk"
	img := at + ".img"
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("truncate", "-s", fmt.Sprintf("%dM", mib), img).Run(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", img).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", img, at).CombinedOutput(); err != nil {
		if out2, err2 := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs", at).CombinedOutput(); err2 != nil {
			t.Skipf("cannot mount: %s%s", out, out2)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return at
}

// fill takes what is left of a file system but keep bytes.
func fill(t *testing.T, dir string, keep int64) (empty func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	for left := int64(st.Bavail)*st.Bsize - keep; left > 0; left -= int64(len(b)) {
		if _, err := f.Write(b); err != nil {
			break
		}
	}
	if keep == 0 { // root's reserve too, to the last block
		for {
			if _, err := f.Write(b); err != nil {
				if len(b) == 512 {
					break
				}
				b = b[:len(b)/2]
			}
		}
	}
	f.Sync()
	f.Close()
	return func() { os.Remove(path) }
}

// within tries for half a minute: the server looks at its disk once a second.
func within(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 300 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, err)
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	disk := smallDisk(t, 256)
	s := newServer(t, program(t, ""), filepath.Join(disk, "data"))
	s.populate()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	var y diary
	for _, size := range []int{small, large} {
		if err := deliver(s, &y, size); err != nil {
			t.Fatal(err)
		}
	}
	// Little room: MAIL is refused before anything is sent.
	empty := fill(t, disk, 8<<20)
	within(t, "MAIL is refused", func() error {
		err := deliver(s, &y, small)
		if err != nil && strings.Contains(err.Error(), "452 4.3.1") {
			return nil
		}
		return fmt.Errorf("got %v", err)
	})
	empty()

	// No room at all, and the transaction is open already.
	open := make([]*smtpConn, 2)
	for i := range open {
		within(t, "MAIL is taken again", func() error {
			c, err := dialSMTP(s.smtp, "")
			if err != nil {
				return err
			}
			open[i] = c
			return c.envelope("a@sender.test", "alice@"+domain)
		})
	}
	r, err := dialIMAP(s.imaps, "alice")
	if err != nil {
		t.Fatal(err)
	}
	empty = fill(t, disk, 0)
	for i, size := range []int{40 * small, 40 * large} {
		m := newMail("a@sender.test", "alice@"+domain, size)
		y.note("on a full disk", m, "alice:INBOX").begun = true
		open[i].Write(append(m.bytes, ".\r\n"...))
		_, err := open[i].reply("250")
		refused(t, err, "452")
	}
	m := newMail("", "", 40*large)
	refused(t, r.append(y.note("append on a full disk", m, "alice:Drafts"), "Drafts", m), "NO [")
	empty()

	within(t, "the same process goes on with room again", func() error { return deliver(s, &y, small) })
	allThere(t, s, &y)
}

// After a sync that failed the kernel may have dropped the pages: nothing may
// be promised any more. The process must say so and end.
func TestFailedSyncStopsTheServer(t *testing.T) {
	needs(t, "strace")
	for _, c := range []struct {
		name string
		call string
		size int
	}{{"log", "fdatasync,fsync", small}, {"file", "fdatasync,fsync", large}} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, program(t, ""), dataDir(t))
			s.populate()
			s.wrap = []string{"strace", "-f", "--seccomp-bpf", "-q", "-e", "trace=" + c.call, "-e", "inject=" + c.call + ":error=EIO:when=40+", "-o", "/dev/null"}
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			var y diary
			failed := 0
			for i := range 200 {
				err := deliver(s, &y, c.size)
				switch {
				case err != nil:
					failed++
				case failed > 0:
					t.Fatalf("message %d was accepted after a sync had failed", i)
				}
				if failed > 3 {
					break
				}
			}
			select {
			case err := <-s.gone:
				if err == nil {
					t.Error("the process ended with 0")
				}
			case <-time.After(time.Minute):
				s.kill()
				t.Fatalf("the process goes on after a failed sync\n%s", s.out)
			}
			if out := s.out.String(); !strings.Contains(out, "\nerror: ") || !strings.Contains(out, "promise nothing") {
				t.Errorf("no plain line at the end of\n%s", out)
			}
			s.wrap = nil
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			defer s.kill()
			allThere(t, s, &y)
			if err := deliver(s, &y, c.size); err != nil {
				t.Errorf("after the next start: %v", err)
			}
		})
	}
}

func TestMissingFileIsSaidPlainly(t *testing.T) {
	s := newServer(t, program(t, ""), dataDir(t))
	s.populate()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	var y diary
	for _, size := range []int{large, small} {
		if err := deliver(s, &y, size); err != nil {
			t.Fatal(err)
		}
	}
	var gone string
	for range 1500 { // the small one's file comes later
		gone = ""
		filepath.WalkDir(filepath.Join(s.data, "messages"), func(p string, e fs.DirEntry, err error) error {
			if fi, ferr := os.Stat(p); ferr == nil && e.Type().IsRegular() && fi.Size() > large/2 {
				gone = p
			}
			return err
		})
		if gone != "" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	r, err := dialIMAP(s.imaps, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.cmd("SELECT INBOX"); err != nil {
		t.Fatal(err)
	}
	_, err = r.cmd("FETCH 1 BODY.PEEK[]")
	refused(t, err, "NO ")
	if rs, err := r.cmd("FETCH 2 BODY.PEEK[]"); err != nil || len(rs) == 0 { // the session lives, the others are read
		t.Errorf("the other message: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v\n%s", err, s.out)
	}
	out, err := s.run("check")
	if err == nil || !strings.Contains(out, filepath.Base(gone)) {
		t.Errorf("check does not name %s: %v\n%s", gone, err, out)
	}
}
