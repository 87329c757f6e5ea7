package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

func (versionCommand) Help() string {
	return `Example:
  mailstead version`
}

// Version is what the program knows of its making.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// stamped is the version that a release gives itself, by the linker alone:
// -ldflags '-X mailstead/internal/cli.stamped=1.2.3'.
var stamped string

// ReadVersion reads what the build noted.
func ReadVersion() Version {
	v := Version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	if stamped != "" {
		v.Version = stamped
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (c *versionCommand) Run(p *program) error {
	v := ReadVersion()
	return p.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "mailstead %s", v.Version)
		if v.Revision != "" {
			fmt.Fprintf(w, " (%.12s)", v.Revision)
		}
		fmt.Fprintf(w, ", %s, %s\n", v.Go, v.Platform)
	})
}
