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

// gandi is Gandi's LiveDNS API, version 5, with a personal access token.
type gandi struct{ *client }

// gandiPage is how many sets are asked for at once.
const gandiPage = 100

func openGandi(g given) (Provider, error) {
	c := newClient(g, "https://api.gandi.net/v5/livedns")
	c.saying = func(body []byte) (string, string) {
		var a struct {
			Message string
			Errors  []struct{ Name, Description string }
		}
		if json.Unmarshal(body, &a) != nil {
			return "", ""
		}
		for _, e := range a.Errors {
			a.Message += "; " + e.Name + ": " + e.Description
		}
		return a.Message, ""
	}
	return bySet{gandi{c}, new(sync.Mutex)}, nil
}

type gandiSet struct {
	Name   string   `json:"rrset_name,omitempty"`
	Type   string   `json:"rrset_type,omitempty"`
	TTL    int      `json:"rrset_ttl"`
	Values []string `json:"rrset_values"`
}

func (g gandi) atomic() bool { return false }

func (g gandi) FindZone(ctx context.Context, name string) (string, error) {
	return g.findParent(name, func(zone string) error {
		_, err := g.do(ctx, http.MethodGet, "/domains/"+url.PathEscape(zone), nil, nil)
		return err
	})
}

func (g gandi) path(zone string) string {
	return "/domains/" + url.PathEscape(strings.TrimSuffix(zone, ".")) + "/records"
}

func (g gandi) sets(ctx context.Context, zone string) ([]set, error) {
	var all []set
	for page := 1; ; page++ {
		if err := g.page(page); err != nil {
			return nil, err
		}
		var a []gandiSet
		head, err := g.do(ctx, http.MethodGet, fmt.Sprintf("%s?page=%d&per_page=%d", g.path(zone), page, gandiPage), nil, &a)
		if err != nil {
			return nil, err
		}
		for _, s := range a {
			one := set{name: s.Name, typ: s.Type, ttl: time.Duration(s.TTL) * time.Second}
			for _, v := range s.Values {
				one.data = append(one.data, setData(one, zone, v))
			}
			all = append(all, one)
		}
		total, err := atoi(head.Get("Total-Count"))
		if len(a) < gandiPage || err == nil && page*gandiPage >= total {
			return all, nil
		}
	}
}

func (g gandi) put(ctx context.Context, zone string, changed []set) error {
	for _, s := range changed {
		one := g.path(zone) + "/" + url.PathEscape(s.name) + "/" + s.typ
		var err error
		if len(s.data) == 0 {
			_, err = g.do(ctx, http.MethodDelete, one, nil, nil)
			err = gone(err)
		} else {
			_, err = g.do(ctx, http.MethodPut, one, gandiSet{TTL: seconds(s.ttl, 300), Values: wires(s)}, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
