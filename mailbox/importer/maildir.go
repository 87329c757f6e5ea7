package importer

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailstead/mailbox"
	"mailstead/message"
)

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// isMaildir: cur, and one of the other two (new may have been lost by a copy
// that leaves empty folders out).
func isMaildir(path string) bool {
	return isDir(filepath.Join(path, "cur")) && (isDir(filepath.Join(path, "new")) || isDir(filepath.Join(path, "tmp")))
}

// holdsMaildirs tells the folder of a Maildir++ that has no messages itself.
func holdsMaildirs(path string) bool {
	entries, _ := os.ReadDir(path) // told when it is read
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name()[0] == '.' && isMaildir(filepath.Join(path, e.Name()))
	})
}

type maildirFile struct {
	folder, name string
	time         time.Time
	size         int64
}

// maildir imports a Maildir and the mailboxes inside it.
func (w *walk) maildir(path, box string, depth int) error {
	if depth > maxFolders {
		return w.bad(path, errTooDeep)
	}
	if err := w.maildirMessages(path, box); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return w.bad(path, err)
	}
	for _, e := range entries {
		name := e.Name()
		inner := filepath.Join(path, name)
		if name == "cur" || name == "new" || name == "tmp" || !isDir(inner) || linked(e, inner) {
			continue
		}
		target := box
		if levels, ok := strings.CutPrefix(name, "."); ok {
			if !isMaildir(inner) {
				continue
			}
			for _, l := range strings.Split(levels, ".") { // Maildir++
				target = w.child(target, decodeName(l))
			}
			if err := w.maildir(inner, target, depth+1); err != nil {
				return err
			}
			continue
		}
		if err := w.any(inner, w.child(box, decodeName(name)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// maildirMessages imports cur and new, oldest first.
func (w *walk) maildirMessages(path, box string) error {
	var files []maildirFile
	for _, folder := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(path, folder))
		if err != nil && !os.IsNotExist(err) {
			if err := w.bad(filepath.Join(path, folder), err); err != nil {
				return err
			}
		}
		for _, e := range entries {
			info, err := os.Stat(filepath.Join(path, folder, e.Name()))
			if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			files = append(files, maildirFile{folder, e.Name(), info.ModTime(), info.Size()})
		}
	}
	sortByTime(files)
	names := keywordFile(filepath.Join(path, "dovecot-keywords"))
	for _, f := range files {
		if err := w.maildirFile(filepath.Join(path, f.folder, f.name), box, f, names); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) maildirFile(path, box string, f maildirFile, names map[byte]string) error {
	file, err := os.Open(path)
	if err != nil {
		return w.bad(path, err)
	}
	defer file.Close()
	it := &Item{Mailbox: box, Origin: path, Received: f.time, Content: message.AddCR(io.LimitReader(file, f.size))}
	it.Flags, it.Keywords = maildirFlags(f.name, names)
	err = w.give(it)
	w.done += f.size
	return w.bad(path, err)
}

// maildirFlags reads what stands behind ":2," (";2," and "!2," where a colon
// may not be part of a name). P, passed on, is the keyword $Forwarded.
func maildirFlags(name string, names map[byte]string) (f mailbox.Flags, keywords []string) {
	i := strings.LastIndex(name, "2,")
	if i < 1 || strings.IndexByte(":;!", name[i-1]) < 0 {
		return 0, nil
	}
	info := name[i+2:]
	for j := 0; j < len(info); j++ {
		switch c := info[j]; {
		case c == 'P':
			keywords = append(keywords, "$Forwarded")
		case 'a' <= c && c <= 'z' && names[c] != "":
			keywords = append(keywords, names[c])
		}
	}
	return flagsOf(info), keywords
}

// keywordFile reads "0 $Junk": the letter a is the first keyword.
func keywordFile(path string) map[byte]string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	names := map[byte]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		number, name, ok := strings.Cut(s.Text(), " ")
		if n, err := strconv.Atoi(number); ok && err == nil && n >= 0 && n < 26 {
			names['a'+byte(n)] = name
		}
	}
	return names
}
