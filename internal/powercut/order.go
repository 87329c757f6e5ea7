package powercut

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Run feeds a record to the disk. before is told each place of the record
// before what happens there takes effect.
func (d *Disk) Run(calls []Call, before func(place int) error) error {
	type step struct {
		place int
		end   bool
		call  *Call
	}
	steps := make([]step, 0, 2*len(calls))
	for i := range calls {
		c := &calls[i]
		steps = append(steps, step{c.Entry, false, c}, step{c.Exit, true, c})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.place, b.place) })
	for _, s := range steps {
		if !s.end {
			if err := before(s.place); err != nil {
				return err
			}
			d.Begin(s.call)
			continue
		}
		if err := d.End(s.call); err != nil {
			return fmt.Errorf("place %d: %w", s.place, err)
		}
	}
	return nil
}

// Ack is a success that a client was told.
type Ack struct {
	What      string    // for people
	Port      int       // the client's end of the connection
	Sent, Got time.Time // just before the last byte of the request, just after the reply
	Row       string    // bytes that stand in its rows; "" for a change that nothing ran beside
	Tail      string    // bytes at the end of its message; "" without one
}

// Reply finds the write that carried the acknowledgement to its client.
func Reply(calls []Call, a Ack) (*Call, error) {
	end := "127.0.0.1:" + strconv.Itoa(a.Port) + "]"
	var last *Call
	for i := range calls {
		c := &calls[i]
		if strings.HasSuffix(c.Path, end) && strings.Contains(c.Path, "->") && c.Ret > 0 &&
			!c.Time.Before(a.Sent) && c.Time.Before(a.Got) && len(c.Data) > 0 {
			last = c
		}
	}
	if last == nil {
		return nil, fmt.Errorf("%s: no reply in the record", a.What)
	}
	return last, nil
}

// Order tells which acknowledgements were written before the syncs that they
// promise. db is the path of the database that is the authority, messages the
// folder of its files.
func (d *Disk) Order(calls []Call, acks []Ack, db, messages string) (broken []string, err error) {
	due := map[int][]Ack{}
	for _, a := range acks {
		c, err := Reply(calls, a)
		if err != nil {
			return nil, err
		}
		due[c.Entry] = append(due[c.Entry], a)
	}
	err = d.Run(calls, func(place int) error {
		for _, a := range due[place] {
			if why := d.promise(a, db, messages, calls); why != "" {
				broken = append(broken, a.What+": "+why)
			}
		}
		delete(due, place)
		return nil
	})
	return broken, err
}

// promise says what is missing of an acknowledgement at this moment.
func (d *Disk) promise(a Ack, db, messages string, calls []Call) string {
	wal := d.find(db + "-wal")
	if wal == nil {
		return "there is no log"
	}
	if a.Row == "" {
		wrote := slices.ContainsFunc(calls, func(c Call) bool {
			return c.Path == db+"-wal" && strings.HasPrefix(c.Name, "pwrite") && !c.Time.Before(a.Sent) && c.Time.Before(a.Got)
		})
		switch {
		case !wrote:
			return "nothing was written to the log"
		case !bytes.Equal(wal.live, wal.safe):
			return "the log is not synced"
		}
		return ""
	}
	switch d.rows(a.Row, wal, db) {
	case unwritten:
		return "its rows were not written"
	case unsynced:
		return "its rows are not synced"
	}
	if a.Tail == "" || d.committed(a.Tail, wal, db) == safe {
		return ""
	}
	return d.filed(a.Tail, messages)
}

type state int

const (
	unwritten state = iota
	unsynced
	safe
)

// rows tells how far the rows of a message are. Where a page of the database
// ends within the bytes that are looked for, one half of them is still whole.
func (d *Disk) rows(row string, wal *node, db string) state {
	half := len(row) / 2
	for _, part := range []string{row, row[half:], row[:half]} {
		if how := d.committed(part, wal, db); how != unwritten {
			return how
		}
	}
	return unwritten
}

// committed tells how far bytes of a row are: they are safe when from their frame in the
// log to the frame that ends its transaction all bytes are.
func (d *Disk) committed(row string, wal *node, db string) state {
	if main := d.find(db); main != nil && bytes.Contains(main.safe, []byte(row)) {
		return safe
	}
	const header, frameHeader = 32, 24 // SQLite file format, 4.1
	if len(wal.live) < header {
		return unwritten
	}
	frame := frameHeader + int(binary.BigEndian.Uint32(wal.live[8:]))
	found := unwritten
	for at := 0; ; {
		i := bytes.Index(wal.live[at:], []byte(row))
		if i < 0 {
			return found
		}
		found = unsynced
		at += i + 1
		first := header + (at-1-header)/frame*frame
		for end := first; end+frame <= len(wal.live); end += frame {
			if binary.BigEndian.Uint32(wal.live[end+4:]) == 0 {
				continue
			}
			if end += frame; end <= len(wal.safe) && bytes.Equal(wal.live[first:end], wal.safe[first:end]) {
				return safe
			}
			break
		}
	}
}

// filed tells what is missing until the message that ends in tail stands in a
// file with all its names.
func (d *Disk) filed(tail, messages string) string {
	var file *node
	names := map[*node]int{}
	walk(d.find(messages), func(n *node) map[string]*node { return n.entries }, func(n *node) {
		if bytes.Contains(n.live, []byte(tail)) {
			file = n
			names[n]++
		}
	})
	if file == nil {
		return "its bytes are neither in the log nor in a file"
	}
	if !bytes.Equal(file.live, file.safe) {
		return "its file is not synced: " + file.path
	}
	safe := 0
	walk(d.top, func(n *node) map[string]*node { return n.kept }, func(n *node) {
		if n == file {
			safe++
		}
	})
	if safe < names[file] {
		return fmt.Sprintf("a folder is not synced: %d of the %d names of %s would be left", safe, names[file], file.path)
	}
	return ""
}

// walk visits files by the names of now, or by the safe ones.
func walk(n *node, names func(*node) map[string]*node, visit func(*node)) {
	if n == nil {
		return
	}
	for _, c := range names(n) {
		if c.dir {
			walk(c, names, visit)
		} else {
			visit(c)
		}
	}
}
