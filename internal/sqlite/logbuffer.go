package sqlite

import (
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// SQLite writes each page of a commit to the log in two small pieces, at odd
// offsets. Here they wait in memory and become one write before the sync that
// every commit of a database with synchronous=FULL asks for. Nobody reads them
// before: other connections look only at what the log's index names, and that
// is changed after the sync; the writer itself gets them written first.
//
// An error of the joined write is the error of the sync, and so of the COMMIT.

// logRoom is how much waits at most. The system's VFS writes less than 128 KiB
// at a time; it takes more for a full disk.
const logRoom = 120 << 10

// flush writes what waits. It waits no more, whatever comes of it: after an
// error SQLite rolls back and writes that part of the log anew.
func (t *tail) flush(tls *libc.TLS, file uintptr, system *lib.Tsqlite3_io_methods) int32 {
	n := t.n
	if n == 0 {
		return lib.SQLITE_OK
	}
	t.n = 0
	return function[writeFunc](system.FxWrite)(tls, file, t.buf, int32(n), t.off)
}

func logWrite(tls *libc.TLS, file, buf uintptr, n int32, off lib.Tsqlite3_int64) int32 {
	_, _, t, system := of(file)
	if t.n > 0 && (off != t.off+int64(t.n) || t.n+int(n) > logRoom) {
		if rc := t.flush(tls, file, system); rc != lib.SQLITE_OK {
			return rc
		}
	}
	if t.buf == 0 {
		t.buf = lib.Xsqlite3_malloc64(tls, logRoom)
	}
	if t.buf == 0 || n > logRoom {
		return function[writeFunc](system.FxWrite)(tls, file, buf, n, off)
	}
	if t.n == 0 {
		t.off = off
	}
	copy(cbytes(t.buf+uintptr(t.n), int(n)), cbytes(buf, int(n)))
	t.n += int(n)
	return lib.SQLITE_OK
}

func logRead(tls *libc.TLS, file, buf uintptr, n int32, off lib.Tsqlite3_int64) int32 {
	_, _, t, system := of(file)
	if rc := t.flush(tls, file, system); rc != lib.SQLITE_OK {
		return rc
	}
	return function[readFunc](system.FxRead)(tls, file, buf, n, off)
}

func logTruncate(tls *libc.TLS, file uintptr, size lib.Tsqlite3_int64) int32 {
	_, _, t, system := of(file)
	if rc := t.flush(tls, file, system); rc != lib.SQLITE_OK {
		return rc
	}
	return function[truncateFunc](system.FxTruncate)(tls, file, size)
}

func logSize(tls *libc.TLS, file, size uintptr) int32 {
	_, _, t, system := of(file)
	if rc := t.flush(tls, file, system); rc != lib.SQLITE_OK {
		return rc
	}
	return function[sizeFunc](system.FxFileSize)(tls, file, size)
}

func logSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	_, _, t, system := of(file)
	if rc := t.flush(tls, file, system); rc != lib.SQLITE_OK {
		return rc
	}
	return diskSync(tls, file, flags)
}

// logClose drops what waits: it belongs to no commit.
func logClose(tls *libc.TLS, file uintptr) int32 {
	_, _, t, system := of(file)
	if t.buf != 0 {
		lib.Xsqlite3_free(tls, t.buf)
	}
	*t = tail{}
	return function[closeFunc](system.FxClose)(tls, file)
}
