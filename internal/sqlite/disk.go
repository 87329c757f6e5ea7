package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// disk stands between SQLite and the system's files of one database. It is the
// system's own VFS but for three things: it syncs by fdatasync, which over
// blocks that are there already costs half of what fsync does; it joins the
// writes of one commit to the log into one (see logbuffer.go); it counts syncs,
// and can let one fail for the tests. All its memory is C memory, since SQLite
// keeps the addresses.
type disk struct {
	tls   *libc.TLS
	name  string
	vfs   uintptr // a sqlite3_vfs, followed by its name and its state
	state *diskState
}

// diskState is what the callbacks see; vfs.pAppData points to it.
type diskState struct {
	system uintptr // the system's sqlite3_vfs
	join   bool    // writes to the log wait for its sync
	syncs  atomic.Int64
	fail   atomic.Int32   // syncs to let fail; below zero all
	first  atomic.Uintptr // our io_methods, a list
}

// methods is an io_methods table with what our methods need behind it.
type methods struct {
	lib.Tsqlite3_io_methods
	system uintptr // the system's table
	state  uintptr
	next   uintptr
	log    bool // of the log
}

// tail is what stands behind the system's file object.
type tail struct {
	synced bool    // the first sync was the system's, which syncs the folder too
	buf    uintptr // writes that wait
	n      int
	off    int64 // of the first of them in the file
}

// newDisk registers a VFS of our own. join says that every commit syncs the log,
// so that its writes may wait until then.
func newDisk(join bool) (*disk, error) {
	tls := libc.NewTLS()
	system := lib.Xsqlite3_vfs_find(tls, 0)
	if system == 0 {
		tls.Close()
		return nil, fmt.Errorf("no VFS")
	}
	const nameRoom = 32
	size := unsafe.Sizeof(lib.Tsqlite3_vfs{})
	vfs := lib.Xsqlite3_malloc64(tls, lib.Tsqlite3_uint64(size+nameRoom+unsafe.Sizeof(diskState{})))
	if vfs == 0 {
		tls.Close()
		return nil, errNoMemory
	}
	d := &disk{tls: tls, vfs: vfs, name: fmt.Sprintf("mailstead-%x", vfs)}
	v := (*lib.Tsqlite3_vfs)(at(vfs))
	inherit(v, (*lib.Tsqlite3_vfs)(at(system)))
	copy(cbytes(vfs+size, nameRoom), d.name+"\x00")
	state := vfs + size + nameRoom
	d.state = (*diskState)(at(state))
	clear(cbytes(state, int(unsafe.Sizeof(diskState{}))))
	d.state.system, d.state.join = system, join
	open := diskOpen
	v.FzName, v.FpAppData = vfs+size, state
	v.FszOsFile = roundUp((*lib.Tsqlite3_vfs)(at(system)).FszOsFile) + int32(unsafe.Sizeof(tail{}))
	v.FxOpen = *(*uintptr)(unsafe.Pointer(&open))
	if rc := lib.Xsqlite3_vfs_register(tls, vfs, 0); rc != lib.SQLITE_OK {
		lib.Xsqlite3_free(tls, vfs)
		tls.Close()
		return nil, &Error{Code: int(rc), Msg: "register VFS"}
	}
	return d, nil
}

// inherit takes the system's functions over. Field by field: its link to the
// next VFS changes under a lock of the library when another database is opened.
func inherit(v, s *lib.Tsqlite3_vfs) {
	*v = lib.Tsqlite3_vfs{
		FiVersion: s.FiVersion, FmxPathname: s.FmxPathname, FxDelete: s.FxDelete, FxAccess: s.FxAccess,
		FxFullPathname: s.FxFullPathname, FxDlOpen: s.FxDlOpen, FxDlError: s.FxDlError, FxDlSym: s.FxDlSym, FxDlClose: s.FxDlClose, FxRandomness: s.FxRandomness, FxSleep: s.FxSleep, FxCurrentTime: s.FxCurrentTime, FxGetLastError: s.FxGetLastError, FxCurrentTimeInt64: s.FxCurrentTimeInt64, FxSetSystemCall: s.FxSetSystemCall,
		FxGetSystemCall: s.FxGetSystemCall, FxNextSystemCall: s.FxNextSystemCall,
	}
}

func roundUp(n int32) int32 { return (n + 7) &^ 7 }

// close is called when no connection is left.
func (d *disk) close() {
	lib.Xsqlite3_vfs_unregister(d.tls, d.vfs)
	for p := d.state.first.Load(); p != 0; {
		next := (*methods)(at(p)).next
		lib.Xsqlite3_free(d.tls, p)
		p = next
	}
	lib.Xsqlite3_free(d.tls, d.vfs)
	d.tls.Close()
}

// Shapes of the methods.
type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
	readFunc     = func(tls *libc.TLS, file, buf uintptr, n int32, off lib.Tsqlite3_int64) int32
	writeFunc    = func(tls *libc.TLS, file, buf uintptr, n int32, off lib.Tsqlite3_int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size lib.Tsqlite3_int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	sizeFunc     = func(tls *libc.TLS, file, size uintptr) int32
)

// function makes an address in C memory callable.
func function[F any](p uintptr) F {
	f := struct{ p uintptr }{p}
	return *(*F)(unsafe.Pointer(&f))
}

// address makes a function callable by SQLite. fn must be a package's function:
// nothing keeps a closure alive.
func address[F any](fn F) uintptr { return *(*uintptr)(unsafe.Pointer(&fn)) }

// of finds what belongs to an open file.
func of(file uintptr) (m *methods, s *diskState, t *tail, system *lib.Tsqlite3_io_methods) {
	m = (*methods)(at((*lib.Tsqlite3_file)(at(file)).FpMethods))
	s = (*diskState)(at(m.state))
	size := roundUp((*lib.Tsqlite3_vfs)(at(s.system)).FszOsFile)
	return m, s, (*tail)(at(file + uintptr(size))), (*lib.Tsqlite3_io_methods)(at(m.system))
}

// diskOpen lets the system open the file and gives it our methods.
func diskOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	state := (*lib.Tsqlite3_vfs)(at(vfs)).FpAppData
	s := (*diskState)(at(state))
	system := (*lib.Tsqlite3_vfs)(at(s.system))
	*(*tail)(at(file + uintptr(roundUp(system.FszOsFile)))) = tail{}
	rc := function[openFunc](system.FxOpen)(tls, s.system, name, file, flags, out)
	f := (*lib.Tsqlite3_file)(at(file))
	if rc != lib.SQLITE_OK || f.FpMethods == 0 {
		return rc
	}
	log := s.join && flags&lib.SQLITE_OPEN_WAL != 0
	for p := s.first.Load(); p != 0; p = (*methods)(at(p)).next {
		if m := (*methods)(at(p)); m.system == f.FpMethods && m.log == log {
			f.FpMethods = p
			return rc
		}
	}
	if p := s.table(tls, state, f.FpMethods, log); p != 0 {
		f.FpMethods = p
	}
	return rc
}

// table makes our form of a table of the system's. Two connections may make the
// same one at once, which does no harm.
func (s *diskState) table(tls *libc.TLS, state, system uintptr, log bool) uintptr {
	p := lib.Xsqlite3_malloc64(tls, lib.Tsqlite3_uint64(unsafe.Sizeof(methods{})))
	if p == 0 {
		return 0
	}
	m := (*methods)(at(p))
	*m = methods{Tsqlite3_io_methods: *(*lib.Tsqlite3_io_methods)(at(system)), system: system, state: state, log: log}
	m.FxSync = address[syncFunc](diskSync)
	if log {
		m.FxClose = address[closeFunc](logClose)
		m.FxRead = address[readFunc](logRead)
		m.FxWrite = address[writeFunc](logWrite)
		m.FxTruncate = address[truncateFunc](logTruncate)
		m.FxSync = address[syncFunc](logSync)
		m.FxFileSize = address[sizeFunc](logSize)
	}
	for {
		m.next = s.first.Load()
		if s.first.CompareAndSwap(m.next, p) {
			return p
		}
	}
}

// diskSync makes what was written durable.
func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	_, s, t, system := of(file)
	s.syncs.Add(1)
	if n := s.fail.Load(); n != 0 {
		if n > 0 {
			s.fail.Add(-1)
		}
		return lib.SQLITE_IOERR_FSYNC
	}
	if !t.synced {
		rc := function[syncFunc](system.FxSync)(tls, file, flags)
		t.synced = rc == lib.SQLITE_OK
		return rc
	}
	for {
		switch err := unix.Fdatasync(int((*lib.TunixFile)(at(file)).Fh)); {
		case err == nil:
			return lib.SQLITE_OK
		case !errors.Is(err, unix.EINTR):
			return lib.SQLITE_IOERR_FSYNC
		}
	}
}
