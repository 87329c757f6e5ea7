package sqlite

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// disk stands between SQLite and the system's files of one database: it counts
// every sync that SQLite asks for, and can let one fail (the tests do). All of
// it is the system's own VFS but for xOpen and xSync. Its memory is C memory,
// since SQLite keeps the addresses.
type disk struct {
	tls   *libc.TLS
	name  string
	vfs   uintptr // a sqlite3_vfs, followed by its name and its state
	state *diskState
}

// diskState is what the callbacks see; vfs.pAppData points to it.
type diskState struct {
	system uintptr // the system's sqlite3_vfs
	syncs  atomic.Int64
	fail   atomic.Int32   // syncs to let fail; below zero all
	first  atomic.Uintptr // our io_methods, a list
}

// methods is an io_methods table with what our xSync needs behind it.
type methods struct {
	lib.Tsqlite3_io_methods
	system uintptr // the system's table
	state  uintptr
	next   uintptr
}

func newDisk() (*disk, error) {
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
	*v = *(*lib.Tsqlite3_vfs)(at(system))
	copy(cbytes(vfs+size, nameRoom), d.name+"\x00")
	state := vfs + size + nameRoom
	d.state = (*diskState)(at(state))
	clear(cbytes(state, int(unsafe.Sizeof(diskState{}))))
	d.state.system = system
	open := diskOpen
	v.FpNext, v.FzName, v.FpAppData = 0, vfs+size, state
	v.FxOpen = *(*uintptr)(unsafe.Pointer(&open))
	if rc := lib.Xsqlite3_vfs_register(tls, vfs, 0); rc != lib.SQLITE_OK {
		lib.Xsqlite3_free(tls, vfs)
		tls.Close()
		return nil, &Error{Code: int(rc), Msg: "register VFS"}
	}
	return d, nil
}

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

type openFunc = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
type syncFunc = func(tls *libc.TLS, file uintptr, flags int32) int32

// diskOpen lets the system open the file and gives it our methods.
func diskOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	state := (*lib.Tsqlite3_vfs)(at(vfs)).FpAppData
	s := (*diskState)(at(state))
	open := (*lib.Tsqlite3_vfs)(at(s.system)).FxOpen
	rc := (*(*openFunc)(unsafe.Pointer(&struct{ f uintptr }{open})))(tls, s.system, name, file, flags, out)
	f := (*lib.Tsqlite3_file)(at(file))
	if rc != lib.SQLITE_OK || f.FpMethods == 0 {
		return rc
	}
	for p := s.first.Load(); p != 0; p = (*methods)(at(p)).next {
		if (*methods)(at(p)).system == f.FpMethods {
			f.FpMethods = p
			return rc
		}
	}
	if p := s.table(tls, state, f.FpMethods); p != 0 {
		f.FpMethods = p
	}
	return rc
}

// table makes our form of a table of the system's. Two connections may make the
// same one at once, which does no harm.
func (s *diskState) table(tls *libc.TLS, state, system uintptr) uintptr {
	p := lib.Xsqlite3_malloc64(tls, lib.Tsqlite3_uint64(unsafe.Sizeof(methods{})))
	if p == 0 {
		return 0
	}
	sync := diskSync
	m := (*methods)(at(p))
	*m = methods{Tsqlite3_io_methods: *(*lib.Tsqlite3_io_methods)(at(system)), system: system, state: state}
	m.FxSync = *(*uintptr)(unsafe.Pointer(&sync))
	for {
		m.next = s.first.Load()
		if s.first.CompareAndSwap(m.next, p) {
			return p
		}
	}
}

// diskSync counts and lets the system do it.
func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	m := (*methods)(at((*lib.Tsqlite3_file)(at(file)).FpMethods))
	s := (*diskState)(at(m.state))
	s.syncs.Add(1)
	if n := s.fail.Load(); n != 0 {
		if n > 0 {
			s.fail.Add(-1)
		}
		return lib.SQLITE_IOERR_FSYNC
	}
	sync := (*lib.Tsqlite3_io_methods)(at(m.system)).FxSync
	return (*(*syncFunc)(unsafe.Pointer(&struct{ f uintptr }{sync})))(tls, file, flags)
}
