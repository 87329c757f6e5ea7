package powercut

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// syncs lists finished syncs by what they are of.
func syncs(calls []Call, from, to int) (logs, files int) {
	for i := range calls {
		c := &calls[i]
		if c.Name != "fsync" && c.Name != "fdatasync" || c.Ret != 0 || c.Entry < from || c.Exit >= to {
			continue
		}
		switch {
		case strings.HasSuffix(c.Path, "mailstead.db-wal"):
			logs++
		case strings.Contains(c.Path, "/messages/"):
			files++
		}
	}
	return logs, files
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
	for range 10 {
		if err := deliver(s, &lone, small); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // the filer rests
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
	for _, d := range lone.deeds {
		r, err := Reply(calls, d.Ack)
		if err != nil {
			t.Fatal(err)
		}
		if logs, files := syncs(calls, place(d.Sent), r.Entry); logs != 1 || files != 0 {
			t.Errorf("%s: %d syncs of the log and %d of files before its reply, wanted one", d.What, logs, files)
		}
	}
	n := float64(len(many.deeds))
	logs, files := syncs(calls, place(begin), place(end))
	_, later := syncs(calls, place(end), 1<<62)
	t.Logf("32 connections: %.2f syncs of the log a message; the filer's %.2f during and %.2f after", float64(logs)/n, float64(files)/n, float64(later)/n)
	if float64(logs)/n > 0.3 {
		t.Errorf("%d syncs of the log for %.0f messages on 32 connections", logs, n)
	}
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
	if kib > 80<<10 {
		t.Errorf("%d MiB resident at the peak, wanted under 80", kib>>10)
	}
}
