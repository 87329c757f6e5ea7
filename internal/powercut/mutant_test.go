package powercut

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is the program with one sync left out of its source. Each proof
// that is named must refuse it: a proof that cannot fail proves nothing.
type mutant struct {
	name     string
	file     string // below the module's root
	old, new string // old stands there exactly once
	late     bool   // the sync comes after the reply: only cuts can tell
}

var mutants = []mutant{
	{name: "the log", file: "internal/sqlite/sqlite.go", old: `o.Synchronous = "FULL"`, new: `o.Synchronous = "NORMAL"`},
	{name: "a file", file: "mailbox/blob/file.go",
		old: "func (s *Store) syncFile(f *os.File) error {\n\tif err := f.Sync(); err != nil {",
		new: "func (s *Store) syncFile(f *os.File) error {\n\tif err := error(nil); err != nil {"},
	{name: "every folder", file: "mailbox/blob/file.go",
		old: "defer f.Close()\n\tif err := f.Sync(); err != nil {", new: "defer f.Close()\n\tif err := error(nil); err != nil {"},
	{name: "a new folder's parent", file: "mailbox/blob/file.go",
		old: "if err := s.syncFolder(parent); err != nil {", new: "if err := error(nil); err != nil {"},
	{name: "the folder of a large message", file: "mailbox/blob/settle.go",
		old: "if err := d.s.syncFolder(d.s.folder(d.id, owner)); err != nil {", new: "_ = owner\n\t\tif err := error(nil); err != nil {"},
	{name: "the filer's batches", file: "mailbox/blob/file.go", late: true,
		old: "if err := unix.Syncfs(int(root.Fd())); err != nil {", new: "if err := error(nil); err != nil {"},
	{name: "the filer's folders", file: "mailbox/blob/filing.go", late: true,
		old: "for dir := range dirs {\n\t\tif err := s.syncFolder(dir); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\ts.step(\"file: folders synced\")",
		new: ""},
}

// overlay writes the file for go build -overlay that replaces one source file.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, m.file)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), m.old); n != 1 {
		t.Fatalf("%s holds %q %d times: the mutant needs a new place", m.file, m.old, n)
	}
	dir := t.TempDir()
	changed, list := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(changed, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestMutantsAreCaught builds the program without one sync at a time. Both
// proofs must find it out, the order of syncs where the reply waits for it.
func TestMutantsAreCaught(t *testing.T) {
	needs(t, "strace")
	if os.Getenv("MAILSTEAD_PROOF_CUTS") == "" {
		t.Skip("builds the program seven times: left to `make proofs`")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			x := recorded(t, program(t, m.overlay(t)), number("MAILSTEAD_PROOF_SHARE", 6))
			if broken := x.order(t, x.disk(t)); len(broken) > 0 {
				t.Logf("order: %s, and %d more", broken[0], len(broken)-1)
			} else if !m.late {
				t.Error("the sync-order proof passes it")
			}
			// The honest program reads what the mutant left.
			seed := rand.Uint64()
			err := x.replay(t, program(t, ""), x.commits(), seed)
			if err == nil {
				err = x.replay(t, program(t, ""), x.cuts(200, rand.New(rand.NewPCG(seed, 2))), seed)
			}
			if err == nil {
				t.Error("the power cuts pass it")
			} else {
				t.Logf("cuts: %.200v", err)
			}
		})
	}
}
