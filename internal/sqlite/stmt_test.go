package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type named int64
type text string
type flags uint8

func TestArgumentsAndColumns(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	five := int64(5)
	var null *int64
	for _, c := range []struct{ in, want any }{
		{nil, nil}, {int64(-3), int64(-3)}, {7, int64(7)}, {uint32(8), int64(8)}, {true, int64(1)}, {false, int64(0)},
		{1.5, 1.5}, {"", ""}, {"ü\x00x", "ü\x00x"}, {[]byte{}, []byte{}}, {[]byte(nil), nil}, {[]byte{0, 1}, []byte{0, 1}},
		{named(9), int64(9)}, {text("t"), "t"}, {flags(255), int64(255)}, {&five, int64(5)}, {null, nil},
		{sql.NullString{}, nil}, {sql.NullString{String: "s", Valid: true}, "s"}, {uint64(10), int64(10)},
	} {
		var got any
		err := db.View(context.Background(), func(tx *Tx) error { return tx.QueryRow("SELECT ?", c.in).Scan(&got) })
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%T %v: got %T %v, err %v", c.in, c.in, got, got, err)
		}
	}
	err := db.View(context.Background(), func(tx *Tx) error { return tx.QueryRow("SELECT ?", uint64(1)<<63).Scan(new(any)) })
	if err == nil {
		t.Error("a number that does not fit was stored")
	}
}

func TestScanTypes(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	var a named
	var b text
	var c flags
	var d *int64
	var e *string
	var f sql.NullInt64
	var g []byte
	var h float64
	var i bool
	var j uint32
	err := db.View(context.Background(), func(tx *Tx) error {
		return tx.QueryRow("SELECT 1, 'two', 3, NULL, 'five', 6, x'', 8.5, 1, 4294967295").Scan(&a, &b, &c, &d, &e, &f, &g, &h, &i, &j)
	})
	if err != nil {
		t.Fatal(err)
	}
	if a != 1 || b != "two" || c != 3 || d != nil || e == nil || *e != "five" || f.Int64 != 6 || g == nil || len(g) != 0 || h != 8.5 || !i || j != 1<<32-1 {
		t.Error(a, b, c, d, e, f, g, h, i, j)
	}
	var n int
	var s string
	for query, dest := range map[string]any{"SELECT NULL": &n, "SELECT 'x'": &n, "SELECT NULL ": &s, "SELECT 256": &c, "SELECT -1": &c} {
		err := db.View(context.Background(), func(tx *Tx) error { return tx.QueryRow(query).Scan(dest) })
		if err == nil {
			t.Errorf("%s into %T was taken", query, dest)
		}
	}
}

func TestStatementCache(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	err := db.between(context.Background(), func(c *conn) error {
		c.keep = 10
		for i := range 100 {
			if _, err := c.integer(fmt.Sprintf("SELECT %d", i%20)); err != nil {
				return err
			}
			if len(c.stmts) > 10 {
				return fmt.Errorf("%d statements kept", len(c.stmts))
			}
		}
		one := c.stmts["SELECT 19"]
		if one == nil {
			return errors.New("the last one is not kept")
		}
		if _, err := c.integer("SELECT 19"); err != nil || c.stmts["SELECT 19"] != one {
			return fmt.Errorf("prepared anew: %v", err)
		}
		if len(c.active) != 0 {
			return fmt.Errorf("%d statements open", len(c.active))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A query may run inside itself, and old Rows cannot touch a later use.
func TestNestedQuery(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	var escaped *Tx
	err := db.Update(context.Background(), func(tx *Tx) error {
		escaped = tx
		for i := range 3 {
			if err := put(i)(tx); err != nil {
				return err
			}
		}
		const all = "SELECT v FROM kv ORDER BY v"
		outer, err := tx.Query(all)
		if err != nil {
			return err
		}
		var got []int
		for outer.Next() {
			inner, err := tx.Query(all)
			if err != nil {
				return err
			}
			for inner.Next() {
				var v int
				if err := inner.Scan(&v); err != nil {
					return err
				}
				got = append(got, v)
			}
			defer inner.Close()
		}
		if !cmp.Equal(got, []int{0, 1, 2, 0, 1, 2, 0, 1, 2}) {
			t.Error(got)
		}
		again, err := tx.Query(all)
		if err != nil {
			return err
		}
		outer.Close()
		if !again.Next() {
			t.Error("an old Close ended a new query")
		}
		_, err = tx.Exec("SELECT 1; SELECT 2")
		if err == nil {
			t.Error("two statements were taken")
		}
		_, err = tx.Exec("SELECT ?")
		if err == nil {
			t.Error("a missing argument was taken")
		}
		return nil // again is open: the transaction's end closes it
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := escaped.Exec("DELETE FROM kv"); err == nil {
		t.Error("a transaction was used after its end")
	}
}

func TestViewSeesOneState(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	err := db.View(context.Background(), func(tx *Tx) error {
		var before, after int
		if err := tx.QueryRow("SELECT count(*) FROM kv").Scan(&before); err != nil {
			return err
		}
		if err := db.Update(context.Background(), put("new")); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM kv").Scan(&after); err != nil {
			return err
		}
		if before != after {
			t.Errorf("%d rows, then %d", before, after)
		}
		if _, err := tx.Exec("DELETE FROM kv"); err == nil {
			t.Error("a view wrote")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCancelledViewEndsItsQuery(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := db.View(ctx, func(tx *Tx) error {
		rows, err := tx.Query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c")
		if err != nil {
			return err
		}
		for ; rows.Next(); n++ {
			cancel()
		}
		return rows.Err()
	})
	if !errors.Is(err, context.Canceled) || n > 1000 {
		t.Errorf("%v after %d rows", err, n)
	}
}
