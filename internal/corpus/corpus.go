// Package corpus reads the real mail that tests are run on: archives and suites
// of messages in a folder beside the repository, which is named by the
// environment. It is not part of the server.
//
//	$MAILSTEAD_SHARED/suites/mime, suites/eai   one message a file
//	$MAILSTEAD_SHARED/corpus/*.tar.gz           the same, packed
package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Variable names the folder.
const Variable = "MAILSTEAD_SHARED"

// Each gives every file with its name as it is, and skips the test where there
// is no folder.
func Each(t testing.TB, fn func(name string, b []byte)) {
	t.Helper()
	shared := os.Getenv(Variable)
	if shared == "" {
		t.Skip(Variable + " is not set")
	}
	for _, suite := range []string{"mime", "eai"} {
		files, err := filepath.Glob(filepath.Join(shared, "suites", suite, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			fn(filepath.Join(suite, filepath.Base(f)), b)
		}
	}
	archives, err := filepath.Glob(filepath.Join(shared, "corpus", "*.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range archives {
		if err := unpack(a, fn); err != nil {
			t.Fatal(err)
		}
	}
}

func unpack(archive string, fn func(name string, b []byte)) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || strings.HasSuffix(h.Name, "index") {
			continue
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			return err
		}
		fn(h.Name, b)
	}
}

// Message is a file's message with CRLF line ends, without mbox's "From " line
// at its head.
func Message(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("From ")) {
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}
