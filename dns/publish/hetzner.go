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

// hetzner is the DNS part of Hetzner's Cloud API. The older API of the DNS
// Console (dns.hetzner.com), which cannot change zones that have moved, is not
// spoken.
type hetzner struct{ *client }

func openHetzner(g given) (Provider, error) {
	c := newClient(g, "https://api.hetzner.cloud/v1")
	c.saying = func(body []byte) (string, string) {
		var a struct {
			Error hetznerError `json:"error"`
		}
		if json.Unmarshal(body, &a) != nil {
			return "", ""
		}
		return a.Error.String(), a.Error.Code
	}
	return bySet{hetzner{c}, new(sync.Mutex)}, nil
}

type hetznerError struct {
	Code, Message string
	Details       struct {
		Fields []struct {
			Name     string
			Messages []string
		}
	}
}

func (e hetznerError) String() string {
	text := e.Message
	for _, f := range e.Details.Fields {
		text += "; " + f.Name + ": " + strings.Join(f.Messages, ", ")
	}
	return text
}

type hetznerValue struct {
	Value string `json:"value"`
}

type hetznerSet struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	TTL     *int           `json:"ttl"`
	Records []hetznerValue `json:"records"`
}

type hetznerAction struct {
	Action struct {
		ID     int           `json:"id"`
		Status string        `json:"status"`
		Error  *hetznerError `json:"error"`
	} `json:"action"`
}

func (h hetzner) atomic() bool { return false }

func (h hetzner) FindZone(ctx context.Context, name string) (string, error) {
	return h.findParent(name, func(zone string) error {
		var a struct {
			Zone struct{ Name string } `json:"zone"`
		}
		_, err := h.do(ctx, http.MethodGet, "/zones/"+url.PathEscape(zone), nil, &a)
		if err == nil && ascii(a.Zone.Name) != zone {
			err = h.noZone(zone)
		}
		return err
	})
}

func (h hetzner) path(zone string) string {
	return "/zones/" + url.PathEscape(strings.TrimSuffix(zone, ".")) + "/rrsets"
}

func (h hetzner) sets(ctx context.Context, zone string) ([]set, error) {
	var all []set
	for page, n := 1, 1; page != 0; n++ {
		if err := h.page(n); err != nil {
			return nil, err
		}
		var a struct {
			Sets []hetznerSet `json:"rrsets"`
			Meta struct {
				Pagination struct {
					Next int `json:"next_page"`
				} `json:"pagination"`
			} `json:"meta"`
		}
		if _, err := h.do(ctx, http.MethodGet, fmt.Sprintf("%s?page=%d&per_page=50", h.path(zone), page), nil, &a); err != nil {
			return nil, err
		}
		for _, s := range a.Sets {
			one := set{name: s.Name, typ: s.Type}
			if s.TTL != nil { // null is the zone's own
				one.ttl = time.Duration(*s.TTL) * time.Second
			}
			for _, r := range s.Records {
				one.data = append(one.data, setData(one, zone, r.Value))
			}
			all = append(all, one)
		}
		page = a.Meta.Pagination.Next
	}
	return all, nil
}

func (h hetzner) put(ctx context.Context, zone string, changed []set) error {
	for _, s := range changed {
		if err := h.putOne(ctx, zone, s); err != nil {
			return err
		}
	}
	return nil
}

func (h hetzner) putOne(ctx context.Context, zone string, s set) error {
	var values []hetznerValue
	for _, d := range wires(s) {
		values = append(values, hetznerValue{d})
	}
	one := h.path(zone) + "/" + url.PathEscape(s.name) + "/" + s.typ
	var a hetznerAction
	var err error
	switch {
	case len(values) == 0:
		_, err = h.do(ctx, http.MethodDelete, one, nil, &a)
		err = gone(err)
	case s.old:
		_, err = h.do(ctx, http.MethodPost, one+"/actions/set_records", map[string]any{"records": values}, &a)
	default:
		ttl := seconds(s.ttl, 60)
		_, err = h.do(ctx, http.MethodPost, h.path(zone), hetznerSet{s.name, s.typ, &ttl, values}, &a)
	}
	if err != nil {
		return err
	}
	return h.settle(ctx, a)
}

// settle waits until what was asked for is done: the answer to a change is an
// action that runs.
func (h hetzner) settle(ctx context.Context, a hetznerAction) error {
	for try := 0; a.Action.Status == "running" && try < 30; try++ {
		if err := h.wait(ctx, time.Second); err != nil {
			return err
		}
		if _, err := h.do(ctx, http.MethodGet, fmt.Sprintf("/actions/%d", a.Action.ID), nil, &a); err != nil {
			return err
		}
	}
	if a.Action.Status == "error" {
		text := "no reason given"
		if a.Action.Error != nil {
			text = a.Action.Error.String()
		}
		return &Error{Kind: ErrRefused, Provider: h.title, Text: "Hetzner did not carry the change out: " + oneLine(text)}
	}
	return nil
}
