// Nfpm makes one Debian package of a description: nfpm's library with its
// packager for Debian alone, so that no other format's dependencies are needed.
// It is a module of its own: nothing of it gets into the server.
//
//	go run . DESCRIPTION FILE.deb
//
// $ names in the description are taken from the environment. Every time in the
// package is SOURCE_DATE_EPOCH, so that the same tree makes the same bytes.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // makes itself known to nfpm
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: nfpm DESCRIPTION FILE.deb")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func pack(description, file string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	text, err := os.ReadFile(description)
	if err != nil {
		return err
	}
	expanded, err := os.CreateTemp("", "nfpm-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(expanded.Name())
	if _, err := expanded.WriteString(os.ExpandEnv(string(text))); err != nil {
		return err
	}
	if err := expanded.Close(); err != nil {
		return err
	}
	config, err := nfpm.ParseFile(expanded.Name())
	if err != nil {
		return err
	}
	info, err := config.Get("deb")
	if err != nil {
		return err
	}
	info.MTime = time.Unix(seconds, 0).UTC()
	for _, c := range info.Contents {
		if c.FileInfo == nil {
			continue
		}
		c.FileInfo.MTime = info.MTime
	}
	info = nfpm.WithDefaults(info)
	info.Target = file
	deb, err := nfpm.Get("deb")
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := deb.Package(info, out); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
