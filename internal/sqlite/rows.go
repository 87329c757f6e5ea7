package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"

	lib "modernc.org/sqlite/lib"
)

// Result of Exec.
type Result struct{ id, rows int64 }

// RowsAffected counts the rows that the statement changed.
func (r Result) RowsAffected() (int64, error) { return r.rows, nil }

// LastInsertId is the row id of the last insert.
func (r Result) LastInsertId() (int64, error) { return r.id, nil }

// Rows are the results of Query; Close may be left out after Next gave false.
type Rows struct {
	s    *stmt
	ctx  context.Context
	n    int
	gen  uint64
	err  error
	done bool
}

func (r *Rows) live() bool { return !r.done && r.s.gen == r.gen }

// rowsBetween is how many rows are read between two looks at the context.
const rowsBetween = 256

// Next steps to the next row.
func (r *Rows) Next() bool {
	if !r.live() {
		return false
	}
	if r.n++; r.n%rowsBetween == 0 && r.ctx.Err() != nil {
		r.err = context.Cause(r.ctx)
		r.Close()
		return false
	}
	row, err := r.s.step()
	if err != nil || !row {
		r.err = err
		r.Close()
	}
	return row
}

// Scan copies the columns of the current row.
func (r *Rows) Scan(dest ...any) error {
	if !r.live() {
		return errTxDone
	}
	return r.s.scan(dest)
}

// Err is the error that ended Next early.
func (r *Rows) Err() error { return r.err }

// Close ends the query. It may be called twice.
func (r *Rows) Close() error {
	if r.live() {
		r.s.release()
	}
	r.done = true
	return nil
}

// Row is the result of QueryRow. Scan must be called once.
type Row struct {
	s   *stmt
	gen uint64
	err error
}

// Scan copies the columns of the only row, or gives ErrNoRows.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if r.s.gen != r.gen {
		return errTxDone
	}
	err := r.s.scan(dest)
	r.s.release()
	return err
}

// scan copies the current row into dest.
func (s *stmt) scan(dest []any) error {
	if len(dest) != s.cols {
		return fmt.Errorf("%d destinations for %d columns of %q", len(dest), s.cols, s.query)
	}
	for i, d := range dest {
		if err := s.column(i, d); err != nil {
			return fmt.Errorf("column %d of %q: %w", i, s.query, err)
		}
	}
	return nil
}

func (s *stmt) column(i int, dest any) error {
	switch d := dest.(type) {
	case *int64:
		return s.number(i, d)
	case *int:
		var n int64
		err := s.number(i, &n)
		*d = int(n)
		return err
	case *uint32:
		var n int64
		err := s.number(i, &n)
		*d = uint32(n)
		return err
	case *bool:
		var n int64
		err := s.number(i, &n)
		*d = n != 0
		return err
	case *string:
		if s.kind(i) == lib.SQLITE_NULL {
			return errNull
		}
		*d = string(s.raw(i))
		return nil
	case *[]byte:
		*d = s.bytes(i)
		return nil
	case sql.Scanner:
		return d.Scan(s.value(i))
	case *any:
		*d = s.value(i)
		return nil
	}
	return s.columnOther(i, reflect.ValueOf(dest))
}

func (s *stmt) number(i int, n *int64) error {
	switch s.kind(i) {
	case lib.SQLITE_INTEGER:
		*n = s.int64(i)
		return nil
	case lib.SQLITE_NULL:
		return errNull
	}
	return fmt.Errorf("%q is not a whole number", s.raw(i))
}

// bytes copies a column; NULL is nil, an empty one is not.
func (s *stmt) bytes(i int) []byte {
	if s.kind(i) == lib.SQLITE_NULL {
		return nil
	}
	b := s.raw(i)
	return append(make([]byte, 0, len(b)), b...)
}

// value is a column as the type it is stored with.
func (s *stmt) value(i int) any {
	switch s.kind(i) {
	case lib.SQLITE_INTEGER:
		return s.int64(i)
	case lib.SQLITE_FLOAT:
		return s.float(i)
	case lib.SQLITE_TEXT:
		return string(s.raw(i))
	case lib.SQLITE_BLOB:
		return s.bytes(i)
	}
	return nil
}

// columnOther scans into named types, and into pointers that NULL makes nil.
func (s *stmt) columnOther(i int, v reflect.Value) error {
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("destination is no pointer: %s", v.Type())
	}
	e := v.Elem()
	switch e.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if err := s.number(i, &n); err != nil {
			return err
		}
		if e.OverflowInt(n) {
			return fmt.Errorf("%d does not fit", n)
		}
		e.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n int64
		if err := s.number(i, &n); err != nil {
			return err
		}
		if n < 0 || e.OverflowUint(uint64(n)) {
			return fmt.Errorf("%d does not fit", n)
		}
		e.SetUint(uint64(n))
	case reflect.Bool:
		var n int64
		if err := s.number(i, &n); err != nil {
			return err
		}
		e.SetBool(n != 0)
	case reflect.Float32, reflect.Float64:
		if s.kind(i) == lib.SQLITE_NULL {
			return errNull
		}
		e.SetFloat(s.float(i))
	case reflect.String:
		if s.kind(i) == lib.SQLITE_NULL {
			return errNull
		}
		e.SetString(string(s.raw(i)))
	case reflect.Slice:
		if e.Type().Elem().Kind() != reflect.Uint8 {
			return fmt.Errorf("no scan into %s", e.Type())
		}
		e.SetBytes(s.bytes(i))
	case reflect.Pointer:
		if s.kind(i) == lib.SQLITE_NULL {
			e.SetZero()
			return nil
		}
		n := reflect.New(e.Type().Elem())
		if err := s.column(i, n.Interface()); err != nil {
			return err
		}
		e.Set(n)
	default:
		return fmt.Errorf("no scan into %s", e.Type())
	}
	return nil
}
