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

// cloudflare is the API v4 of Cloudflare: records with ids, 100 a page.
type cloudflare struct {
	*client
	ids *sync.Map // name of a zone → its id
}

func openCloudflare(g given) (Provider, error) {
	c := newClient(g, "https://api.cloudflare.com/client/v4")
	c.saying = func(body []byte) (string, string) {
		var a cfAnswer[json.RawMessage]
		if json.Unmarshal(body, &a) != nil || len(a.Errors) == 0 {
			return "", ""
		}
		text := a.Errors[0].Message
		for _, link := range a.Errors[0].Chain {
			text += ": " + link.Message
		}
		return text, fmt.Sprint(a.Errors[0].Code)
	}
	// 6003 is a token that cannot be one, 9109 and 10000 one that is not valid;
	// they come with 400 and 403.
	c.refused = func(_ int, code, _ string) bool { return code == "6003" || code == "9109" || code == "10000" }
	return byRecord{cloudflare{c, new(sync.Map)}, new(sync.Mutex)}, nil
}

type cfAnswer[T any] struct {
	Result T `json:"result"`
	Errors []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Chain   []struct {
			Message string `json:"message"`
		} `json:"error_chain"`
	} `json:"errors"`
	Info struct {
		Pages int `json:"total_pages"`
	} `json:"result_info"`
}

// cfRecord is a record in both directions. SRV, CAA and TLSA go out as data.
type cfRecord struct {
	ID       string         `json:"id,omitempty"`
	Type     string         `json:"type"`
	Name     string         `json:"name"`
	Content  string         `json:"content,omitempty"`
	TTL      int            `json:"ttl"`
	Priority *int           `json:"priority,omitempty"`
	Proxied  *bool          `json:"proxied,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
}

func (c cloudflare) FindZone(ctx context.Context, name string) (string, error) {
	return c.findParent(name, func(zone string) error {
		_, err := c.id(ctx, zone)
		return err
	})
}

func (c cloudflare) id(ctx context.Context, zone string) (string, error) {
	zone = strings.TrimSuffix(zone, ".")
	if id, ok := c.ids.Load(zone); ok {
		return id.(string), nil
	}
	var a cfAnswer[[]struct{ ID, Name string }]
	if _, err := c.do(ctx, http.MethodGet, "/zones?name="+url.QueryEscape(zone), nil, &a); err != nil {
		return "", err
	}
	for _, z := range a.Result {
		if ascii(z.Name) == zone {
			c.ids.Store(zone, z.ID)
			return z.ID, nil
		}
	}
	return "", c.noZone(zone)
}

func (c cloudflare) path(ctx context.Context, zone string) (string, error) {
	id, err := c.id(ctx, zone)
	return "/zones/" + url.PathEscape(id) + "/dns_records", err
}

func (c cloudflare) entries(ctx context.Context, zone string, _ []string) ([]entry, error) {
	path, err := c.path(ctx, zone)
	if err != nil {
		return nil, err
	}
	var all []entry
	for page := 1; ; page++ {
		if err := c.page(page); err != nil {
			return nil, err
		}
		var a cfAnswer[[]cfRecord]
		if _, err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s?page=%d&per_page=100", path, page), nil, &a); err != nil {
			return nil, err
		}
		for _, r := range a.Result {
			all = append(all, entry{r.ID, normal(libdns.RR{
				Name: relative(r.Name, zone), Type: r.Type, TTL: time.Duration(r.TTL) * time.Second, Data: r.presentation(),
			})})
		}
		if page >= a.Info.Pages || len(a.Result) == 0 {
			return all, nil
		}
	}
}

// presentation is what a record says. Old TXT records stand there unquoted.
func (r cfRecord) presentation() string {
	switch {
	case r.Type == "TXT" && strings.HasPrefix(r.Content, `"`):
		return unwire("TXT", r.Content)
	case r.Type == "MX" && r.Priority != nil:
		return fmt.Sprintf("%d %s", *r.Priority, r.Content)
	case r.Type == "SRV" && r.Data != nil:
		return fmt.Sprintf("%v %v %v %v", r.Data["priority"], r.Data["weight"], r.Data["port"], r.Data["target"])
	}
	return r.Content
}

func (c cloudflare) form(zone string, rr libdns.RR) cfRecord {
	r := cfRecord{Type: rr.Type, Name: absolute(rr.Name, zone), TTL: seconds(rr.TTL, 60)}
	f := strings.Fields(rr.Data)
	number := func(i int) int { n, _ := atoi(f[i]); return n }
	switch {
	case rr.Type == "TXT":
		r.Content = wire(rr)
	case rr.Type == "A" || rr.Type == "AAAA" || rr.Type == "CNAME":
		// Mail does not pass Cloudflare's proxies.
		r.Content, r.Proxied = strings.TrimSuffix(rr.Data, "."), new(bool)
	case rr.Type == "MX" && len(f) == 2:
		n := number(0)
		r.Content, r.Priority = strings.TrimSuffix(f[1], "."), &n
	case rr.Type == "SRV" && len(f) == 4:
		target := f[3]
		if target != "." {
			target = strings.TrimSuffix(target, ".")
		}
		r.Data = map[string]any{"priority": number(0), "weight": number(1), "port": number(2), "target": target}
	case rr.Type == "CAA" && len(f) >= 3:
		p := strings.SplitN(rr.Data, " ", 3)
		r.Data = map[string]any{"flags": number(0), "tag": p[1], "value": unwire("TXT", p[2])}
	case rr.Type == "TLSA" && len(f) == 4:
		r.Data = map[string]any{"usage": number(0), "selector": number(1), "matching_type": number(2), "certificate": f[3]}
	default:
		r.Content = rr.Data
	}
	return r
}

func (c cloudflare) create(ctx context.Context, zone string, r libdns.RR) error {
	path, err := c.path(ctx, zone)
	if err == nil {
		_, err = c.do(ctx, http.MethodPost, path, c.form(zone, r), nil)
	}
	return err
}

func (c cloudflare) update(ctx context.Context, zone string, e entry, r libdns.RR) error {
	path, err := c.path(ctx, zone)
	if err == nil {
		_, err = c.do(ctx, http.MethodPut, path+"/"+url.PathEscape(e.id), c.form(zone, r), nil)
	}
	return err
}

func (c cloudflare) remove(ctx context.Context, zone string, e entry) error {
	path, err := c.path(ctx, zone)
	if err == nil {
		_, err = c.do(ctx, http.MethodDelete, path+"/"+url.PathEscape(e.id), nil, nil)
	}
	return gone(err)
}
