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
)

// desec is the API of deSEC. It allows 15 changes a minute for a domain, so that
// all sets of a change go in one request, which it does whole or not at all.
type desec struct{ *client }

func openDesec(g given) (Provider, error) {
	c := newClient(g, "https://desec.io/api/v1")
	c.authorize = func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Token "+g.cred["token"]) }
	c.saying = func(body []byte) (string, string) { return desecSaying(body), "" }
	return bySet{desec{c}, new(sync.Mutex)}, nil
}

// desecSaying reads {"detail": …}, or lists of complaints about each set.
func desecSaying(body []byte) string {
	var a struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &a) == nil && a.Detail != "" {
		return a.Detail
	}
	var text []string
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case string:
			text = append(text, strings.TrimPrefix(at+": "+v, ": "))
		case []any:
			for _, e := range v {
				walk(e, at)
			}
		case map[string]any:
			for k, e := range v {
				walk(e, k)
			}
		}
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		walk(v, "")
	}
	return strings.Join(text, "; ")
}

type desecSet struct {
	Subname string   `json:"subname"`
	Type    string   `json:"type"`
	TTL     int      `json:"ttl,omitempty"`
	Records []string `json:"records"`
}

func (d desec) atomic() bool { return true }

func (d desec) FindZone(ctx context.Context, name string) (string, error) {
	var a []struct{ Name string }
	_, err := d.do(ctx, http.MethodGet, "/domains/?owns_qname="+url.QueryEscape(strings.TrimSuffix(name, ".")), nil, &a)
	if err == nil && len(a) == 0 {
		err = d.noZone(name)
	}
	if err != nil {
		return "", err
	}
	return a[0].Name, nil
}

func (d desec) path(zone string) string {
	return "/domains/" + url.PathEscape(strings.TrimSuffix(zone, ".")) + "/rrsets/"
}

// sets reads pages of 500; the cursor of the next stands in a Link field.
func (d desec) sets(ctx context.Context, zone string) ([]set, error) {
	var all []set
	for query, n := "?cursor=", 1; query != ""; n++ {
		if err := d.page(n); err != nil {
			return nil, err
		}
		var a []desecSet
		head, err := d.do(ctx, http.MethodGet, d.path(zone)+query, nil, &a)
		if err != nil {
			return nil, err
		}
		for _, s := range a {
			one := set{name: s.Subname, typ: s.Type, ttl: time.Duration(s.TTL) * time.Second}
			if one.name == "" {
				one.name = "@"
			}
			for _, r := range s.Records {
				one.data = append(one.data, setData(one, zone, r))
			}
			all = append(all, one)
		}
		query = nextQuery(head)
	}
	return all, nil
}

// nextQuery is the query of the next page (RFC 8288), "" on the last. Only the
// query is taken: the rest of the URL is ours.
func nextQuery(head http.Header) string {
	for _, link := range strings.Split(head.Get("Link"), ",") {
		target, params, _ := strings.Cut(link, ";")
		if !strings.Contains(params, `rel="next"`) {
			continue
		}
		if u, err := url.Parse(strings.Trim(strings.TrimSpace(target), "<>")); err == nil {
			return "?" + u.RawQuery
		}
	}
	return ""
}

func (d desec) put(ctx context.Context, zone string, changed []set) error {
	least, err := d.minimumTTL(ctx, zone)
	if err != nil {
		return err
	}
	var body []desecSet
	for _, s := range changed {
		one := desecSet{Subname: s.name, Type: s.typ, TTL: seconds(s.ttl, least), Records: append([]string{}, wires(s)...)}
		if one.Subname == "@" {
			one.Subname = ""
		}
		body = append(body, one)
	}
	_, err = d.do(ctx, http.MethodPatch, d.path(zone), body, nil)
	return err
}

func (d desec) minimumTTL(ctx context.Context, zone string) (int, error) {
	var a struct {
		Minimum int `json:"minimum_ttl"`
	}
	_, err := d.do(ctx, http.MethodGet, fmt.Sprintf("/domains/%s/", url.PathEscape(strings.TrimSuffix(zone, "."))), nil, &a)
	return a.Minimum, err
}
