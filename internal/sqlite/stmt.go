package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
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

// bind gives the statement its arguments.
func (s *stmt) bind(args []any) error {
	if len(args) != s.params {
		return fmt.Errorf("%d arguments for %d parameters of %q", len(args), s.params, s.query)
	}
	n := 8
	for _, a := range args {
		switch v := a.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	s.c.written += int64(n)
	if err := s.reserve(n); err != nil {
		return err
	}
	off := 0
	for i, a := range args {
		var err error
		if off, err = s.bindOne(int32(i+1), a, off); err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) reserve(n int) error {
	if n <= s.cap {
		return nil
	}
	if s.buf != 0 {
		s.c.free(s.buf)
	}
	n = max(n, 64)
	s.buf, s.cap = lib.Xsqlite3_malloc64(s.c.tls, lib.Tsqlite3_uint64(n)), n
	if s.buf == 0 {
		s.cap = 0
		return errNoMemory
	}
	return nil
}

func (s *stmt) bindOne(i int32, a any, off int) (int, error) {
	tls, p := s.c.tls, s.p
	var rc int32
	switch v := a.(type) {
	case nil:
		rc = lib.Xsqlite3_bind_null(tls, p, i)
	case int64:
		rc = lib.Xsqlite3_bind_int64(tls, p, i, v)
	case int:
		rc = lib.Xsqlite3_bind_int64(tls, p, i, int64(v))
	case uint32:
		rc = lib.Xsqlite3_bind_int64(tls, p, i, int64(v))
	case bool:
		var n int64
		if v {
			n = 1
		}
		rc = lib.Xsqlite3_bind_int64(tls, p, i, n)
	case float64:
		rc = lib.Xsqlite3_bind_double(tls, p, i, v)
	case string:
		copy(cbytes(s.buf+uintptr(off), len(v)), v)
		rc = lib.Xsqlite3_bind_text(tls, p, i, s.buf+uintptr(off), int32(len(v)), lib.SQLITE_STATIC)
		off += len(v)
	case []byte:
		if v == nil {
			rc = lib.Xsqlite3_bind_null(tls, p, i)
			break
		}
		copy(cbytes(s.buf+uintptr(off), len(v)), v)
		rc = lib.Xsqlite3_bind_blob(tls, p, i, s.buf+uintptr(off), int32(len(v)), lib.SQLITE_STATIC)
		off += len(v)
	default:
		return off, s.bindOther(i, a)
	}
	if rc != lib.SQLITE_OK {
		return off, s.c.error(rc, s.query)
	}
	return off, nil
}

// bindOther binds named types, pointers and Valuers; text is copied by SQLite.
func (s *stmt) bindOther(i int32, a any) error {
	if v, ok := a.(driver.Valuer); ok {
		if rv := reflect.ValueOf(a); rv.Kind() == reflect.Pointer && rv.IsNil() {
			return s.bindSimple(i, nil)
		}
		x, err := v.Value()
		if err != nil {
			return err
		}
		return s.bindSimple(i, x)
	}
	v := reflect.ValueOf(a)
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return s.bindSimple(i, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return fmt.Errorf("argument %d of %q: %d is too large", i, s.query, v.Uint())
		}
		return s.bindSimple(i, int64(v.Uint()))
	case reflect.Float32, reflect.Float64:
		return s.bindSimple(i, v.Float())
	case reflect.Bool:
		return s.bindSimple(i, v.Bool())
	case reflect.String:
		return s.bindSimple(i, v.String())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return s.bindSimple(i, v.Bytes())
		}
	case reflect.Pointer:
		if v.IsNil() {
			return s.bindSimple(i, nil)
		}
		return s.bindOther(i, v.Elem().Interface())
	}
	return fmt.Errorf("argument %d of %q: type %T is not stored", i, s.query, a)
}

func (s *stmt) bindSimple(i int32, a any) error {
	var b []byte
	text := false
	switch v := a.(type) {
	case string:
		b, text = []byte(v), true
	case []byte:
		b = v
		if v == nil {
			a = nil
		}
	}
	switch a.(type) {
	case nil, int64, float64, bool:
		_, err := s.bindOne(i, a, 0)
		return err
	case string, []byte:
	default:
		return fmt.Errorf("argument %d of %q: type %T is not stored", i, s.query, a)
	}
	z, err := s.c.cstring(string(b))
	if err != nil {
		return err
	}
	defer s.c.free(z)
	var rc int32
	if text {
		rc = lib.Xsqlite3_bind_text(s.c.tls, s.p, i, z, int32(len(b)), lib.SQLITE_TRANSIENT)
	} else {
		rc = lib.Xsqlite3_bind_blob(s.c.tls, s.p, i, z, int32(len(b)), lib.SQLITE_TRANSIENT)
	}
	if rc != lib.SQLITE_OK {
		return s.c.error(rc, s.query)
	}
	return nil
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
