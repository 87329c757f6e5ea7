package imap

import (
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// follower is a client that believes what it is told: a list of messages, each
// with what is known of it. It checks that every response makes sense for the
// list it has, as a program that caches would.
type follower struct {
	*raw
	name string
	list []known
}

// known is what the client knows of a message; uid 0 and flags "?" mean nothing.
type known struct {
	uid   uint32
	flags string
}

var (
	number  = regexp.MustCompile(`(?s)^\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)(?: \((.*)\))?$`)
	uidItem = regexp.MustCompile(`\bUID (\d+)`)
	flags   = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
)

// hear takes untagged responses. mayExpunge says whether the command allows
// EXPUNGE.
func (f *follower) hear(command string, lines []string, mayExpunge bool) {
	f.t.Helper()
	for _, line := range lines {
		m := number.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1])
		switch m[2] {
		case "EXISTS":
			if n < len(f.list) {
				f.t.Fatalf("%s: %s: EXISTS shrinks the list from %d to %d", f.name, command, len(f.list), n)
			}
			for len(f.list) < n {
				f.list = append(f.list, known{flags: "?"})
			}
		case "EXPUNGE":
			if !mayExpunge {
				f.t.Fatalf("%s: %s: EXPUNGE where numbers must stand", f.name, command)
			}
			if n < 1 || n > len(f.list) {
				f.t.Fatalf("%s: %s: EXPUNGE of %d among %d", f.name, command, n, len(f.list))
			}
			f.list = slices.Delete(f.list, n-1, n)
		case "FETCH":
			f.fetched(command, n, m[3])
		}
	}
}

func (f *follower) fetched(command string, n int, items string) {
	f.t.Helper()
	if n < 1 || n > len(f.list) {
		f.t.Fatalf("%s: %s: FETCH of %d among %d", f.name, command, n, len(f.list))
	}
	k := &f.list[n-1]
	if m := uidItem.FindStringSubmatch(items); m != nil {
		uid, _ := strconv.ParseUint(m[1], 10, 32)
		if k.uid != 0 && k.uid != uint32(uid) {
			f.t.Fatalf("%s: %s: message %d is UID %d, was %d", f.name, command, n, uid, k.uid)
		}
		k.uid = uint32(uid)
	}
	if m := flags.FindStringSubmatch(items); m != nil {
		list := slices.DeleteFunc(strings.Fields(m[1]), func(s string) bool { return s == `\Recent` })
		slices.Sort(list)
		k.flags = strings.Join(list, " ")
	}
}

// command runs a random command.
func (f *follower) command(r *rand.Rand) {
	f.t.Helper()
	n := len(f.list)
	set := func() string {
		if n == 0 {
			return ""
		}
		a, b := 1+r.IntN(n), 1+r.IntN(n)
		return fmt.Sprintf("%d:%d", min(a, b), min(max(a, b), min(a, b)+3))
	}
	uidSet := func() string { return fmt.Sprintf("%d:%d", 1+r.IntN(60), 1+r.IntN(60)) }
	flag := []string{`\Seen`, `\Flagged`, `\Deleted`, "one", "two", "$Junk"}[r.IntN(6)]
	op := []string{"+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT", "FLAGS.SILENT"}[r.IntN(6)]
	var c string
	switch r.IntN(14) {
	case 0, 1:
		c = "STORE " + set() + " " + op + " (" + flag + ")"
	case 2:
		c = "UID STORE " + uidSet() + " " + op + " (" + flag + ")"
	case 3, 4:
		c = "FETCH " + set() + " (FLAGS UID)"
	case 5:
		c = "FETCH " + set() + " (UID BODY[])"
	case 6:
		c = "UID FETCH " + uidSet() + " FLAGS"
	case 7:
		c = "EXPUNGE"
	case 8:
		c = "COPY " + set() + " INBOX"
	case 9:
		c = "UID MOVE " + uidSet() + " INBOX"
	case 10:
		c = "SEARCH UNSEEN"
	case 11:
		c = "NOOP"
	case 12:
		c = "APPEND INBOX {14+}\r\nSubject: x\r\n\r\n"
	case 13:
		c = "UID EXPUNGE " + uidSet()
	}
	f.give(c)
}

// give runs a command and applies its own effect where the server is silent
// about it.
func (f *follower) give(c string) {
	f.t.Helper()
	name, args, _ := strings.Cut(c, " ")
	numbers := name == "FETCH" || name == "STORE" || name == "SEARCH"
	if numbers && strings.HasPrefix(args, " ") || strings.HasPrefix(c, "COPY  ") {
		return // an empty list has no set
	}
	if strings.Contains(c, ".SILENT") {
		f.silent(c)
	}
	lines, tagged := f.do(c)
	f.hear(c, lines, !numbers)
	if strings.HasPrefix(tagged, "BAD") {
		f.t.Fatalf("%s: %s: %s", f.name, c, tagged)
	}
	if numbers && strings.HasPrefix(tagged, "NO") && !strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
		f.t.Fatalf("%s: %s: %s", f.name, c, tagged)
	}
}

// silent does what a client does to its own list when it stores silently.
func (f *follower) silent(c string) {
	uid := strings.HasPrefix(c, "UID ")
	words := strings.Fields(strings.TrimPrefix(c, "UID "))
	a, b, _ := strings.Cut(words[1], ":")
	from, _ := strconv.Atoi(a)
	to, _ := strconv.Atoi(b)
	from, to = min(from, to), max(from, to)
	flag := strings.Trim(words[3], "()")
	for i := range f.list {
		k := &f.list[i]
		at := i + 1
		if uid {
			at = int(k.uid)
			if at == 0 { // may be in the set or not
				k.flags = "?"
				continue
			}
		}
		if at < from || at > to || k.flags == "?" {
			continue
		}
		have := slices.DeleteFunc(strings.Fields(k.flags), func(s string) bool { return s == flag })
		switch words[2][0] {
		case '+':
			have = append(have, flag)
		case 'F':
			have = []string{flag}
		}
		slices.Sort(have)
		k.flags = strings.Join(have, " ")
	}
}

// Many sessions on one mailbox do random things; in the end each one's list is
// what a fresh SELECT shows, and no response on the way contradicted it.
func TestManySessions(t *testing.T) {
	rounds, steps := 6, 250
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			r := rand.New(rand.NewPCG(uint64(round), 7))
			for range 12 {
				p.deliver("INBOX", "Subject: x\r\n\r\n", 0)
			}
			var all []*follower
			for i := range 4 {
				f := &follower{raw: p.raw(), name: strconv.Itoa(i)}
				f.hear("SELECT", f.ok("SELECT INBOX"), false)
				f.give("FETCH 1:* (UID FLAGS)")
				all = append(all, f)
			}
			idler := &follower{raw: p.raw(), name: "idler"}
			idler.hear("SELECT", idler.ok("SELECT INBOX"), false)
			idler.give("UID FETCH 1:* FLAGS")
			io.WriteString(idler, "i IDLE\r\n")
			for !strings.HasPrefix(idler.response(), "+") {
			}
			for range steps {
				all[r.IntN(len(all))].command(r)
			}
			io.WriteString(idler, "DONE\r\n")
			var heard []string
			for line := idler.response(); !strings.HasPrefix(line, "i "); line = idler.response() {
				heard = append(heard, line)
			}
			idler.hear("IDLE", heard, true)
			all = append(all, idler)
			fresh := &follower{raw: p.raw(), name: "fresh"}
			fresh.hear("SELECT", fresh.ok("SELECT INBOX"), false)
			fresh.give("UID FETCH 1:* FLAGS")
			for _, f := range all {
				f.give("NOOP")
				for i, k := range f.list {
					if i < len(fresh.list) && k.uid == 0 { // never asked
						f.list[i].uid = fresh.list[i].uid
					}
					if i < len(fresh.list) && k.flags == "?" {
						f.list[i].flags = fresh.list[i].flags
					}
				}
				if d := cmp.Diff(fresh.list, f.list, cmp.AllowUnexported(known{})); d != "" {
					t.Errorf("session %s (-fresh +its own): %s", f.name, d)
				}
			}
		})
	}
}

// Sessions that work at the same time never lose track either.
func TestManySessionsAtOnce(t *testing.T) {
	p := newPlace(t)
	for range 12 {
		p.deliver("INBOX", "Subject: x\r\n\r\n", 0)
	}
	var all []*follower
	done := make(chan bool)
	for i := range 4 {
		f := &follower{raw: p.raw(), name: strconv.Itoa(i)}
		f.hear("SELECT", f.ok("SELECT INBOX"), false)
		f.give("UID FETCH 1:* FLAGS")
		all = append(all, f)
	}
	for i, f := range all {
		go func() {
			defer func() { done <- true }()
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for range 150 {
				if t.Failed() {
					return
				}
				f.command(r)
			}
		}()
	}
	for range all {
		<-done
	}
	fresh := &follower{raw: p.raw(), name: "fresh"}
	fresh.hear("SELECT", fresh.ok("SELECT INBOX"), false)
	fresh.give("UID FETCH 1:* FLAGS")
	for _, f := range all {
		f.give("NOOP")
		if len(f.list) != len(fresh.list) {
			t.Fatalf("session %s counts %d, fresh %d", f.name, len(f.list), len(fresh.list))
		}
		for i, k := range f.list {
			if k.uid != 0 && k.uid != fresh.list[i].uid || k.flags != "?" && k.flags != fresh.list[i].flags {
				t.Errorf("session %s, message %d: %v, fresh %v", f.name, i+1, k, fresh.list[i])
			}
		}
	}
}
