package webui

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

const assetPath = "/assets/"

// assets are files by the name that the browser knows, which has a hash of what
// is in them: it may keep them for ever, and never shows an old one.
type assets struct {
	files map[string][]byte // style.0123456789ab.css
	names map[string]string // style.css → style.0123456789ab.css
}

func loadAssets() assets {
	a := assets{map[string][]byte{}, map[string]string{}}
	all, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		panic(err) // the pattern is a good one
	}
	for _, file := range all {
		b, err := assetFiles.ReadFile(file)
		if err != nil {
			panic(err) // it is built in
		}
		sum, name, ext := sha256.Sum256(b), path.Base(file), path.Ext(file)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.files[hashed], a.names[name] = b, hashed
	}
	return a
}

// asset serves one file, under every name of the server.
func (s *Site) asset(w http.ResponseWriter, r *http.Request) {
	b, ok := s.static.files[r.PathValue("name")]
	if !ok {
		s.fail(w, r, Visitor{}, Refuse(http.StatusNotFound))
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(r.PathValue("name"))))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(b)
}
