package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"mailstead/internal/sqlite"
	"mailstead/message"
	"mailstead/smtp/outbound"
)

// SmartHost is the one server that takes all our mail, without its password.
type SmartHost struct {
	Host        string   `json:"host,omitempty"` // "" is none: mail goes to each domain's own servers
	Port        int      `json:"port,omitempty"`
	ImplicitTLS bool     `json:"implicit_tls,omitempty"`
	Username    string   `json:"username,omitempty"`
	Include     []string `json:"include,omitempty"` // whose SPF the records of all our domains include
	Notes       []string `json:"notes,omitempty"`
}

// SmartHostChange is what smarthost.set takes.
type SmartHostChange struct {
	Host        string    `json:"host"`                   // NAME or NAME:PORT; 465 and 587 say which TLS
	ImplicitTLS *bool     `json:"implicit_tls,omitempty"` // nil: as the port says
	Username    string    `json:"username"`
	Password    string    `json:"password"`
	Include     *[]string `json:"include,omitempty"` // nil: found out
	Untried     bool      `json:"untried,omitempty"` // keep it though it cannot be tried
}

func (o *Ops) smartHostShow(ctx context.Context, _ None) (SmartHost, error) {
	var s outbound.SmartHost
	if err := o.Accounts.Setting(ctx, outbound.SmartHostSetting, &s); err != nil || s.Host == "" {
		return SmartHost{}, err
	}
	out := SmartHost{Host: s.Host, Port: s.Port, ImplicitTLS: s.ImplicitTLS, Username: s.Username}
	var err error
	out.Include, err = o.Wanted.Include(ctx)
	return out, err
}

// smartHostSet tries a smart host before it takes all mail, and has the SPF
// records of all domains include its own.
func (o *Ops) smartHostSet(ctx context.Context, in SmartHostChange) (SmartHost, error) {
	s, err := in.read()
	if err != nil {
		return SmartHost{}, err
	}
	if !in.Untried {
		if err := o.TrySmartHost(ctx, s); err != nil {
			return SmartHost{}, smartHostTrouble(s, err)
		}
	}
	include, note, err := o.smartHostInclude(ctx, s, in.Include)
	if err != nil {
		return SmartHost{}, err
	}
	err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if err := o.Accounts.SetSetting(tx, outbound.SmartHostSetting, s); err != nil {
			return err
		}
		return o.Wanted.SetInclude(tx, include)
	})
	if err != nil {
		return SmartHost{}, err
	}
	out, err := o.smartHostShow(ctx, None{})
	if note != "" {
		out.Notes = append(out.Notes, note)
	}
	return out, err
}

func (o *Ops) smartHostRemove(ctx context.Context, _ None) (SmartHost, error) {
	was, err := o.smartHostShow(ctx, None{})
	if err != nil {
		return was, err
	}
	if was.Host == "" {
		return was, &Error{Kind: NotFound, Text: "there is no smart host", Next: "mail goes to each domain's own servers already"}
	}
	return was, o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if err := o.Accounts.SetSetting(tx, outbound.SmartHostSetting, nil); err != nil {
			return err
		}
		return o.Wanted.SetInclude(tx, nil)
	})
}

// read makes a smart host of what a person typed.
func (in SmartHostChange) read() (s outbound.SmartHost, err error) {
	const form = "it has the form smtp.example.net or smtp.example.net:465, as its operator tells"
	host := strings.TrimSpace(in.Host)
	if _, err := netip.ParseAddr(host); err != nil {
		if name, port, err := net.SplitHostPort(host); err == nil {
			if s.Port, err = strconv.Atoi(port); err != nil || s.Port < 1 || s.Port > 65535 {
				return s, invalid(form, "%q is not a port", port)
			}
			host = name
		}
	}
	if s.Host = host; net.ParseIP(host) == nil {
		name, err := message.ParseDomain(strings.TrimSuffix(host, "."))
		if err != nil {
			return s, invalid(form, "%q is not the name of a server", in.Host)
		}
		s.Host = string(name)
	}
	if s.Port == 25 {
		return s, invalid("take its port for submission, 587 or 465", "port 25 is for mail between servers, where nobody signs in")
	}
	if s.ImplicitTLS = s.Port == 465; in.ImplicitTLS != nil {
		s.ImplicitTLS = *in.ImplicitTLS
	}
	if s.Port == 0 {
		if s.Port = 587; s.ImplicitTLS {
			s.Port = 465
		}
	}
	if s.Username, s.Password = in.Username, in.Password; s.Username == "" || s.Password == "" {
		return s, invalid("its operator gives both; a server that takes mail from everybody is no way for yours", "a smart host needs a user name and a password")
	}
	if strings.ContainsRune(s.Username+s.Password, 0) {
		return s, invalid("", "a user name and a password have no NUL in them") // RFC 4616, 2
	}
	return s, nil
}

// smartHostInclude gives whose SPF is included: what was said, or what is found.
func (o *Ops) smartHostInclude(ctx context.Context, s outbound.SmartHost, said *[]string) (names []string, note string, err error) {
	if said != nil {
		for _, text := range *said {
			d, err := parseDomain(text)
			if err != nil {
				return nil, "", err
			}
			names = append(names, string(d))
		}
		return names, "", nil
	}
	name, err := o.Wanted.FindInclude(ctx, message.Domain(s.Host))
	if name != "" {
		return []string{name}, "", nil
	}
	note = "No SPF record was found that names the servers which " + s.Host + " sends from"
	if err != nil {
		note += " (" + err.Error() + ")"
	}
	return nil, note + ": ask its operator what to include, and say it with `mailstead smarthost set --include DOMAIN`.", nil
}

func smartHostTrouble(s outbound.SmartHost, err error) error {
	e := &Error{Kind: Failed, Text: fmt.Sprintf("%s: %v", s.Host, err)}
	switch {
	case errors.Is(err, outbound.ErrSmartHostName):
		e.Kind, e.Next = Invalid, "look at the name again"
	case errors.Is(err, outbound.ErrSmartHostAuth):
		e.Kind, e.Next = Invalid, "look at the user name and the password again; some operators want one made for programs"
	case errors.Is(err, outbound.ErrSmartHostTLS):
		e.Kind, e.Next = Invalid, "mail is not handed over in clear or to a name that nobody proves; look at the name and the port (465 is TLS from the start, 587 is STARTTLS)"
	case errors.Is(err, outbound.ErrSmartHostReach):
		e.Next = "look at the port (465, 587 and often 2525 are open where 25 is not), or keep it untried with --untried"
	default:
		return err
	}
	return e
}
