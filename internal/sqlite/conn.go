package sqlite

import (
	"fmt"
	"syscall"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// conn is one connection, used by one goroutine at a time. It calls the
// library directly: database/sql and its driver cost more per statement than
// SQLite itself does for the short statements of a mail server.
type conn struct {
	tls     *libc.TLS
	db      uintptr
	out     uintptr // 32 bytes of C memory for out parameters
	stmts   map[string]*stmt
	active  []*stmt // those between prepare and release
	clock   uint64  // counts uses, for the eviction of statements
	keep    int     // how many prepared statements are kept
	ioerr   error   // the first I/O error any statement saw
	written int64   // bytes bound and statements run since the last begin, for the batch limit
}

// at turns an address in C memory into a pointer.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// cbytes views n bytes of C memory.
func cbytes(p uintptr, n int) []byte { return unsafe.Slice((*byte)(at(p)), n) }

// cstring copies s into C memory with a final zero; free it with c.free.
func (c *conn) cstring(s string) (uintptr, error) {
	p := lib.Xsqlite3_malloc64(c.tls, lib.Tsqlite3_uint64(len(s)+1))
	if p == 0 {
		return 0, errNoMemory
	}
	b := cbytes(p, len(s)+1)
	copy(b, s)
	b[len(s)] = 0
	return p, nil
}

func (c *conn) free(p uintptr) { lib.Xsqlite3_free(c.tls, p) }

// open opens a file. vfs "" is the system's.
func open(path, vfs string, flags int32) (*conn, error) {
	c := &conn{tls: libc.NewTLS(), stmts: make(map[string]*stmt), keep: 256}
	var err error
	if c.out = lib.Xsqlite3_malloc64(c.tls, 32); c.out == 0 {
		c.tls.Close()
		return nil, errNoMemory
	}
	name, err := c.cstring(path)
	if err != nil {
		return nil, err
	}
	defer c.free(name)
	var zvfs uintptr
	if vfs != "" {
		if zvfs, err = c.cstring(vfs); err != nil {
			return nil, err
		}
		defer c.free(zvfs)
	}
	// One goroutine at a time uses a connection, so its mutex is left out.
	rc := lib.Xsqlite3_open_v2(c.tls, name, c.out, flags|lib.SQLITE_OPEN_NOMUTEX|lib.SQLITE_OPEN_EXRESCODE, zvfs)
	c.db = *(*uintptr)(at(c.out))
	if rc != lib.SQLITE_OK {
		err = c.error(rc, "open "+path)
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.finalize()
	}
	c.stmts = nil
	rc := int32(lib.SQLITE_OK)
	if c.db != 0 {
		rc = lib.Xsqlite3_close_v2(c.tls, c.db)
	}
	if c.out != 0 {
		c.free(c.out)
	}
	c.tls.Close()
	if rc != lib.SQLITE_OK {
		return &Error{Code: int(rc), Msg: "close"}
	}
	return nil
}

// error makes the error of a failed call and remembers I/O errors.
func (c *conn) error(rc int32, query string) error {
	e := &Error{Code: int(rc), Query: query}
	if c.db != 0 {
		e.Msg = libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db))
	} else {
		e.Msg = libc.GoString(lib.Xsqlite3_errstr(c.tls, rc))
	}
	if e.Code == lib.SQLITE_IOERR_WRITE && syscall.Errno(lib.Xsqlite3_system_errno(c.tls, c.db)) == syscall.EDQUOT {
		e.Code = lib.SQLITE_FULL // as SQLite itself says for ENOSPC
	}
	if e.io() && c.ioerr == nil {
		c.ioerr = e
	}
	return e
}

// autocommit tells whether no transaction is open.
func (c *conn) autocommit() bool { return lib.Xsqlite3_get_autocommit(c.tls, c.db) != 0 }

// script runs SQL of several statements that take no arguments.
func (c *conn) script(sql string) error {
	z, err := c.cstring(sql)
	if err != nil {
		return err
	}
	defer c.free(z)
	if rc := lib.Xsqlite3_exec(c.tls, c.db, z, 0, 0, 0); rc != lib.SQLITE_OK {
		return c.error(rc, sql)
	}
	return nil
}

// integer runs a query whose answer is one number.
func (c *conn) integer(query string, args ...any) (n int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	defer s.release()
	if err := s.bind(args); err != nil {
		return 0, err
	}
	row, err := s.step()
	if err != nil {
		return 0, err
	}
	if !row {
		return 0, ErrNoRows
	}
	return s.int64(0), nil
}

// run executes a statement without arguments and results.
func (c *conn) run(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	defer s.release()
	_, err = s.step()
	return err
}

// reset ends every statement that is still open, before a transaction ends.
func (c *conn) reset() {
	for n := len(c.active); n > 0; n = len(c.active) {
		c.active[n-1].release()
	}
}

// checkpoint moves the log into the file; log and done count pages of the log.
func (c *conn) checkpoint(mode int32) (log, done int, err error) {
	rc := lib.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, mode, c.out, c.out+8)
	log, done = int(*(*int32)(at(c.out))), int(*(*int32)(at(c.out + 8)))
	if rc != lib.SQLITE_OK {
		return log, done, c.error(rc, "checkpoint")
	}
	return log, done, nil
}

// timeout sets how long a lock held by another connection is waited for.
func (c *conn) timeout(ms int32) error {
	if rc := lib.Xsqlite3_busy_timeout(c.tls, c.db, ms); rc != lib.SQLITE_OK {
		return c.error(rc, "busy_timeout")
	}
	return nil
}

// Error is what SQLite says went wrong.
type Error struct {
	Code  int // extended result code
	Msg   string
	Query string
}

func (e *Error) Error() string {
	if e.Query == "" {
		return fmt.Sprintf("%s (%d)", e.Msg, e.Code)
	}
	return fmt.Sprintf("%s (%d) in %q", e.Msg, e.Code, e.Query)
}
