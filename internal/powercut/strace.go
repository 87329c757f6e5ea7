package powercut

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Calls is what strace must record for Read.
const Calls = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,lseek," +
	"rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,rmdir," +
	"truncate,ftruncate,fallocate,fsync,fdatasync,syncfs,sync_file_range,msync,copy_file_range,sendfile,splice,mmap"

// Args is the command line of strace that makes a record fit for Read.
func Args(record string) []string {
	return []string{"-f", "--seccomp-bpf", "-yy", "-q", "-s", "8000000", "--absolute-timestamps=format:unix,precision:ns",
		"-e", "signal=none", "-e", "trace=" + Calls, "-o", record}
}

// Call is one system call. Entry and Exit are its places in the record, which
// is the order in which the kernel let the threads go on: if a write's Exit is
// less than a sync's Entry, the sync covers the write.
type Call struct {
	Name        string
	Entry, Exit int
	Time        time.Time // of the entry
	Path        string    // of the descriptor in the first argument, "" for none
	Deleted     bool      // Path had been unlinked
	Args        []string  // as strace writes them; strings unquoted
	Data        []byte    // what was written
	Ret         int64     // the result, -1 for an error or a call that never returned
}

// Read parses a record. Data longer than keep bytes written to what is not
// below root is cut.
func Read(r io.Reader, root string, keep int) ([]Call, error) {
	br := bufio.NewReaderSize(r, 1<<20)
	open := map[string]int{} // pid to the index of its unfinished call
	rest := map[string][]byte{}
	var calls []Call
	trim := func(c *Call) {
		if len(c.Data) > keep && !strings.HasPrefix(c.Path, root) {
			c.Data = bytes.Clone(c.Data[:keep])
		}
	}
	for n := 0; ; n++ {
		line, err := br.ReadBytes('\n')
		if err == io.EOF {
			return calls, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read record: %w", err)
		}
		pid, at, text, ok := splitLine(line)
		if !ok {
			continue
		}
		switch {
		case bytes.HasPrefix(text, []byte("+++")), bytes.HasPrefix(text, []byte("---")):
			continue
		case bytes.HasPrefix(text, []byte("<... ")):
			i, ok := open[pid]
			_, tail, found := bytes.Cut(text, []byte(" resumed>"))
			if !ok || !found {
				return nil, fmt.Errorf("record line %d: resumes nothing", n+1)
			}
			delete(open, pid)
			calls[i].Exit = n
			err = calls[i].parse(append(rest[pid], tail...))
			trim(&calls[i])
		case bytes.HasSuffix(text, []byte(" <unfinished ...>")):
			open[pid] = len(calls)
			rest[pid] = bytes.Clone(text[:len(text)-len(" <unfinished ...>")])
			calls = append(calls, Call{Entry: n, Exit: 1 << 62, Time: at, Ret: -1})
			calls[len(calls)-1].entry(rest[pid])
			continue
		default:
			calls = append(calls, Call{Entry: n, Exit: n, Time: at})
			err = calls[len(calls)-1].parse(text)
			trim(&calls[len(calls)-1])
		}
		if err != nil {
			return nil, fmt.Errorf("record line %d: %w", n+1, err)
		}
	}
}

func splitLine(line []byte) (pid string, at time.Time, text []byte, ok bool) {
	line = bytes.TrimRight(line, "\n")
	p, line, ok1 := bytes.Cut(line, []byte(" "))
	line = bytes.TrimLeft(line, " ")
	ts, text, ok2 := bytes.Cut(line, []byte(" "))
	s, ns, ok3 := strings.Cut(string(ts), ".")
	sec, err1 := strconv.ParseInt(s, 10, 64)
	nsec, err2 := strconv.ParseInt(ns, 10, 64)
	if !ok1 || !ok2 || !ok3 || err1 != nil || err2 != nil {
		return "", at, nil, false
	}
	return string(p), time.Unix(sec, nsec), text, true
}

// entry reads what an unfinished line tells: the name and the descriptor.
func (c *Call) entry(text []byte) {
	name, args, _ := bytes.Cut(text, []byte("("))
	c.Name = string(name)
	s := scanner{b: args}
	if a, err := s.arg(); err == nil {
		c.descriptor(a)
	}
}

func (c *Call) descriptor(a string) {
	i := strings.IndexByte(a, '<')
	if i <= 0 || a[0] < '0' || a[0] > '9' {
		return
	}
	c.Deleted = strings.HasSuffix(a, "(deleted)")
	a = strings.TrimSuffix(a, "(deleted)")
	c.Path = strings.TrimSuffix(a[i+1:], ">")
}

// parse reads a whole call: name(args) = result.
func (c *Call) parse(text []byte) error {
	name, args, ok := bytes.Cut(text, []byte("("))
	if !ok {
		return fmt.Errorf("not a call: %.80q", text)
	}
	c.Name, c.Ret = string(name), -1
	s := scanner{b: args}
	for !s.done {
		a, err := s.arg()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.Args = append(c.Args, a)
	}
	if len(c.Args) > 0 {
		c.descriptor(c.Args[0])
	}
	_, ret, _ := bytes.Cut(s.b, []byte("= "))
	if c.Name == "open" || c.Name == "openat" || c.Name == "creat" {
		c.Path = ""
		c.descriptor(string(ret))
	}
	if i := bytes.IndexAny(ret, " <"); i >= 0 {
		ret = ret[:i]
	}
	if v, err := strconv.ParseInt(string(ret), 0, 64); err == nil {
		c.Ret = v
	}
	switch c.Name {
	case "write", "pwrite64", "sendto":
		if len(c.Args) > 1 {
			c.Data, c.Args[1] = []byte(c.Args[1]), ""
		}
	case "writev", "pwritev", "pwritev2", "sendmsg":
		c.Data = s.strings
	}
	if c.Ret >= 0 && int64(len(c.Data)) > c.Ret {
		c.Data = c.Data[:c.Ret]
	}
	return nil
}

// scanner takes arguments off a call.
type scanner struct {
	b       []byte
	done    bool
	strings []byte // all strings inside structures, joined
}

var errCut = errors.New("a string was cut short: strace needs a larger -s")

// arg takes one argument; a string loses its quotes.
func (s *scanner) arg() (string, error) {
	s.b = bytes.TrimLeft(s.b, " ")
	var out []byte
	depth := []byte{}
	for i := 0; i < len(s.b); i++ {
		switch ch := s.b[i]; ch {
		case '"':
			str, n, err := unquote(s.b[i:])
			if err != nil {
				return "", err
			}
			if len(depth) > 0 {
				s.strings = append(s.strings, str...)
			} else {
				out = append(out, str...)
			}
			i += n - 1
		case '[', '{', '(':
			depth = append(depth, ch)
			out = append(out, ch)
		case '<':
			if len(depth) == 0 || depth[len(depth)-1] != '[' { // not the arrow's friend in TCP:[a->b]
				depth = append(depth, ch)
			}
			out = append(out, ch)
		case ']', '}', ')', '>':
			if ch == '>' && (len(depth) == 0 || depth[len(depth)-1] != '<') {
				out = append(out, ch)
				continue
			}
			if len(depth) == 0 { // the call's own closing parenthesis
				s.b, s.done = s.b[i+1:], true
				return string(out), nil
			}
			depth = depth[:len(depth)-1]
			out = append(out, ch)
		case ',':
			if len(depth) == 0 {
				s.b = s.b[i+1:]
				return string(out), nil
			}
			out = append(out, ch)
		default:
			out = append(out, ch)
		}
	}
	return "", errors.New("the call has no end")
}

// unquote reads a C string at the start of b and tells its length there.
func unquote(b []byte) (out []byte, n int, err error) {
	i := 1
	for ; i < len(b) && b[i] != '"'; i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++
		if i == len(b) {
			break
		}
		switch e := b[i]; {
		case e >= '0' && e <= '7':
			v := 0
			for k := 0; k < 3 && i < len(b) && b[i] >= '0' && b[i] <= '7'; k++ {
				v = v*8 + int(b[i]-'0')
				i++
			}
			i--
			out = append(out, byte(v))
		case e == 'x' && i+2 < len(b):
			v, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, 0, fmt.Errorf("string: %w", err)
			}
			i += 2
			out = append(out, byte(v))
		default:
			if k := strings.IndexByte("ntrfv", e); k >= 0 {
				e = "\n\t\r\f\v"[k]
			}
			out = append(out, e)
		}
	}
	if i >= len(b) {
		return nil, 0, errors.New("the string has no end")
	}
	if bytes.HasPrefix(b[i+1:], []byte("...")) {
		return nil, 0, errCut
	}
	return out, i + 1, nil
}
