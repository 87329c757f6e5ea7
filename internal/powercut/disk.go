package powercut

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Sector is the size in which a disk writes: what a cut tears.
const Sector = 512

// Disk is a directory on a disk that forgets what was not synced. It is fed
// with a record's steps in their order; Cut writes out what may be left.
type Disk struct {
	root  string
	top   *node
	pos   map[string]int64 // file positions of descriptors, for write and lseek
	bound map[*Call]*node  // what a descriptor meant when its call began

	// Files that were opened without a name (O_TMPFILE), by the path that
	// strace gives them and by descriptor, until link names them.
	unnamed map[string]*node
	opened  map[string]*node

	// Forget tells of which files and folders the syncs are taken for never
	// done, to see that a proof notices.
	Forget func(path string) bool
}

// node is a file or a folder: as it is now, as it is safe, and the steps between.
type node struct {
	path    string // for Forget; the name it was made with
	dir     bool
	mapped  bool // contents come and go by memory mapping
	live    []byte
	safe    []byte
	writes  []write
	entries map[string]*node // now
	kept    map[string]*node // safe
	names   []naming
}

// write is an unsynced change of a file's bytes.
type write struct {
	exit int
	off  int64
	data []byte
	cut  bool // truncate to off instead
}

// naming is an unsynced change of a folder: add gives name to node, drop takes
// a name away; both together are a rename inside the folder.
type naming struct {
	exit  int
	add   string
	node  *node
	drop  string
	other *moved // the half of a rename between folders
}

type moved struct{ safe bool }

// NewDisk starts with what dir holds, all of it safe. root is the path that
// the record uses for it.
func NewDisk(dir, root string) (*Disk, error) {
	d := &Disk{root: root, pos: map[string]int64{}, bound: map[*Call]*node{}, unnamed: map[string]*node{}, opened: map[string]*node{}}
	inodes := map[uint64]*node{}
	var load func(path string) (*node, error)
	load = func(path string) (*node, error) {
		n := newNode(true, path)
		list, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			p := filepath.Join(path, e.Name())
			var c *node
			switch {
			case e.IsDir():
				c, err = load(p)
			case e.Type()&fs.ModeSocket != 0:
				continue
			default:
				c, err = loadFile(p, inodes)
			}
			if err != nil {
				return nil, err
			}
			n.entries[e.Name()], n.kept[e.Name()] = c, c
		}
		return n, nil
	}
	var err error
	if d.top, err = load(dir); err != nil {
		return nil, fmt.Errorf("load disk: %w", err)
	}
	return d, nil
}

func loadFile(path string, inodes map[uint64]*node) (*node, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := newNode(false, path)
	n.live, n.safe = b, slices.Clone(b)
	if fi, err := os.Stat(path); err == nil {
		key := fi.Sys().(*syscall.Stat_t).Ino
		if old := inodes[key]; old != nil {
			return old, nil
		}
		inodes[key] = n
	}
	return n, nil
}

func newNode(dir bool, path string) *node {
	n := &node{dir: dir, path: path}
	if dir {
		n.entries, n.kept = map[string]*node{}, map[string]*node{}
	}
	return n
}

// find walks the names as they are now.
func (d *Disk) find(path string) *node {
	rel, ok := d.rel(path)
	if !ok {
		return nil
	}
	n := d.top
	for _, name := range rel {
		if n == nil || !n.dir {
			return nil
		}
		n = n.entries[name]
	}
	return n
}

func (d *Disk) rel(path string) ([]string, bool) {
	if path == d.root {
		return nil, true
	}
	s, ok := strings.CutPrefix(path, d.root+"/")
	if !ok {
		return nil, false
	}
	return strings.Split(s, "/"), true
}

func (d *Disk) parent(path string) (*node, string) {
	return d.find(filepath.Dir(path)), filepath.Base(path)
}

// Begin takes the entry of a call: descriptors are bound to files by the names
// of that moment.
func (d *Disk) Begin(c *Call) {
	if _, ours := d.rel(c.Path); !ours {
		return
	}
	if c.Deleted {
		d.bound[c] = d.unnamed[c.Path]
	} else {
		d.bound[c] = d.find(c.Path)
	}
}

// End takes the exit of a call: its effect is there, not yet safe.
func (d *Disk) End(c *Call) error {
	n := d.bound[c]
	delete(d.bound, c)
	if c.Ret < 0 {
		return nil
	}
	switch c.Name {
	case "open", "openat", "creat":
		return d.open(c)
	case "write", "writev", "sendto", "sendmsg":
		if n != nil {
			fd := fdOf(c)
			d.write(n, c, d.pos[fd], c.Data)
			d.pos[fd] += c.Ret
		}
	case "pwrite64", "pwritev", "pwritev2":
		if n != nil {
			off, err := strconv.ParseInt(strings.TrimSpace(c.Args[3]), 10, 64)
			if err != nil {
				return fmt.Errorf("%s: offset: %w", c.Name, err)
			}
			d.write(n, c, off, c.Data)
		}
	case "lseek":
		if n != nil {
			d.pos[fdOf(c)] = c.Ret
		}
	case "truncate", "ftruncate":
		if c.Name == "truncate" {
			n = d.find(d.path(c.Args, 0))
		}
		if n != nil {
			size, err := strconv.ParseInt(c.Args[1], 10, 64)
			if err != nil {
				return fmt.Errorf("%s: size: %w", c.Name, err)
			}
			d.truncate(n, c, size)
		}
	case "fsync", "fdatasync":
		if n != nil && (d.Forget == nil || !d.Forget(c.Path)) {
			n.sync(c.Entry)
		}
	case "syncfs":
		if n != nil && (d.Forget == nil || !d.Forget(c.Path)) {
			d.syncAll(c.Entry)
		}
	default:
		return d.endName(c, n)
	}
	return nil
}

// endName takes the calls that change names, and refuses what it does not know.
func (d *Disk) endName(c *Call, n *node) error {
	switch c.Name {
	case "mkdir", "mkdirat":
		path := d.pathAt(c, c.Name == "mkdirat", 0)
		if p, name := d.parent(path); p != nil {
			p.name(naming{exit: c.Exit, add: name, node: newNode(true, path)})
		}
	case "unlink", "unlinkat", "rmdir":
		if p, name := d.parent(d.pathAt(c, c.Name == "unlinkat", 0)); p != nil {
			p.name(naming{exit: c.Exit, drop: name})
		}
	case "rename", "renameat", "renameat2":
		return d.rename(c)
	case "link", "linkat":
		at := c.Name == "linkat"
		from, to := d.pathAt(c, at, 0), d.pathAt(c, at, 1)
		p, name := d.parent(to)
		src := d.find(from)
		if p == nil {
			return nil
		}
		if fd, ok := strings.CutPrefix(from, "/proc/self/fd/"); ok {
			src = d.opened[fd]
		}
		if src == nil {
			return fmt.Errorf("link %s: its file is not known", from)
		}
		p.name(naming{exit: c.Exit, add: name, node: src})
	case "mmap":
		// addr, length, prot, flags, fd, offset
		if len(c.Args) > 4 && strings.Contains(c.Args[2], "PROT_WRITE") && strings.Contains(c.Args[3], "MAP_SHARED") {
			var f Call
			f.descriptor(c.Args[4])
			if m := d.find(f.Path); m != nil && !f.Deleted {
				m.mapped = true
			}
		}
	case "fallocate":
		if n != nil {
			return fmt.Errorf("fallocate of %s: not modelled", c.Path)
		}
	case "sync_file_range", "msync":
		// no promise to anyone: ignored, so nothing becomes safe by it
	default: // copy_file_range, sendfile, splice, symlink, symlinkat
		for i, a := range c.Args {
			var f Call
			f.descriptor(a)
			target := i == 1 && c.Name == "sendfile" || i == 2 && c.Name != "sendfile"
			if _, ours := d.rel(f.Path); ours && f.Path != "" && (target || i == 0 && c.Name == "sendfile") {
				return fmt.Errorf("%s to %s: not modelled", c.Name, f.Path)
			}
		}
	}
	return nil
}

func fdOf(c *Call) string { fd, _, _ := strings.Cut(c.Args[0], "<"); return fd }

// path gives the path argument i of a call without folders' descriptors.
func (d *Disk) path(args []string, i int) string { return filepath.Clean(args[i]) }

// pathAt gives the k-th path of a call; at calls have a folder before each.
func (d *Disk) pathAt(c *Call, at bool, k int) string {
	if !at {
		return d.path(c.Args, k)
	}
	p := c.Args[2*k+1]
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	_, dir, _ := strings.Cut(c.Args[2*k], "<")
	return filepath.Join(strings.TrimSuffix(dir, ">"), p)
}

func (d *Disk) open(c *Call) error {
	fd := strconv.FormatInt(c.Ret, 10)
	d.pos[fd] = 0
	flags := strings.Join(c.Args, " ")
	if _, ours := d.rel(c.Path); !ours {
		delete(d.opened, fd)
		return nil
	}
	if strings.Contains(flags, "O_TMPFILE") {
		d.opened[fd] = newNode(false, c.Path)
		d.unnamed[c.Path] = d.opened[fd]
		return nil
	}
	if c.Deleted {
		return nil
	}
	n := d.find(c.Path)
	defer func() { d.opened[fd] = d.find(c.Path) }()
	if n == nil && (strings.Contains(flags, "O_CREAT") || c.Name == "creat") {
		p, name := d.parent(c.Path)
		if p == nil {
			return fmt.Errorf("open %s: its folder is not known", c.Path)
		}
		n = newNode(false, c.Path)
		p.name(naming{exit: c.Exit, add: name, node: n})
	}
	if n != nil && (strings.Contains(flags, "O_TRUNC") || c.Name == "creat") {
		d.truncate(n, c, 0)
	}
	if n != nil && strings.Contains(flags, "O_APPEND") {
		d.pos[fd] = int64(len(n.live))
	}
	return nil
}

func (d *Disk) write(n *node, c *Call, off int64, data []byte) {
	n.live = put(n.live, off, data)
	n.writes = append(n.writes, write{exit: c.Exit, off: off, data: data})
}

func (d *Disk) truncate(n *node, c *Call, size int64) {
	n.live = resize(n.live, size)
	n.writes = append(n.writes, write{exit: c.Exit, off: size, cut: true})
}

func (d *Disk) rename(c *Call) error {
	at := c.Name != "rename"
	from, to := d.pathAt(c, at, 0), d.pathAt(c, at, 1)
	src := d.find(from)
	p, old := d.parent(from)
	q, name := d.parent(to)
	switch {
	case p == nil && q == nil:
		return nil
	case src == nil || q == nil || p == nil:
		return fmt.Errorf("rename %s to %s: one end is not known", from, to)
	case len(c.Args) > 4 && strings.Contains(c.Args[4], "RENAME_EXCHANGE"):
		return fmt.Errorf("rename %s: exchange is not modelled", from)
	case p == q:
		p.name(naming{exit: c.Exit, add: name, node: src, drop: old})
	default:
		m := &moved{}
		q.name(naming{exit: c.Exit, add: name, node: src, other: m})
		p.name(naming{exit: c.Exit, drop: old, other: m})
	}
	return nil
}

// name changes the names of now and notes the step.
func (n *node) name(s naming) {
	s.apply(n.entries)
	n.names = append(n.names, s)
}

func (s naming) apply(m map[string]*node) {
	if s.drop != "" {
		delete(m, s.drop)
	}
	if s.add != "" {
		m[s.add] = s.node
	}
}

// syncAll is a sync of the whole file system.
func (d *Disk) syncAll(entry int) {
	seen := map[*node]bool{}
	var visit func(n *node)
	visit = func(n *node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		for _, c := range n.entries {
			visit(c)
		}
		for _, c := range n.kept {
			visit(c)
		}
		for _, s := range n.names {
			visit(s.node)
		}
		n.sync(entry)
	}
	visit(d.top)
	for _, n := range d.unnamed {
		visit(n)
	}
}

// sync makes safe what had ended before the sync began.
func (n *node) sync(entry int) {
	n.writes = slices.DeleteFunc(n.writes, func(w write) bool {
		if w.exit >= entry {
			return false
		}
		n.safe = w.apply(n.safe)
		return true
	})
	n.names = slices.DeleteFunc(n.names, func(s naming) bool {
		if s.exit >= entry && (s.other == nil || !s.other.safe) {
			return false
		}
		if s.other != nil {
			s.other.safe = true // a journal commits both halves
		}
		s.apply(n.kept)
		return true
	})
}

func (w write) apply(b []byte) []byte {
	if w.cut {
		return resize(b, w.off)
	}
	return put(b, w.off, w.data)
}

func put(b []byte, off int64, data []byte) []byte {
	if end := off + int64(len(data)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[off:], data)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size]
	}
	if size > int64(cap(b)) {
		b = slices.Grow(b, int(size)-len(b)+len(b)/2)
	}
	old := len(b)
	b = b[:size]
	clear(b[old:])
	return b
}

// Luck says what becomes of unsynced steps at a cut.
type Luck int

const (
	Nothing Luck = iota // all of them are lost
	Early               // the first ones are kept, one is torn, the rest is lost
	Chance              // each sector and each name by a coin of its own
	Lucks               // how many kinds there are
)

// Cut writes to dir, which must be empty, what may be left when the power goes now.
func (d *Disk) Cut(dir string, luck Luck, rnd *rand.Rand) error {
	c := cutter{luck: luck, rnd: rnd, made: map[*node]string{}, moves: map[*moved]bool{}}
	return c.folder(d.top, dir)
}

type cutter struct {
	luck  Luck
	rnd   *rand.Rand
	made  map[*node]string
	moves map[*moved]bool
}

func (c *cutter) folder(n *node, dir string) error {
	names := map[string]*node{}
	for k, v := range n.kept {
		names[k] = v
	}
	first := c.first(len(n.names))
	for i, s := range n.names {
		keep := i < first && (c.luck == Early || c.rnd.IntN(2) == 0)
		if s.other != nil {
			if was, seen := c.moves[s.other]; seen {
				keep = was
			}
			c.moves[s.other] = keep || s.other.safe
			keep = c.moves[s.other]
		}
		if keep {
			s.apply(names)
		}
	}
	for _, name := range sorted(names) {
		child, path := names[name], filepath.Join(dir, name)
		var err error
		switch {
		case child.dir:
			if err = os.Mkdir(path, 0o700); err == nil {
				err = c.folder(child, path)
			}
		case c.made[child] != "":
			err = os.Link(c.made[child], path)
		default:
			c.made[child] = path
			err = os.WriteFile(path, c.file(child), 0o600)
		}
		if err != nil {
			return fmt.Errorf("cut: %w", err)
		}
	}
	return nil
}

// first is how many of n unsynced steps a cut may keep.
func (c *cutter) first(n int) int {
	switch {
	case c.luck == Nothing || n == 0:
		return 0
	case c.luck == Early:
		return c.rnd.IntN(n + 1)
	}
	return n
}

func (c *cutter) file(n *node) []byte {
	if n.mapped {
		return nil
	}
	b := bytes.Clone(n.safe)
	k := c.first(len(n.writes))
	for i, w := range n.writes[:k] {
		switch {
		case c.luck == Early && i < k-1:
			b = w.apply(b)
		case w.cut:
			if c.rnd.IntN(2) == 0 {
				b = w.apply(b)
			}
		case c.luck == Early:
			for at := range w.sectors(c.rnd.IntN(2 + len(w.data)/Sector)) {
				b = put(b, at.off, at.data)
			}
		default:
			for at := range w.sectors(2 + len(w.data)/Sector) {
				if c.rnd.IntN(2) == 0 {
					b = put(b, at.off, at.data)
				}
			}
		}
	}
	return b
}

// sectors yields the first max pieces of a write, cut at the disk's sectors.
func (w write) sectors(max int) func(func(write) bool) {
	return func(yield func(write) bool) {
		off, data := w.off, w.data
		for ; max > 0 && len(data) > 0; max-- {
			k := min(int64(len(data)), Sector-off%Sector)
			if !yield(write{off: off, data: data[:k]}) {
				return
			}
			off, data = off+k, data[k:]
		}
	}
}

func sorted(m map[string]*node) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
