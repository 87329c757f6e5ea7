package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEach(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(Variable, dir)
	for _, d := range []string{"suites/mime", "corpus"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "suites/mime/1"), []byte("From a\nSubject: b\r\n\nc"), 0o600); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	tw := tar.NewWriter(z)
	for name, text := range map[string]string{"x/index": "no mail", "x/2": "Subject: d\n"} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "corpus/a.tar.gz"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	Each(t, func(name string, b []byte) { got[name] = string(Message(b)) })
	want := map[string]string{"mime/1": "Subject: b\r\n\r\nc", "x/2": "Subject: d\r\n"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
