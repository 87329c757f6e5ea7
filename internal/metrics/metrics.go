// Package metrics writes figures in the text format of Prometheus (version
// 0.0.4) and counts mail events. It keeps counters and nothing else: what is a
// state (the queue, the disk, a certificate) is asked of its owner at each
// scrape, through the sources that app gives. All names are in
// docs/operate/metrics.md.
package metrics

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Writer writes samples. Those of one name must follow each other.
type Writer struct {
	w    *bufio.Writer
	last string
}

// NewWriter writes to w; Flush ends it.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriter(w)} }

// Flush writes what is left, and tells the first error of all writing.
func (w *Writer) Flush() error { return w.w.Flush() }

// Counter writes a number that only grows. labels are names and values in turn.
func (w *Writer) Counter(name, help string, value float64, labels ...string) {
	w.sample("counter", name, help, value, labels)
}

// Gauge writes a number that comes and goes.
func (w *Writer) Gauge(name, help string, value float64, labels ...string) {
	w.sample("gauge", name, help, value, labels)
}

// Time writes a time as seconds since 1970; the zero one is left out.
func (w *Writer) Time(name, help string, t time.Time, labels ...string) {
	if !t.IsZero() {
		w.sample("gauge", name, help, float64(t.UnixMilli())/1000, labels)
	}
}

func (w *Writer) sample(kind, name, help string, value float64, labels []string) {
	if name != w.last {
		w.last = name
		w.w.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
	}
	w.w.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		w.w.WriteString(sep + labels[i] + `="` + escape(labels[i+1]) + `"`)
	}
	if len(labels) > 1 {
		w.w.WriteByte('}')
	}
	w.w.WriteByte(' ')
	w.w.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	w.w.WriteByte('\n')
}

func escape(s string) string {
	if !strings.ContainsAny(s, "\\\"\n") {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

// Source writes the figures of one room.
type Source func(ctx context.Context, w *Writer)

// scrapeTime bounds how long owners may take.
const scrapeTime = 5 * time.Second

// Handler answers a scrape.
func Handler(sources ...Source) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		out.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w := NewWriter(out)
		for _, s := range sources {
			s(ctx, w)
		}
		_ = w.Flush() // the scraper has gone away
	})
}

// Health answers 200 "ok", or 503 and why not.
func Health(well func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		out.Header().Set("Content-Type", "text/plain; charset=utf-8")
		out.Header().Set("Cache-Control", "no-store")
		if err := well(ctx); err != nil {
			out.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(out, err.Error()+"\n")
			return
		}
		_, _ = io.WriteString(out, "ok\n")
	})
}
