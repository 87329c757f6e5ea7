package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fenceRE   = regexp.MustCompile("(?s)```.*?```")
	codeRE    = regexp.MustCompile("`([^`\n]+)`")
	linkRE    = regexp.MustCompile(`\]\(([^)#:\s]+)[^)]*\)`)
	commandRE = regexp.MustCompile(`^\s*(?:\$ |# |sudo |\./)*mailstead ([a-z]+)\b`)
	flagRE    = regexp.MustCompile(`--([a-z][a-z-]+)`)
)

// pages are all documents of the project.
func pages(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("docs", func(p string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && strings.HasSuffix(p, ".md") {
			list = append(list, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func exists(paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		m, err := filepath.Glob(p)
		return err == nil && len(m) > 0
	})
}

// TestDocsNameWhatExists holds that every file, subcommand and flag that a
// document names is there.
func TestDocsNameWhatExists(t *testing.T) {
	source := ""
	cli, err := filepath.Glob("internal/cli/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range cli {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source += string(b)
	}
	for _, page := range pages(t) {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, m := range linkRE.FindAllStringSubmatch(text, -1) {
			if !exists(filepath.Join(filepath.Dir(page), m[1])) {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
		code := fenceRE.FindAllString(text, -1)
		for _, m := range codeRE.FindAllStringSubmatch(fenceRE.ReplaceAllString(text, ""), -1) {
			code = append(code, m[1])
			if isPath(m[1]) && !exists(m[1], filepath.Join(filepath.Dir(page), m[1])) {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
		for _, c := range code {
			for _, line := range strings.Split(c, "\n") {
				checkCommand(t, page, line, source)
			}
		}
	}
}

// checkCommand looks a line of ours up: its subcommand has a file, its flags
// stand in the source as kong derives them from fields.
func checkCommand(t *testing.T, page, line, source string) {
	m := commandRE.FindStringSubmatch(line)
	if m == nil || source == "" {
		return
	}
	if !exists("internal/cli/"+m[1]+".go") && !strings.Contains(source, `"`+m[1]+`"`) {
		t.Errorf("%s: no subcommand in %q", page, line)
	}
	for _, f := range flagRE.FindAllStringSubmatch(line, -1) {
		field := ""
		for _, w := range strings.Split(f[1], "-") {
			field += strings.ToUpper(w[:1]) + w[1:]
		}
		known := strings.Contains(strings.ToLower(source), strings.ToLower(field)+" ") || strings.Contains(source, `name:"`+f[1]+`"`)
		if !known && f[1] != "help" {
			t.Errorf("%s: no flag --%s in %q", page, f[1], line)
		}
	}
}

// isPath tells a path of the repository from other things in code marks: it
// starts with a folder of ours and holds nothing but a path.
func isPath(s string) bool {
	if strings.ContainsAny(s, " <>{}()…") || strings.ToUpper(s) == s {
		return false
	}
	top, rest, ok := strings.Cut(s, "/")
	if !ok {
		return strings.HasSuffix(s, ".go") && strings.Contains(s, "_test")
	}
	return rest != "" && slices.Contains(append([]string{".ci"}, rootShows...), top) && !strings.Contains(s, "NNNN") && !strings.Contains(s, "NAME")
}
