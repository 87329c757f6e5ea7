// Bill tells what a built program is made of: as a bill of materials for
// machines (CycloneDX 1.6), or as the notices that the licences of its parts
// want to be handed on. It reads what the linker noted, so that it lists what is
// in the file and nothing else, and it says the same of the same file every time.
//
//	go run ./packaging/bill materials PROGRAM
//	go run ./packaging/bill notices PROGRAM
package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

func main() {
	write := map[string]func(io.Writer, *debug.BuildInfo) error{"materials": materials, "notices": notices}
	if len(os.Args) != 3 || write[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bill materials|notices PROGRAM")
		os.Exit(2)
	}
	info, err := buildinfo.ReadFile(os.Args[2])
	if err == nil {
		err = write[os.Args[1]](os.Stdout, info)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

func materials(w io.Writer, info *debug.BuildInfo) error {
	type metadata struct {
		Component component `json:"component"`
	}
	bill := struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{component{Type: "application", Ref: "mailstead", Name: "mailstead", Version: os.Getenv("VERSION")}},
		Components: []component{{
			Type: "library", Ref: "std", Name: "std", Version: info.GoVersion, PURL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"),
		}},
	}
	for _, m := range parts(info) {
		purl := "pkg:golang/" + m.Path + "@" + m.Version
		c := component{Type: "library", Ref: purl, Name: m.Path, Version: m.Version, PURL: purl}
		// The sum of go.sum is a hash of the hashes of a module's files.
		if sum, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return fmt.Errorf("sum of %s: %w", m.Path, err)
			}
			c.Hashes = []hash{{"SHA-256", hex.EncodeToString(raw)}}
		}
		bill.Components = append(bill.Components, c)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(bill)
}

// parts are the modules in the program, the replaced ones as what they are.
func parts(info *debug.BuildInfo) (list []*debug.Module) {
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, m)
	}
	return list
}

// notices writes the licence files of all parts, each under its name.
func notices(w io.Writer, info *debug.BuildInfo) error {
	type part struct{ name, dir string }
	root, err := ask("env", "GOROOT")
	if err != nil {
		return err
	}
	dirs := []part{{"Go " + info.GoVersion, root}}
	for _, m := range parts(info) {
		dir, err := ask("list", "-m", "-f", "{{.Dir}}", m.Path)
		if err != nil {
			return err
		}
		dirs = append(dirs, part{m.Path + " " + m.Version, dir})
	}
	fmt.Fprintln(w, "Mailstead is one program made of these parts. Their licences follow.")
	for _, d := range dirs {
		files, err := licences(d.dir)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("%s has no licence", d.name)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 72), d.name, filepath.Base(file), strings.TrimSpace(string(text)))
		}
	}
	return nil
}

// ask runs the go command and gives the line that it answers.
func ask(arguments ...string) (line string, err error) {
	out, err := exec.Command("go", arguments...).Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(arguments, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

func licences(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		for _, begin := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE"} {
			if strings.HasPrefix(name, begin) && e.Type().IsRegular() {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files, nil
}
