package publish

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// powerdns is the HTTP API of a PowerDNS Authoritative Server, 4.x or newer. A
// change is one request, done whole or not at all.
type powerdns struct {
	*client
	server string
}

func openPowerDNS(g given) (Provider, error) {
	base := strings.TrimSuffix(g.cred["url"], "/")
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &Error{Kind: ErrCredentials, Provider: g.info.Title, Text: "the URL of PowerDNS is no URL", Next: "it has the form http://127.0.0.1:8081"}
	}
	c := newClient(g, strings.TrimSuffix(base, "/api/v1")+"/api/v1")
	c.authorize = func(r *http.Request, _ []byte) { r.Header.Set("X-API-Key", g.cred["key"]) }
	c.saying = func(body []byte) (string, string) {
		var a struct{ Error string }
		if json.Unmarshal(body, &a) != nil {
			return string(body), ""
		}
		return a.Error, ""
	}
	return bySet{powerdns{c, g.cred["server"]}, new(sync.Mutex)}, nil
}

type pdnsRecord struct {
	Content  string `json:"content"`
	Disabled bool   `json:"disabled"`
}

type pdnsSet struct {
	Name       string       `json:"name"`
	Type       string       `json:"type"`
	TTL        int          `json:"ttl,omitempty"`
	ChangeType string       `json:"changetype,omitempty"`
	Records    []pdnsRecord `json:"records"`
}

func (p powerdns) atomic() bool { return true }

func (p powerdns) zones() string { return "/servers/" + url.PathEscape(p.server) + "/zones" }

func (p powerdns) path(zone string) string {
	return p.zones() + "/" + url.PathEscape(strings.TrimSuffix(zone, ".")+".")
}

func (p powerdns) FindZone(ctx context.Context, name string) (string, error) {
	for _, zone := range parents(name) {
		var a []struct{ Name string }
		if _, err := p.do(ctx, http.MethodGet, p.zones()+"?zone="+url.QueryEscape(zone+"."), nil, &a); err != nil {
			return "", err
		}
		for _, z := range a {
			if strings.EqualFold(z.Name, zone+".") {
				return zone, nil
			}
		}
	}
	return "", p.noZone(name)
}

func (p powerdns) sets(ctx context.Context, zone string) ([]set, error) {
	var a struct {
		Sets []pdnsSet `json:"rrsets"`
	}
	if _, err := p.do(ctx, http.MethodGet, p.path(zone), nil, &a); err != nil {
		return nil, err
	}
	var all []set
	for _, s := range a.Sets {
		one := set{name: relative(s.Name, zone), typ: s.Type, ttl: time.Duration(s.TTL) * time.Second}
		for _, r := range s.Records {
			if r.Disabled {
				// A set is written as a whole and this part of it would be lost.
				one.hidden = true
				continue
			}
			one.data = append(one.data, setData(one, zone, r.Content))
		}
		all = append(all, one)
	}
	return all, nil
}

func (p powerdns) put(ctx context.Context, zone string, changed []set) error {
	body := struct {
		Sets []pdnsSet `json:"rrsets"`
	}{}
	for _, s := range changed {
		if s.hidden {
			return &Error{Kind: ErrRefused, Provider: p.title, Text: "the records of type " + s.typ + " at " + absolute(s.name, zone) + " are partly disabled and would be lost",
				Next: "enable or delete the disabled ones first"}
		}
		one := pdnsSet{Name: absolute(s.name, zone) + ".", Type: s.typ, ChangeType: "DELETE", Records: []pdnsRecord{}}
		if len(s.data) > 0 {
			one.ChangeType, one.TTL = "REPLACE", seconds(s.ttl, 1)
		}
		for _, d := range wires(s) {
			one.Records = append(one.Records, pdnsRecord{Content: d})
		}
		body.Sets = append(body.Sets, one)
	}
	_, err := p.do(ctx, http.MethodPatch, p.path(zone), body, nil)
	return err
}
