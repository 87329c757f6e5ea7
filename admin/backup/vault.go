package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Names in a folder of backups.
const (
	markName     = "mailstead-backup.json"
	keyName      = "key.age"
	lockName     = ".lock"
	objectsName  = "objects"
	partName     = ".part"
	unfinished   = ".incomplete"
	manifestName = "MANIFEST"
	listName     = "OBJECTS"
	sealedSuffix = ".age"
)

// Problem is an error with its next step.
type Problem struct {
	Text string
	Next string
	Err  error
}

func (p *Problem) Error() string {
	if p.Err != nil {
		return p.Text + ": " + p.Err.Error()
	}
	return p.Text
}

// Hint is the next step for a person.
func (p *Problem) Hint() string { return p.Next }

func (p *Problem) Unwrap() error { return p.Err }

// mark is the file that says what a folder is.
type mark struct {
	Format     int      `json:"format"`
	Recipients []string `json:"recipients,omitempty"` // none: not encrypted
	Passphrase bool     `json:"passphrase,omitempty"` // key.age holds the identity
}

const format = 1

// vault is a folder of backups that is open.
type vault struct {
	dir  string
	mark mark
	seal sealer
	uid  int // who owns what root makes here; -1: whoever makes it
	gid  int
	lock *os.File
}

// openVault opens a folder of backups to read it.
func openVault(dir string, keys Keys) (*vault, error) {
	v := &vault{dir: dir, uid: -1, gid: -1}
	text, err := readPlain(filepath.Join(dir, markName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Problem{Text: dir + " is no folder of backups", Next: "is its disk mounted? A folder of backups holds " + markName}
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(text, &v.mark); err != nil {
		return nil, &Problem{Text: filepath.Join(dir, markName) + " cannot be read", Err: err}
	}
	if v.mark.Format != format {
		return nil, &Problem{Text: fmt.Sprintf("%s was written in format %d, this program knows %d", dir, v.mark.Format, format), Next: "use a newer mailstead"}
	}
	v.seal, err = newSealer(dir, v.mark, keys)
	return v, err
}

// newVault opens it to write, making it where the folder is new or empty.
func newVault(dir string, keys Keys) (*vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if !marked(dir) {
		if err := fit(dir); err != nil { // no lock is left in a folder that was named by mistake
			return nil, err
		}
	}
	first := &vault{dir: dir, uid: -1, gid: -1}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err == nil && os.Geteuid() == 0 {
		first.uid, first.gid = int(st.Uid), int(st.Gid)
	}
	if err := first.take(); err != nil {
		return nil, err
	}
	v, err := first.ready(keys)
	if err != nil {
		first.close()
		return nil, err
	}
	return v, nil
}

// ready makes a vault of a folder that is held, where it is none yet, and opens
// it. Of two who make one at the same time the second would replace the key of
// the first.
func (v *vault) ready(keys Keys) (*vault, error) {
	if !marked(v.dir) {
		if err := makeVault(v.dir, keys); err != nil {
			return nil, err
		}
	}
	open, err := openVault(v.dir, keys)
	if err != nil {
		return nil, err
	}
	open.uid, open.gid, open.lock = v.uid, v.gid, v.lock
	return open, open.seal.maySeal(open.mark, keys)
}

// marked tells whether a folder is one of backups.
func marked(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, markName))
	return !errors.Is(err, fs.ErrNotExist)
}

// fit tells whether a folder may become one of backups.
func fit(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// What a broken-off beginning and a file system's own folder leave.
	ours := []string{"lost+found", lockName, keyName, keyName + partName, markName, markName + partName}
	for _, e := range names {
		if !slices.Contains(ours, e.Name()) {
			return &Problem{Text: fmt.Sprintf("%s holds other things (%s)", dir, e.Name()), Next: "name a new or empty folder"}
		}
	}
	return nil
}

// makeVault marks a new or empty folder.
func makeVault(dir string, keys Keys) error {
	if err := fit(dir); err != nil {
		return err
	}
	m := mark{Format: format, Recipients: keys.Recipients}
	if keys.Passphrase != "" {
		var err error
		if m, err = makeKey(dir, m, keys.Passphrase); err != nil {
			return err
		}
	}
	if _, err := recipients(m.Recipients); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir, markName), append(text, '\n'))
}

// writeSynced makes a small file at once.
func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path+partName, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return renameSynced(path+partName, path)
}

// take holds the folder for one writer. A file system that knows no locks goes
// without.
func (v *vault) take() error {
	f, err := os.OpenFile(filepath.Join(v.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	v.own(f.Name())
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return &Problem{Text: "another backup is writing into " + v.dir, Next: "wait for it"}
	}
	v.lock = f
	return nil
}

func (v *vault) close() {
	if v.lock != nil {
		v.lock.Close()
	}
}

// own gives what root made to the owner of the folder: by night the server
// writes here as its own user.
func (v *vault) own(path string) {
	if v.uid > 0 {
		os.Lchown(path, v.uid, v.gid)
	}
}

func (v *vault) mkdir(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		v.own(path)
	}
	return err
}

// Backup is one backup in a folder of them.
type Backup struct {
	Name     string    `json:"name"`
	Time     time.Time `json:"time"`
	Complete bool      `json:"complete"`
}

// Backups lists those in a folder, the newest first.
func Backups(dir string) ([]Backup, error) {
	if _, err := os.Stat(filepath.Join(dir, markName)); errors.Is(err, fs.ErrNotExist) {
		return nil, &Problem{Text: dir + " is no folder of backups", Next: "is its disk mounted? A folder of backups holds " + markName}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []Backup
	for _, e := range entries {
		name, cut := strings.CutSuffix(e.Name(), unfinished)
		if t, err := time.Parse(layout, name); err == nil && e.IsDir() {
			all = append(all, Backup{name, t, !cut})
		}
	}
	slices.SortFunc(all, func(a, b Backup) int { return b.Time.Compare(a.Time) })
	return all, nil
}

// next is the time that the next backup is named by: later than those that are
// there, also where two are made within a second or the clock was set back, since
// the order of the names says which is the newest.
func (v *vault) next(now time.Time) (time.Time, error) {
	all, err := Backups(v.dir)
	if err != nil {
		return now, err
	}
	now = now.Truncate(time.Second)
	if len(all) > 0 && !now.After(all[0].Time) {
		now = all[0].Time.Add(time.Second)
	}
	return now, nil
}

// pick finds the backup of a name, or the newest complete one for "".
func (v *vault) pick(name string) (Backup, error) {
	all, err := Backups(v.dir)
	if err != nil {
		return Backup{}, err
	}
	for _, b := range all {
		if name == "" && b.Complete {
			return b, nil
		}
		if name == b.Name && name != "" {
			if !b.Complete {
				return b, &Problem{Text: "the backup " + name + " was broken off and is not complete", Next: "`mailstead backup list` shows the others"}
			}
			return b, nil
		}
	}
	if name == "" {
		return Backup{}, &Problem{Text: "there is no complete backup in " + v.dir, Next: "`mailstead backup " + v.dir + "` makes one; one that was broken off goes on"}
	}
	return Backup{}, &Problem{Text: fmt.Sprintf("there is no backup %q in %s", name, v.dir), Next: "`mailstead backup list` shows what there is"}
}

// errNoFile tells of a pipe or a device in the place of a file: to open the one
// waits for ever, to read the other may have no end.
var errNoFile = errors.New("is no plain file")

// openPlain opens a file of a backup, on which others may have laid hands.
func openPlain(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s %w", path, errNoFile)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readPlain reads a small one.
func readPlain(path string) ([]byte, error) {
	f, err := openPlain(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// owner of a file.
func owner(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}
