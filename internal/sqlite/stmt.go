package sqlite

import (
	"fmt"
	"slices"

	lib "modernc.org/sqlite/lib"
)

// stmt is a prepared statement. Text and blob arguments are copied into memory
// of its own, which SQLite reads in place: no allocation per execution.
type stmt struct {
	c      *conn
	p      uintptr
	query  string
	params int
	cols   int
	used   uint64 // the connection's clock at the last use
	busy   bool   // between prepare and release
	cached bool
	gen    uint64 // counts releases, so that old Rows cannot touch a new use
	buf    uintptr
	cap    int
}

// largestBuffer is what a statement keeps between uses.
const largestBuffer = 64 << 10

// prepare finds or makes the statement for query and marks it busy.
func (c *conn) prepare(query string) (*stmt, error) {
	c.clock++
	s := c.stmts[query]
	if s != nil && !s.busy {
		s.busy, s.used = true, c.clock
		c.active = append(c.active, s)
		return s, nil
	}
	fresh, err := c.compile(query)
	if err != nil {
		return nil, err
	}
	fresh.busy, fresh.used = true, c.clock
	if s == nil { // a query that runs inside itself gets a second statement, not kept
		if len(c.stmts) >= c.keep {
			c.evict()
		}
		fresh.cached = true
		c.stmts[query] = fresh
	}
	c.active = append(c.active, fresh)
	return fresh, nil
}

func (c *conn) compile(query string) (*stmt, error) {
	z, err := c.cstring(query)
	if err != nil {
		return nil, err
	}
	defer c.free(z)
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, z, int32(len(query)+1), lib.SQLITE_PREPARE_PERSISTENT, c.out, c.out+8)
	if rc != lib.SQLITE_OK {
		return nil, c.error(rc, query)
	}
	s := &stmt{c: c, p: *(*uintptr)(at(c.out)), query: query}
	if s.p == 0 {
		return nil, fmt.Errorf("empty statement %q", query)
	}
	tail := int(*(*uintptr)(at(c.out + 8)) - z)
	for _, b := range []byte(query[tail:]) {
		if b != ' ' && b != '\n' && b != '\t' && b != ';' {
			s.finalize()
			return nil, fmt.Errorf("more than one statement in %q", query)
		}
	}
	s.params = int(lib.Xsqlite3_bind_parameter_count(c.tls, s.p))
	s.cols = int(lib.Xsqlite3_column_count(c.tls, s.p))
	return s, nil
}

// evict drops the statement that was not used for the longest time.
func (c *conn) evict() {
	var old *stmt
	for _, s := range c.stmts {
		if !s.busy && (old == nil || s.used < old.used) {
			old = s
		}
	}
	if old != nil {
		delete(c.stmts, old.query)
		old.finalize()
	}
}

func (s *stmt) finalize() {
	lib.Xsqlite3_finalize(s.c.tls, s.p)
	if s.buf != 0 {
		s.c.free(s.buf)
	}
	s.p, s.buf, s.cap = 0, 0, 0
}

// release ends an execution and makes the statement free for the next.
func (s *stmt) release() {
	s.gen++
	for i := len(s.c.active) - 1; i >= 0; i-- {
		if s.c.active[i] == s {
			s.c.active = slices.Delete(s.c.active, i, i+1)
			break
		}
	}
	if !s.cached {
		s.finalize()
		return
	}
	lib.Xsqlite3_reset(s.c.tls, s.p)
	s.busy = false
	if s.cap > largestBuffer {
		// The stale bindings are never read: every execution binds all anew.
		s.c.free(s.buf)
		s.buf, s.cap = 0, 0
	}
}

// step gives true for a row and false at the end.
func (s *stmt) step() (bool, error) {
	switch rc := lib.Xsqlite3_step(s.c.tls, s.p); rc {
	case lib.SQLITE_ROW:
		return true, nil
	case lib.SQLITE_DONE:
		return false, nil
	default:
		return false, s.c.error(rc, s.query)
	}
}

// Columns of the current row.
func (s *stmt) int64(i int) int64 {
	return lib.Xsqlite3_column_int64(s.c.tls, s.p, int32(i))
}

func (s *stmt) float(i int) float64 { return lib.Xsqlite3_column_double(s.c.tls, s.p, int32(i)) }

func (s *stmt) kind(i int) int32 { return lib.Xsqlite3_column_type(s.c.tls, s.p, int32(i)) }

// raw views a column's bytes, valid until the next step.
func (s *stmt) raw(i int) []byte {
	p := lib.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	if p == 0 {
		return nil
	}
	return cbytes(p, int(lib.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))))
}
