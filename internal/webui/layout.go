package webui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

//go:embed layout/*.html
var layoutFiles embed.FS

// frame is what the layout shows around a page.
type frame struct {
	Title, Site string
	Visitor     Visitor
	Path        string
	Menu        []Page
	Refresh     int // seconds; 0 for never
	Data        any
}

// page is a page as a handler.
func (s *Site) page(p Page) handler {
	return func(w http.ResponseWriter, r *http.Request, v Visitor) (err error) {
		var data any
		if p.Data != nil {
			if data, err = p.Data(r, v); err != nil {
				return err
			}
		}
		s.show(w, r, v, http.StatusOK, p, data)
		return nil
	}
}

// show writes a whole page, or none: what fails in the middle of a template
// never reaches the browser half.
func (s *Site) show(w http.ResponseWriter, r *http.Request, v Visitor, status int, p Page, data any) {
	f := frame{Title: p.Title, Site: s.Name, Visitor: v, Path: r.URL.Path, Data: data}
	if changing, ok := data.(interface{ Refresh() int }); ok {
		f.Refresh = changing.Refresh()
	}
	for _, one := range s.Pages {
		if one.Menu != "" && v.may(one.Access) && (one.Host != nil || s.answersTo(host(r))) {
			f.Menu = append(f.Menu, one)
		}
	}
	var b bytes.Buffer
	t, err := s.template(p)
	if err == nil {
		err = t.ExecuteTemplate(&b, "layout", f)
	}
	if err != nil {
		s.Log.Error("page not shown", "path", r.URL.Path, "err", err)
		http.Error(w, problems()[http.StatusInternalServerError].Text, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// template parses a page's template with the layout, once.
func (s *Site) template(of Page) (*template.Template, error) {
	key := of.Path + " " + of.Template
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.parsed[key]; t != nil {
		return t, nil
	}
	t, err := template.New("").Funcs(s.functions()).ParseFS(layoutFiles, "layout/layout.html", "layout/parts.html")
	if err == nil {
		t, err = t.ParseFS(of.Files, of.Template)
	}
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", of.Template, err)
	}
	if s.parsed == nil {
		s.parsed = map[string]*template.Template{}
	}
	s.parsed[key] = t
	return t, nil
}

// functions are the words of all templates.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":  func(name string) string { return assetPath + s.static.names[name] },
		"prose":  prose,
		"ago":    func(t time.Time) string { return ago(time.Since(t)) },
		"date":   func(t time.Time) string { return t.Format("2 January 2006") },
		"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock":  func(t time.Time) string { return t.Format("2 January 2006, 15:04 MST") },
		"size":   size,
		"plural": func(n any, name string) string { return plural(reflect.ValueOf(n).Int(), name) },
		"dict":   dict,
	}
}

// span is a piece of a sentence.
type span struct {
	Text string
	Code bool // stood in `backquotes`
}

// prose takes a sentence of ours apart at its backquotes.
func prose(text string) (spans []span) {
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			spans = append(spans, span{piece, i%2 == 1})
		}
	}
	return spans
}

// ago tells a time as people do.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int64(d/time.Minute), "minute") + " ago"
	case d < 48*time.Hour:
		return plural(int64(d/time.Hour), "hour") + " ago"
	}
	return plural(int64(d/(24*time.Hour)), "day") + " ago"
}

// plural counts things whose name takes an s.
func plural(n int64, name string) string {
	if n != 1 {
		name += "s"
	}
	return strconv.FormatInt(n, 10) + " " + name
}

// size tells bytes as disks are sold.
func size(n uint64) string {
	value, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for value >= 1000 && len(units) > 1 {
		value, units = value/1000, units[1:]
	}
	if units[0] == "B" || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[0])
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// dict gives a part several values by name.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
