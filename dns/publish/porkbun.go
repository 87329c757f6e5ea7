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

// porkbun is the API v3 of Porkbun: every request is a POST, and a refusal is a
// status in the body, whatever HTTP's says.
type porkbun struct{ *client }

func openPorkbun(g given) (Provider, error) {
	c := newClient(g, "https://api.porkbun.com/api/json/v3")
	c.authorize = func(r *http.Request, _ []byte) {
		r.Header.Set("X-API-Key", g.cred["apikey"])
		r.Header.Set("X-Secret-API-Key", g.cred["secretapikey"])
	}
	c.saying = func(body []byte) (string, string) {
		var a struct{ Message, Code string }
		_ = json.Unmarshal(body, &a) // what is not JSON says nothing
		return a.Message, a.Code
	}
	c.refused = func(_ int, _, text string) bool {
		text = strings.ToLower(text)
		return strings.Contains(text, "api key") || strings.Contains(text, "opted in to api access")
	}
	return byRecord{porkbun{c}, new(sync.Mutex)}, nil
}

// ask posts and looks at the status in the body.
func (p porkbun) ask(ctx context.Context, path string, in, out any) error {
	var raw json.RawMessage
	if in == nil {
		in = struct{}{}
	}
	if _, err := p.do(ctx, http.MethodPost, path, in, &raw); err != nil {
		return err
	}
	var a struct{ Status string }
	if err := p.decode(raw, &a); err != nil {
		return err
	}
	if a.Status != "SUCCESS" {
		return p.problem(http.StatusBadRequest, nil, raw, nil)
	}
	return p.decode(raw, out)
}

type porkbunRecord struct {
	ID      string       `json:"id,omitempty"`
	Name    string       `json:"name"`
	Type    string       `json:"type"`
	Content string       `json:"content"`
	TTL     quotedNumber `json:"ttl"`
	Prio    quotedNumber `json:"prio,omitempty"`
}

// quotedNumber goes out as a string, and comes as a string, a number or null.
type quotedNumber string

// UnmarshalJSON implements json.Unmarshaler.
func (q *quotedNumber) UnmarshalJSON(b []byte) error {
	if *q = ""; string(b) != "null" {
		*q = quotedNumber(strings.Trim(string(b), `"`))
	}
	return nil
}

// FindZone lists the domains of the account, 1000 at a time.
func (p porkbun) FindZone(ctx context.Context, name string) (string, error) {
	owned := map[string]bool{}
	for start := 0; ; start += 1000 {
		if err := p.page(start / 1000); err != nil {
			return "", err
		}
		var a struct {
			Domains []struct{ Domain string }
		}
		if err := p.ask(ctx, "/domain/listAll", map[string]string{"start": fmt.Sprint(start)}, &a); err != nil {
			return "", err
		}
		for _, d := range a.Domains {
			owned[ascii(d.Domain)] = true
		}
		if len(a.Domains) < 1000 {
			break
		}
	}
	for _, zone := range parents(name) {
		if owned[zone] {
			return zone, nil
		}
	}
	return "", p.noZone(name)
}

func (p porkbun) path(verb, zone string) string {
	return "/dns/" + verb + "/" + url.PathEscape(strings.TrimSuffix(zone, "."))
}

func (p porkbun) entries(ctx context.Context, zone string, _ []string) ([]entry, error) {
	var a struct{ Records []porkbunRecord }
	if err := p.ask(ctx, p.path("retrieve", zone), nil, &a); err != nil {
		return nil, err
	}
	var all []entry
	for _, r := range a.Records {
		ttl, _ := atoi(string(r.TTL)) // a TTL that is none is 0
		data := r.Content
		switch {
		case (r.Type == "MX" || r.Type == "SRV") && r.Prio != "":
			data = string(r.Prio) + " " + data
		case r.Type == "TXT" && strings.HasPrefix(data, `"`):
			data = unwire("TXT", data)
		}
		all = append(all, entry{r.ID, normal(libdns.RR{
			Name: relative(r.Name, zone), Type: r.Type, TTL: time.Duration(ttl) * time.Second, Data: data,
		})})
	}
	return all, nil
}

func (p porkbun) form(r libdns.RR) porkbunRecord {
	one := porkbunRecord{Type: r.Type, Content: r.Data, TTL: quotedNumber(fmt.Sprint(seconds(r.TTL, 600)))}
	if r.Name != "@" {
		one.Name = r.Name
	}
	if r.Type == "MX" || r.Type == "SRV" {
		first, rest, _ := strings.Cut(r.Data, " ")
		one.Prio, one.Content = quotedNumber(first), rest
	}
	if r.Type == "MX" || r.Type == "SRV" || r.Type == "CNAME" {
		if trimmed := strings.TrimSuffix(one.Content, "."); trimmed != "" && !strings.HasSuffix(trimmed, " ") {
			one.Content = trimmed
		}
	}
	return one
}

func (p porkbun) create(ctx context.Context, zone string, r libdns.RR) error {
	return p.ask(ctx, p.path("create", zone), p.form(r), nil)
}

func (p porkbun) update(ctx context.Context, zone string, e entry, r libdns.RR) error {
	return p.ask(ctx, p.path("edit", zone)+"/"+url.PathEscape(e.id), p.form(r), nil)
}

func (p porkbun) remove(ctx context.Context, zone string, e entry) error {
	return p.ask(ctx, p.path("delete", zone)+"/"+url.PathEscape(e.id), nil, nil)
}
