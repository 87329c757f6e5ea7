package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/libdns/libdns"
)

// digitalocean is the API v2 of DigitalOcean. It holds no TLSA records, and CAA
// without parameters only.
type digitalocean struct{ *client }

func openDigitalOcean(g given) (Provider, error) {
	c := newClient(g, "https://api.digitalocean.com/v2")
	c.saying = func(body []byte) (string, string) {
		var a struct{ ID, Message string }
		_ = json.Unmarshal(body, &a) // what is not JSON says nothing
		return a.Message, a.ID
	}
	return byRecord{digitalocean{c}, new(sync.Mutex)}, nil
}

type doRecord struct {
	ID       int    `json:"id,omitempty"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Data     string `json:"data"`
	Priority *int   `json:"priority,omitempty"`
	Port     *int   `json:"port,omitempty"`
	Weight   *int   `json:"weight,omitempty"`
	Flags    *int   `json:"flags,omitempty"`
	Tag      string `json:"tag,omitempty"`
	TTL      int    `json:"ttl"`
}

func (d digitalocean) FindZone(ctx context.Context, name string) (string, error) {
	return d.findParent(name, func(zone string) error {
		_, err := d.do(ctx, http.MethodGet, "/domains/"+url.PathEscape(zone), nil, nil)
		return err
	})
}

func (d digitalocean) path(zone string) string {
	return "/domains/" + url.PathEscape(strings.TrimSuffix(zone, ".")) + "/records"
}

func (d digitalocean) entries(ctx context.Context, zone string, _ []string) ([]entry, error) {
	var all []entry
	for page := 1; ; page++ {
		if err := d.page(page); err != nil {
			return nil, err
		}
		var a struct {
			Records []doRecord `json:"domain_records"`
			Links   struct {
				Pages struct{ Next string } `json:"pages"`
			} `json:"links"`
		}
		if _, err := d.do(ctx, http.MethodGet, fmt.Sprintf("%s?page=%d&per_page=200", d.path(zone), page), nil, &a); err != nil {
			return nil, err
		}
		for _, r := range a.Records {
			all = append(all, entry{fmt.Sprint(r.ID), normal(libdns.RR{
				Name: relative(absolute(r.Name, zone), zone), Type: r.Type, TTL: time.Duration(r.TTL) * time.Second, Data: r.presentation(zone),
			})})
		}
		if a.Links.Pages.Next == "" {
			return all, nil
		}
	}
}

func (r doRecord) presentation(zone string) string {
	or := func(n *int) int {
		if n == nil {
			return 0
		}
		return *n
	}
	data := r.Data
	if data == "@" {
		data = zone
	}
	switch r.Type {
	case "MX":
		return fmt.Sprintf("%d %s", or(r.Priority), data)
	case "SRV":
		return fmt.Sprintf("%d %d %d %s", or(r.Priority), or(r.Weight), or(r.Port), data)
	case "CAA":
		return fmt.Sprintf("%d %s %q", or(r.Flags), r.Tag, data)
	}
	return data
}

func (d digitalocean) form(r libdns.RR) (doRecord, error) {
	one := doRecord{Type: r.Type, Name: r.Name, Data: r.Data, TTL: seconds(r.TTL, 30)}
	f := strings.Fields(r.Data)
	var n [3]int
	for i := range min(len(f), 3) {
		n[i], _ = atoi(f[i]) // of TXT there are no numbers, and none are used
	}
	switch {
	case r.Type == "MX" && len(f) == 2:
		one.Priority, one.Data = &n[0], f[1]
	case r.Type == "SRV" && len(f) == 4:
		one.Priority, one.Weight, one.Port, one.Data = &n[0], &n[1], &n[2], f[3]
	case r.Type == "CAA" || r.Type == "TLSA":
		return one, &Error{Kind: ErrRefused, Provider: d.title, Text: "DigitalOcean cannot hold this " + r.Type + " record", Next: "mail works without it"}
	}
	return one, nil
}

func (d digitalocean) create(ctx context.Context, zone string, r libdns.RR) error {
	one, err := d.form(r)
	if err == nil {
		_, err = d.do(ctx, http.MethodPost, d.path(zone), one, nil)
	}
	return err
}

func (d digitalocean) update(ctx context.Context, zone string, e entry, r libdns.RR) error {
	one, err := d.form(r)
	if err == nil {
		_, err = d.do(ctx, http.MethodPut, d.path(zone)+"/"+url.PathEscape(e.id), one, nil)
	}
	return err
}

func (d digitalocean) remove(ctx context.Context, zone string, e entry) error {
	_, err := d.do(ctx, http.MethodDelete, d.path(zone)+"/"+url.PathEscape(e.id), nil, nil)
	return gone(err)
}
