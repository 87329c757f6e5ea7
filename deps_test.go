package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors is the house. A room may import rooms of lower floors only; "/*"
// stands for every room below that name which has no line of its own. A new
// room gets its line here before it gets its second file.
var floors = [][]string{
	0: {"message", "internal/dialog", "internal/corpus"},
	1: {"dns", "internal/sqlite", "internal/config", "internal/maillog", "internal/metrics", "internal/listen", "internal/machine", "internal/webui", "internal/systemd", "internal/powercut"},
	2: {"policy/*", "account", "mailbox/blob", "smtp", "imap/wire", "dns/zone", "dns/publish", "internal/world", "internal/world/pebble", "internal/trace"},
	3: {"policy", "mailbox", "smtp/queue", "dns/check", "dns/wanted", "acme"},
	4: {"smtp/local", "policy/judge", "mailbox/importer", "dns/rollover"},
	5: {"smtp/inbound", "smtp/submission", "smtp/outbound", "managesieve", "imap", "pop3"},
	6: {"admin", "admin/*", "web", "web/*", "internal/control"},
	7: {"internal/app", "internal/demo", "internal/office"},
	8: {"internal/cli", ".", "packaging/*"},
}

// beside lists the imports between rooms of one floor that are meant.
var beside = map[string][]string{
	".":                {"internal/cli"},
	"internal/demo":    {"internal/app"},
	"internal/metrics": {"internal/maillog"},
	"internal/webui":   {"internal/sqlite"},
	"admin":            {"admin/*", "internal/control"},
	"dns/publish":      {"dns/zone"},
	"admin/*":          {"internal/control"},
}

// never is what a room and all below its name must not reach, whatever the
// floors allow, not even through another room of ours. Rooms end without a
// slash; others are packages of the library or of the world.
var never = []struct{ rooms, targets []string }{
	{[]string{"mailbox", "account"}, []string{"smtp", "imap", "policy", "net/http"}},
	{[]string{"policy"}, []string{"net", "net/http", "database/sql", "internal/sqlite"}},
	{[]string{"smtp"}, []string{"dns", "policy", "account", "mailbox"}},
	{[]string{"imap", "pop3"}, []string{"smtp", "policy"}},
	{[]string{"message"}, []string{"net/http", "database/sql", "os/exec"}},
}

// neverSpares names the rooms below those of never that the rule is not about:
// smtp is the protocol alone, judge is policy's memory, the importer reads files.
var neverSpares = []string{"smtp/inbound", "smtp/submission", "smtp/outbound", "smtp/local", "smtp/queue", "policy/judge"}

// only lists who alone may import a package and what lies below it.
var only = map[string][]string{
	"modernc.org/sqlite":             {"internal/sqlite"},
	"github.com/caddyserver":         {"acme"},
	"github.com/miekg/dns":           {"dns", "dns/check", "dns/publish", "internal/world"},
	"github.com/alecthomas/kong":     {"internal/cli"},
	"github.com/BurntSushi/toml":     {"internal/config"},
	"golang.org/x/crypto/argon2":     {"account"},
	"github.com/emersion/go-imap":    {"imap", "imap/wire", "internal/world", "internal/demo", "internal/cli"},
	"blitiri.com.ar/go/spf":          {"dns/check", "policy/spf"},
	"github.com/emersion/go-msgauth": {"policy/dkim"},
	"github.com/emersion/go-smtp":    {"smtp/outbound", "internal/world", "internal/demo"},
	"charm.land":                     {"internal/cli"},
	"rsc.io/qr":                      {"internal/cli"},
	"filippo.io/age":                 {"admin/backup"},
	"net/http/pprof":                 {"internal/metrics", "internal/app"},
}

// rootShows is all that stands at the top: the trade, and little beside it.
var rootShows = []string{
	"account", "acme", "admin", "dns", "imap", "mailbox", "managesieve", "message", "packaging", "policy", "pop3", "smtp", "web",
	"docs", "internal", "testdata",
}

const module = "mailstead"

type room struct {
	Name    string // "." is the root
	Doc     string
	Imports []string // direct, of ours as room names, others as paths
	Files   []string
}

func rooms(t *testing.T) map[string]room {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,GoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]room{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath, Dir, Doc string
			Imports, GoFiles     []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		r := room{Name: roomName(p.ImportPath), Doc: p.Doc}
		for _, im := range p.Imports {
			r.Imports = append(r.Imports, roomName(im))
		}
		for _, f := range p.GoFiles {
			r.Files = append(r.Files, filepath.Join(p.Dir, f))
		}
		if len(r.Files) > 0 {
			all[r.Name] = r
		}
	}
	return all
}

// roomName turns our import paths into room names and leaves others alone.
func roomName(path string) string {
	if path == module {
		return "."
	}
	if s, ok := strings.CutPrefix(path, module+"/"); ok {
		return s
	}
	return path
}

// line finds the entry of a list that names the room: itself, or "PARENT/*".
func line(list []string, name string) (string, bool) {
	if slices.Contains(list, name) {
		return name, true
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '/' && slices.Contains(list, name[:i]+"/*") {
			return name[:i] + "/*", true
		}
	}
	return "", false
}

// floorOf prefers a line of the room's own over one with a star.
func floorOf(name string) (floor int, entry string) {
	floor = -1
	for f, list := range floors {
		if e, ok := line(list, name); ok && (floor < 0 || !strings.HasSuffix(e, "*")) {
			floor, entry = f, e
		}
	}
	return floor, entry
}

func under(list []string, name string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

func TestImportsGoDown(t *testing.T) {
	all := rooms(t)
	for name, r := range all {
		f, entry := floorOf(name)
		if f < 0 {
			t.Errorf("%s has no floor: give it a line in deps_test.go", name)
			continue
		}
		for _, im := range r.Imports {
			if _, ours := all[im]; !ours {
				continue
			}
			g, _ := floorOf(im)
			if _, ok := line(beside[entry], im); ok && g == f {
				continue
			}
			if g >= f {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", name, f, im, g)
			}
		}
	}
}

func TestNever(t *testing.T) {
	all := rooms(t)
	for _, rule := range never {
		for name := range all {
			if !under(rule.rooms, name) || slices.Contains(neverSpares, name) {
				continue
			}
			targets := slices.DeleteFunc(slices.Clone(rule.targets), func(x string) bool { return under([]string{x}, name) })
			if way := reaches(all, name, targets, map[string]bool{}); way != nil {
				t.Errorf("%s must never import %s: %s", name, way[len(way)-1], strings.Join(way, " → "))
			}
		}
	}
	for pkg, who := range only {
		for name, r := range all {
			for _, im := range r.Imports {
				if strings.HasPrefix(im, pkg) && !slices.Contains(who, name) {
					t.Errorf("%s imports %s, which only %v may", name, im, who)
				}
			}
		}
	}
}

// reaches gives the way from a room to the first target, through rooms of ours.
// Of the library and the world only the room's own imports count.
func reaches(all map[string]room, name string, targets []string, seen map[string]bool) []string {
	if seen[name] {
		return nil
	}
	first := len(seen) == 0
	seen[name] = true
	for _, im := range all[name].Imports {
		_, ours := all[im]
		if !ours && first && slices.Contains(targets, im) || ours && under(targets, im) {
			return []string{name, im}
		}
		if ours {
			if way := reaches(all, im, targets, seen); way != nil {
				return append([]string{name}, way...)
			}
		}
	}
	return nil
}

func TestPackageComments(t *testing.T) {
	for name, r := range rooms(t) {
		if r.Doc == "" {
			t.Errorf("%s has no package comment", name)
		}
	}
}

// TestNoInit holds the law of no init() and no blank imports but of embed and
// of hashes, which the library wants to be linked in.
func TestNoInit(t *testing.T) {
	for name, r := range rooms(t) {
		for _, path := range r.Files {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			at := func(n ast.Node) string { return fmt.Sprintf("%s:%d", filepath.Base(path), fset.Position(n.Pos()).Line) }
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s/%s: func init", name, at(fn))
				}
			}
			for _, im := range f.Imports {
				if im.Name != nil && im.Name.Name == "_" && im.Path.Value != `"embed"` && !strings.HasPrefix(im.Path.Value, `"crypto/`) {
					t.Errorf("%s/%s: blank import of %s", name, at(im), im.Path.Value)
				}
			}
		}
	}
}

func TestRootShowsTheTrade(t *testing.T) {
	ents, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ents {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		if e.IsDir() && !slices.Contains(rootShows, name) && !ignored(name) {
			t.Errorf("folder %s does not belong at the root", name)
		}
		if strings.HasSuffix(name, ".go") && name != "main.go" && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("file %s does not belong at the root", name)
		}
	}
}

// ignored asks git, so that what a build leaves behind is nobody's fault.
func ignored(name string) bool {
	return exec.Command("git", "check-ignore", "-q", name).Run() == nil
}
