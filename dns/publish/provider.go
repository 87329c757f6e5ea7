package publish

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Info describes a provider to the person who chooses one.
type Info struct {
	Name      string   `json:"name"`       // as New takes it
	Title     string   `json:"title"`      // "Cloudflare"
	Fields    []Field  `json:"fields"`     // the credentials, in the order in which to ask
	ScopeHelp string   `json:"scope_help"` // how to get a token that may do this and no more
	URL       string   `json:"url,omitempty"`
	MinTTL    int      `json:"min_ttl,omitempty"` // seconds; shorter ones are raised
	Without   []string `json:"without,omitempty"` // types of records that it cannot hold

	// NameServers end the names of its name servers.
	NameServers []string `json:"name_servers,omitempty"`

	open func(g given) (Provider, error)
}

// Field is one credential.
type Field struct {
	Name     string `json:"name"` // key of the credentials
	Title    string `json:"title"`
	Help     string `json:"help,omitempty"`
	Secret   bool   `json:"secret,omitempty"`
	Optional bool   `json:"optional,omitempty"`
	Default  string `json:"default,omitempty"`
}

// Access is how a domain's DNS is reached: the account setting "dns/DOMAIN".
type Access struct {
	Provider    string            `json:"provider"`
	Credentials map[string]string `json:"credentials"`
}

// SettingName is where the Access of a domain is kept.
func SettingName(domain string) string { return "dns/" + domain }

// String leaves the credentials out, and so does LogValue: they are never shown.
func (a Access) String() string { return "access to " + a.Provider }

// LogValue implements slog.LogValuer.
func (a Access) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Options of New. The zero value is useful.
type Options struct {
	HTTP    *http.Client                               // nil makes one
	BaseURL string                                     // instead of the provider's, for tests
	Wait    func(context.Context, time.Duration) error // nil sleeps
}

// given is what a provider is made of.
type given struct {
	info Info
	cred map[string]string
	o    Options
}

// New makes the client of a provider. It asks nobody: a wrong token shows when
// it is first used. Errors: *Error of kind ErrCredentials when a field is
// missing or unknown, or there is no such provider.
func New(name string, credentials map[string]string, o Options) (Provider, error) {
	info, ok := Lookup(name)
	if !ok {
		var names []string
		for _, p := range Providers() {
			names = append(names, p.Name)
		}
		return nil, &Error{Kind: ErrCredentials, Text: fmt.Sprintf("there is no DNS provider %q", name), Next: "known ones: " + strings.Join(names, ", ")}
	}
	cred := map[string]string{}
	for key, value := range credentials {
		if !slices.ContainsFunc(info.Fields, func(f Field) bool { return f.Name == key }) {
			return nil, &Error{Kind: ErrCredentials, Provider: info.Title, Text: fmt.Sprintf("%s has no credential %q", info.Title, key), Next: "it takes " + info.fieldNames()}
		}
		cred[key] = strings.TrimSpace(value)
	}
	for _, f := range info.Fields {
		if cred[f.Name] == "" {
			cred[f.Name] = f.Default
		}
		if cred[f.Name] == "" && !f.Optional {
			return nil, &Error{Kind: ErrCredentials, Provider: info.Title, Text: fmt.Sprintf("%s needs the credential %q (%s)", info.Title, f.Name, f.Title), Next: info.ScopeHelp}
		}
		if strings.ContainsAny(cred[f.Name], "\r\n\x00") {
			return nil, &Error{Kind: ErrCredentials, Provider: info.Title, Text: fmt.Sprintf("the credential %q has a line break in it", f.Name), Next: "paste it in one line"}
		}
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return info.open(given{info: info, cred: cred, o: o})
}

func (i Info) fieldNames() string {
	var names []string
	for _, f := range i.Fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// HostedBy guesses a zone's provider by the names of its name servers. Without a
// guess it may be a name server of one's own, or a provider that is not known.
func HostedBy(nameServers []string) (Info, bool) {
	for _, p := range Providers() {
		if p.Serves(nameServers) {
			return p, true
		}
	}
	return Info{}, false
}

// Serves tells whether one of the name servers is the provider's.
func (i Info) Serves(nameServers []string) bool {
	return slices.ContainsFunc(nameServers, func(ns string) bool {
		ns = strings.ToLower(strings.TrimSuffix(ns, "."))
		return slices.ContainsFunc(i.NameServers, func(end string) bool { return strings.HasSuffix(ns, end) })
	})
}

// Lookup finds a provider by its name.
func Lookup(name string) (Info, bool) {
	all := Providers()
	if i := slices.IndexFunc(all, func(p Info) bool { return p.Name == name }); i >= 0 {
		return all[i], true
	}
	return Info{}, false
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
