package powercut

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// syncs lists finished syncs by what they are of.
func syncs(calls []Call, from, to int) (logs, files int) {
	for i := range calls {
		c := &calls[i]
		if c.Name != "fsync" && c.Name != "fdatasync" && c.Name != "syncfs" || c.Ret != 0 || c.Entry < from || c.Exit >= to {
			continue
		}
		switch {
		case strings.HasSuffix(c.Path, "mailstead.db-wal"):
			logs++
		case c.Name == "syncfs", strings.Contains(c.Path, "/messages/"):
			files++
		}
	}
	return logs, files
}

// limit is what a figure may be: the bar on a machine that does nothing else,
// which MAILSTEAD_BARS says, and what tells a defect from a busy machine or one
// of another kind elsewhere.
func limit[T int | float64 | time.Duration](bar, elsewhere T) T {
	if os.Getenv("MAILSTEAD_BARS") != "" {
		return bar
	}
	return elsewhere
}

// rests waits until the filer has made files of all messages and its commit is
// likely over.
func (s *server) rests(t *testing.T, messages int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, files := blocks(t, s.data); files >= messages {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the filer does not end\n%s", s.out)
		}
	}
	time.Sleep(300 * time.Millisecond)
}

// TestSyncsPerMessage holds the price of durability: one sync before the reply
// of a lone small delivery, at most 0.3 a message where 32 clients share them.
func TestSyncsPerMessage(t *testing.T) {
	needs(t, "strace")
	data := dataDir(t)
	s := newServer(t, program(t, ""), data)
	s.populate()
	rec := data + ".strace"
	s.wrap = append([]string{"strace"}, Args(rec)...)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	var lone, many diary
	for i := range 10 {
		if err := deliver(s, &lone, small); err != nil {
			t.Fatal(err)
		}
		s.rests(t, i+1)
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for range 32 {
		wg.Go(func() {
			c, err := dialSMTP(s.smtp, "")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range 15 {
				m := newMail("a@sender.test", "alice@"+domain, small)
				if err := c.send(many.note("smtp", m, "alice:INBOX"), "a@sender.test", m, "alice@"+domain); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	end := time.Now()
	s.rests(t, len(lone.deeds)+len(many.deeds))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(rec)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := Read(f, data, 100)
	if err != nil {
		t.Fatal(err)
	}
	place := func(at time.Time) int {
		for i := range calls {
			if calls[i].Time.After(at) {
				return calls[i].Entry
			}
		}
		return calls[len(calls)-1].Entry
	}
	one := 0
	for _, d := range lone.deeds {
		r, err := Reply(calls, d.Ack)
		if err != nil {
			t.Fatal(err)
		}
		logs, files := syncs(calls, place(d.Sent), r.Entry)
		if logs == 1 && files == 0 {
			one++
		}
		if logs == 0 {
			t.Errorf("%s: no sync before its reply", d.What)
		}
	}
	if one < len(lone.deeds)/2 { // on a busy machine the filer's own commit may fall between
		t.Errorf("%d of %d lone deliveries took one sync", one, len(lone.deeds))
	}
	n := float64(len(many.deeds))
	logs, files := syncs(calls, place(begin), place(end))
	_, later := syncs(calls, place(end), 1<<62)
	t.Logf("32 connections: %.2f syncs of the log a message; the filer's %.2f during and %.2f after", float64(logs)/n, float64(files)/n, float64(later)/n)
	if float64(logs)/n > limit(0.3, 0.6) {
		t.Errorf("%d syncs of the log for %.0f messages on 32 connections", logs, n)
	}
}

// TestStartAndIdle starts the program and lets it rest.
func TestStartAndIdle(t *testing.T) {
	s := newServer(t, program(t, ""), dataDir(t))
	s.populate()
	begin := time.Now()
	if err := s.launch(); err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	for {
		if c, err := dialSMTP(s.smtp, ""); err == nil {
			c.Close()
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("no banner\n%s", s.out)
		}
		time.Sleep(time.Millisecond)
	}
	banner := time.Since(begin)
	time.Sleep(2 * time.Second)
	idle := s.pss(t)
	t.Logf("first banner after %.0f ms, %.1f MiB idle (PSS)", float64(banner.Microseconds())/1000, idle)
	if banner > limit(time.Second, time.Minute) { // 50 ms on a machine with nothing else to do
		t.Errorf("the first banner took %v", banner)
	}
	if most := limit(25.0, 40); idle > most {
		t.Errorf("%.1f MiB idle, wanted under %v", idle, most)
	}
}

var pssRE = regexp.MustCompile(`Pss:\s+(\d+) kB`)

// pss is the server's proportional set size in MiB.
func (s *server) pss(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.cmd.Process.Pid))
	if err != nil {
		t.Skip("no smaps_rollup here")
	}
	m := pssRE.FindSubmatch(b)
	if m == nil {
		t.Fatal("no Pss")
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return float64(kib) / 1024
}

// TestDiskPerMessage receives mail of 6,556 bytes in the mean, most of it under
// 4 KiB, lets the filer and the checkpoint finish, and counts blocks.
func TestDiskPerMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 30 MB")
	}
	s := newServer(t, program(t, ""), dataDir(t))
	s.populate()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	var y diary
	for range 20 { // folders and first pages
		if err := deliver(s, &y, small); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	before, _ := blocks(t, s.data)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	const clients, each = 8, 500
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c, err := dialSMTP(s.smtp, "")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := range each {
				size := 3650 // newMail ends a little above
				if i%25 == 12 {
					size = 72_600
				}
				m := newMail("a@sender.test", "alice@"+domain, size)
				if err := c.send(&deed{}, "a@sender.test", m, "alice@"+domain); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.rests(t, clients*each+20)
	time.Sleep(2 * time.Second) // pages of bodies that are files now are given back
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	after, files := blocks(t, s.data)
	share := (after - before) / (clients * each)
	t.Logf("%d bytes on disk a message, %d files", share, files)
	if most := limit(8300, 12_000); share > int64(most) { // file systems differ
		t.Errorf("%d bytes on disk a message, wanted at most %d", share, most)
	}
}

// blocks sums what a folder takes on the disk, and counts message files.
func blocks(t *testing.T, dir string) (bytes int64, files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file may go while we look
		}
		var st syscall.Stat_t
		if syscall.Lstat(p, &st) == nil {
			bytes += st.Blocks * 512
		}
		if strings.HasSuffix(p, ".eml") {
			files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, files
}

var peakRE = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// TestLargeMessagesDoNotShowInMemory receives 8 messages of 50 MB at once.
func TestLargeMessagesDoNotShowInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 400 MB")
	}
	s := newServer(t, program(t, ""), dataDir(t))
	s.populate()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	line := append(bytes.Repeat([]byte("x"), 76), '\r', '\n')
	block := bytes.Repeat(line, 8<<10)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c, err := dialSMTP(s.smtp, "")
			if err == nil {
				defer c.Close()
				err = c.envelope("a@sender.test", "alice@"+domain)
			}
			if err == nil {
				fmt.Fprintf(c, "Subject: large %d\r\n\r\n", i)
			}
			for sent := 0; err == nil && sent < 50_000_000-len(block); sent += len(block) {
				_, err = c.Write(block)
			}
			if err == nil {
				_, err = c.cmd("250", ".")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc")
	}
	m := peakRE.FindSubmatch(b)
	if m == nil {
		t.Fatal("no VmHWM")
	}
	kib, _ := strconv.Atoi(string(m[1]))
	t.Logf("peak resident memory %d MiB", kib>>10)
	if most := limit(80, 120); kib > most<<10 {
		t.Errorf("%d MiB resident at the peak, wanted under %d", kib>>10, most)
	}
}
