package publish

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/libdns/libdns"
)

// ovh is the API 1.0 of OVHcloud. Each request is signed; records are listed by
// id and read one by one; changes wait for a refresh of the zone.
type ovh struct {
	*client
	clock *ovhClock
}

// ovhClock is how far its clock is from ours: signatures hold for a short time.
type ovhClock struct {
	mu    sync.Mutex
	known bool          // under mu
	ahead time.Duration // under mu
}

func openOVH(g given) (Provider, error) {
	bases := map[string]string{"eu": "https://eu.api.ovh.com/1.0", "ca": "https://ca.api.ovh.com/1.0", "us": "https://api.us.ovhcloud.com/1.0"}
	base, ok := bases[strings.TrimPrefix(g.cred["endpoint"], "ovh-")]
	if !ok {
		return nil, &Error{Kind: ErrCredentials, Provider: g.info.Title, Text: fmt.Sprintf("OVHcloud has no endpoint %q", g.cred["endpoint"]), Next: "known ones: eu, ca, us"}
	}
	c := newClient(g, base)
	o := ovh{c, new(ovhClock)}
	c.authorize = func(r *http.Request, body []byte) {
		r.Header.Set("X-Ovh-Application", g.cred["application_key"])
		if strings.HasSuffix(r.URL.Path, "/auth/time") {
			return
		}
		stamp := strconv.FormatInt(time.Now().Add(o.clock.get()).Unix(), 10)
		r.Header.Set("X-Ovh-Consumer", g.cred["consumer_key"])
		r.Header.Set("X-Ovh-Timestamp", stamp)
		r.Header.Set("X-Ovh-Signature", ovhSignature(g.cred["application_secret"], g.cred["consumer_key"], r.Method, r.URL.String(), string(body), stamp))
	}
	c.saying = func(body []byte) (string, string) {
		var a struct {
			Message   string
			ErrorCode string `json:"errorCode"`
		}
		_ = json.Unmarshal(body, &a) // what is not JSON says nothing
		return a.Message, a.ErrorCode
	}
	c.refused = func(_ int, code, text string) bool {
		return code == "INVALID_CREDENTIAL" || code == "INVALID_SIGNATURE" || code == "INVALID_KEY" || strings.HasPrefix(text, "Invalid application key")
	}
	return byRecord{o, new(sync.Mutex)}, nil
}

// ovhSignature is what OVHcloud's guide to its API prescribes.
func ovhSignature(secret, consumer, method, url, body, stamp string) string {
	sum := sha1.Sum([]byte(strings.Join([]string{secret, consumer, method, url, body, stamp}, "+")))
	return "$1$" + hex.EncodeToString(sum[:])
}

func (c *ovhClock) get() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead
}

// ask sets the clock before the first signed request.
func (o ovh) ask(ctx context.Context, method, path string, in, out any) error {
	o.clock.mu.Lock()
	known := o.clock.known
	o.clock.mu.Unlock()
	if !known {
		var now int64
		if _, err := o.do(ctx, http.MethodGet, "/auth/time", nil, &now); err != nil {
			return err
		}
		o.clock.mu.Lock()
		o.clock.known, o.clock.ahead = true, time.Until(time.Unix(now, 0)).Round(time.Second)
		o.clock.mu.Unlock()
	}
	_, err := o.do(ctx, method, path, in, out)
	return err
}

type ovhRecord struct {
	ID     int64  `json:"id,omitempty"`
	Sub    string `json:"subDomain"`
	Type   string `json:"fieldType,omitempty"`
	Target string `json:"target"`
	TTL    int    `json:"ttl"`
}

func (o ovh) FindZone(ctx context.Context, name string) (string, error) {
	var zones []string
	if err := o.ask(ctx, http.MethodGet, "/domain/zone", nil, &zones); err != nil {
		return "", err
	}
	for _, zone := range parents(name) {
		if slices.ContainsFunc(zones, func(z string) bool { return ascii(z) == zone }) {
			return zone, nil
		}
	}
	return "", o.noZone(name)
}

func (o ovh) path(zone string) string {
	return "/domain/zone/" + url.PathEscape(strings.TrimSuffix(zone, ".")) + "/record"
}

// entries asks for the names alone, where they are known: it takes a request for
// each record.
func (o ovh) entries(ctx context.Context, zone string, names []string) ([]entry, error) {
	queries := []string{""}
	if names != nil {
		queries = nil
	}
	for _, name := range names {
		queries = append(queries, "?subDomain="+url.QueryEscape(strings.TrimPrefix(name, "@")))
	}
	var ids []int64
	for _, q := range queries {
		var some []int64
		if err := o.ask(ctx, http.MethodGet, o.path(zone)+q, nil, &some); err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	all := make([]entry, 0, len(ids))
	for _, id := range ids {
		var r ovhRecord
		if err := o.ask(ctx, http.MethodGet, fmt.Sprintf("%s/%d", o.path(zone), id), nil, &r); err != nil {
			if isNoZone(err) { // gone since the list was made
				continue
			}
			return nil, err
		}
		all = append(all, r.entry(zone))
	}
	return all, nil
}

func (r ovhRecord) entry(zone string) entry {
	typ := r.Type
	// Its forms for mail make TXT records.
	if typ == "SPF" || typ == "DKIM" || typ == "DMARC" {
		typ = "TXT"
	}
	data := r.Target
	if typ == "TXT" && strings.HasPrefix(data, `"`) {
		data = unwire("TXT", data)
	} else if typ != "TXT" {
		data = setData(set{typ: typ}, zone, data)
	}
	rr := normal(libdns.RR{Name: r.Sub, Type: typ, TTL: time.Duration(r.TTL) * time.Second, Data: data})
	if rr.Name == "" {
		rr.Name = "@"
	}
	return entry{fmt.Sprint(r.ID), rr}
}

func (o ovh) form(r libdns.RR) ovhRecord {
	one := ovhRecord{Sub: r.Name, Type: r.Type, Target: wire(r), TTL: seconds(r.TTL, 60)}
	if one.Sub == "@" {
		one.Sub = ""
	}
	return one
}

func (o ovh) create(ctx context.Context, zone string, r libdns.RR) error {
	return o.ask(ctx, http.MethodPost, o.path(zone), o.form(r), nil)
}

func (o ovh) update(ctx context.Context, zone string, e entry, r libdns.RR) error {
	one := o.form(r)
	one.Type = "" // cannot be changed, and is the same
	return o.ask(ctx, http.MethodPut, o.path(zone)+"/"+url.PathEscape(e.id), one, nil)
}

func (o ovh) remove(ctx context.Context, zone string, e entry) error {
	return gone(o.ask(ctx, http.MethodDelete, o.path(zone)+"/"+url.PathEscape(e.id), nil, nil))
}

func (o ovh) commit(ctx context.Context, zone string) error {
	return o.ask(ctx, http.MethodPost, "/domain/zone/"+url.PathEscape(strings.TrimSuffix(zone, "."))+"/refresh", nil, nil)
}
