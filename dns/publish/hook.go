package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libdns/libdns"
)

// hook is a program of the person's own that is asked by JSON on its standard
// input and answers on its output; docs/dns.md describes both. It is run
// without a shell and with nothing of our environment but PATH and HOME.
type hook struct {
	title   string
	command string
	mu      *sync.Mutex // one at a time
}

const hookTime = 2 * time.Minute

func openExec(g given) (Provider, error) {
	h := hook{title: g.info.Title, command: g.cred["command"], mu: new(sync.Mutex)}
	if info, err := os.Stat(h.command); !filepath.IsAbs(h.command) || err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, &Error{Kind: ErrCredentials, Provider: h.title, Text: fmt.Sprintf("%q is no program that can be run", h.command),
			Next: "give the whole path of a file that is executable; it gets no arguments"}
	}
	return h, nil
}

// hookRequest goes in, one for each run.
type hookRequest struct {
	Version int      `json:"version"` // 1
	Action  string   `json:"action"`  // zone, get, change
	Name    string   `json:"name,omitempty"`
	Zone    string   `json:"zone,omitempty"`
	Names   []string `json:"names,omitempty"`
	Remove  []Record `json:"remove,omitempty"` // TXT quoted, as in a zone file
	Add     []Record `json:"add,omitempty"`
}

// hookAnswer comes out.
type hookAnswer struct {
	Zone    string   `json:"zone"`
	Records []Record `json:"records"`
	Error   string   `json:"error"`
	Kind    string   `json:"kind"` // token, zone, rate; "" for a refusal
}

func (h hook) atomic() bool { return true }

func (h hook) run(ctx context.Context, in hookRequest) (out hookAnswer, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	in.Version = 1
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("ask the hook: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, h.command)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	c.Dir = filepath.Dir(h.command)
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(body), limited{&stdout, maxAnswer}, limited{&stderr, 4096}
	c.WaitDelay = time.Second
	runErr := c.Run()
	if ctx.Err() != nil {
		return out, &Error{Kind: ErrUnreachable, Provider: h.title, Err: ctx.Err(), Text: "the hook " + h.command + " did not end in time"}
	}
	jsonErr := json.Unmarshal(stdout.Bytes(), &out)
	switch {
	case jsonErr == nil && out.Error != "":
		kinds := map[string]error{"token": ErrToken, "zone": ErrNoZone, "rate": ErrRate}
		kind, ok := kinds[out.Kind]
		if !ok {
			kind = ErrRefused
		}
		return out, &Error{Kind: kind, Provider: h.title, Text: "the hook says: " + oneLine(out.Error)}
	case runErr != nil:
		return out, &Error{Kind: ErrRefused, Provider: h.title, Err: runErr, Text: fmt.Sprintf("the hook %s failed: %s", h.command, oneLine(runErr.Error()+": "+stderr.String()))}
	case jsonErr != nil:
		return out, &Error{Kind: ErrUnreachable, Provider: h.title, Err: jsonErr, Text: fmt.Sprintf("the hook %s answered no JSON", h.command), Next: "its answer is one object on standard output, {} at least"}
	}
	return out, nil
}

// limited fails a writer that gets too much.
type limited struct {
	w    *bytes.Buffer
	most int
}

func (l limited) Write(p []byte) (int, error) {
	if l.w.Len()+len(p) > l.most {
		return 0, io.ErrShortBuffer
	}
	return l.w.Write(p)
}

// FindZone asks with the action zone.
func (h hook) FindZone(ctx context.Context, name string) (string, error) {
	a, err := h.run(ctx, hookRequest{Action: "zone", Name: name})
	a.Zone = strings.ToLower(strings.TrimSuffix(a.Zone, "."))
	if err == nil && !slices.Contains(parents(name), a.Zone) {
		err = &Error{Kind: ErrNoZone, Provider: h.title, Text: fmt.Sprintf("the hook knows no zone for %s", name), Next: "it answers the action zone with {\"zone\": \"example.org\"}"}
	}
	return a.Zone, err
}

// GetRecords asks with the action get.
func (h hook) GetRecords(ctx context.Context, zone string) ([]libdns.Record, error) {
	return h.LookupRecords(ctx, zone, nil)
}

// LookupRecords tells the hook the names, so that it need not know others.
func (h hook) LookupRecords(ctx context.Context, zone string, names []string) ([]libdns.Record, error) {
	in := hookRequest{Action: "get", Zone: strings.TrimSuffix(zone, ".")}
	for _, n := range names {
		in.Names = append(in.Names, absolute(n, zone))
	}
	a, err := h.run(ctx, in)
	if err != nil {
		return nil, err
	}
	var all []libdns.RR
	for _, r := range a.Records {
		typ := strings.ToUpper(r.Type)
		all = append(all, normal(libdns.RR{Name: relative(r.Name, zone), Type: typ, TTL: time.Duration(r.TTL) * time.Second, Data: unwire(typ, r.Data)}))
	}
	return expand(all), nil
}

// AppendRecords implements libdns.RecordAppender.
func (h hook) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, h.ReplaceRecords(ctx, zone, nil, records)
}

// SetRecords implements libdns.RecordSetter.
func (h hook) SetRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	fresh := reduce(records)
	old, err := h.LookupRecords(ctx, zone, namesOf(fresh))
	if err != nil {
		return nil, err
	}
	removes := slices.DeleteFunc(reduce(setsOf(reduce(old), fresh)), func(o libdns.RR) bool {
		return slices.ContainsFunc(fresh, func(r libdns.RR) bool { return same(o, r) })
	})
	return records, h.ReplaceRecords(ctx, zone, expand(removes), records)
}

// DeleteRecords implements libdns.RecordDeleter.
func (h hook) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return deleteMatching(ctx, h, zone, records)
}

// ReplaceRecords asks with the action change.
func (h hook) ReplaceRecords(ctx context.Context, zone string, removes, adds []libdns.Record) error {
	_, err := h.run(ctx, hookRequest{Action: "change", Zone: strings.TrimSuffix(zone, "."), Remove: hookRecords(zone, removes), Add: hookRecords(zone, adds)})
	return err
}

func hookRecords(zone string, records []libdns.Record) []Record {
	var all []Record
	for _, r := range reduce(records) {
		all = append(all, Record{Name: absolute(r.Name, zone), Type: r.Type, TTL: seconds(r.TTL, 0), Data: wire(r)})
	}
	return all
}
