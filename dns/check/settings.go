package check

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mailstead/dns/zone"
)

// maxSettings is the most that is read of settings for programs; ours have 2 KiB.
const maxSettings = 64 << 10

// program is a way in which programs fetch their settings.
type program struct {
	who          string
	method, path string
	body         string
	host         string // the element that names a server
}

func programs(domain string) []program {
	return []program{
		{"Thunderbird and its kin", http.MethodGet, "https://autoconfig." + domain + "/mail/config-v1.1.xml", "", "hostname"},
		{"Outlook and its kin", http.MethodPost, "https://autodiscover." + domain + "/autodiscover/autodiscover.xml",
			`<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">` +
				`<Request><EMailAddress>postmaster@` + domain + `</EMailAddress><AcceptableResponseSchema>` +
				`http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`, "Server"},
	}
}

// served asks for the settings as programs do, and looks whether they lead here.
func (d *Domain) served(ctx context.Context, id string) []Finding {
	if !d.setsUp(ctx) {
		return nil
	}
	all := programs(string(d.Settings.Domain))
	faults := make([]error, len(all))
	var asking sync.WaitGroup
	for i, p := range all {
		asking.Go(func() { faults[i] = d.fetchSettings(ctx, p) })
	}
	asking.Wait()
	var who, evidence []string
	var first error
	for i, p := range all {
		if err := faults[i]; err != nil {
			who, evidence = append(who, p.who), append(evidence, p.method+" "+p.path+": "+err.Error())
			if first == nil {
				first = err
			}
		}
	}
	if first == nil {
		return nil
	}
	why := "their settings cannot be fetched"
	var s *settingsError
	if errors.As(first, &s) {
		why = s.text
	}
	return []Finding{{
		ID: id + ".served", Severity: Warning, Evidence: strings.Join(evidence, "\n"),
		Sentence: fmt.Sprintf("%s cannot set themselves up: %s.", strings.Join(who, ", and "), why),
		Fix:      "See that port 443 of the mail host is open to the world and that it has certificates for these names.",
	}}
}

// setsUp tells whether programs can be served at all: mail can be read and sent,
// and the host's name leads here, which is told elsewhere if it does not.
func (d *Domain) setsUp(ctx context.Context) bool {
	open := func(names ...string) bool {
		return slices.ContainsFunc(d.Settings.Services, func(s zone.Service) bool { return s.Port > 0 && slices.Contains(names, s.Name) })
	}
	if !open("_imaps", "_imap") || !open("_submissions", "_submission") {
		return false
	}
	host := string(d.Settings.Host)
	return len(d.Settings.Addresses) == 0 || d.oursAll(slices.Concat(d.look(ctx, host, "A").data(), d.look(ctx, host, "AAAA").data()))
}

// settingsError is what is wrong with settings that came.
type settingsError struct{ text string }

func (e *settingsError) Error() string { return e.text }

// fetchSettings asks in one way. Errors: *settingsError, and those of the way.
func (d *Domain) fetchSettings(ctx context.Context, p program) error {
	ctx, cancel := context.WithTimeout(ctx, EachLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, p.method, p.path, strings.NewReader(p.body))
	if err != nil {
		return err
	}
	if p.body != "" {
		req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	res, err := d.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &settingsError{"the server answers " + res.Status}
	}
	hosts, err := texts(io.LimitReader(res.Body, maxSettings), p.host)
	switch {
	case err != nil:
		return &settingsError{"what the server sends is no XML"}
	case len(hosts) == 0:
		return &settingsError{"the server sends no settings"}
	}
	for _, h := range hosts {
		if !strings.EqualFold(h, string(d.Settings.Host)) {
			return &settingsError{"their settings lead to " + strconv.Quote(h[:min(len(h), 80)])}
		}
	}
	return nil
}

// texts gives what stands in the elements of a name.
func texts(r io.Reader, name string) (all []string, err error) {
	inside := false
	for dec := xml.NewDecoder(r); ; {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			inside = t.Name.Local == name
		case xml.CharData:
			if inside {
				all = append(all, strings.TrimSpace(string(t)))
			}
		case xml.EndElement:
			inside = false
		}
	}
}
