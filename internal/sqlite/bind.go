package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"

	lib "modernc.org/sqlite/lib"
)

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
