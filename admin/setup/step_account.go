package setup

import (
	"context"
	"errors"
	"fmt"

	"mailstead/account"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/message"
)

func domainStep() Step {
	return Step{
		ID: "domain", Title: "Your domain", Needed: true,
		Questions: []Question{{
			Key: "domain", Kind: Text, Example: "example.org", Kept: true,
			Title: "Which domain is the mail for?",
			Help:  "The part of your address behind the @, such as example.org. You must have registered it.",
			Check: func(_ *Run, text string) (string, error) {
				d, err := ReadDomain(text)
				return string(d), err
			},
		}},
		Do: func(_ context.Context, r *Run) (Result, error) {
			line := "Mail for " + r.domain.Unicode() + "."
			if r.domain.Unicode() != string(r.domain) {
				line = fmt.Sprintf("Mail for %s (in the DNS: %s).", r.domain.Unicode(), r.domain)
			}
			return Result{Lines: []string{line}}, nil
		},
	}
}

func addressStep() Step {
	return Step{
		ID: "address", Title: "Your address", Needed: true,
		Questions: []Question{{
			Key: "address", Kind: Text, Example: "you", Kept: true,
			Title: "Which is your address?",
			Help:  "The part before the @ is enough. You become the operator: what is written to postmaster@ reaches you.",
			Check: func(r *Run, text string) (string, error) {
				a, err := ReadAddress(text, r.domain)
				if err != nil {
					return "", err
				}
				return a.String(), nil
			},
		}, passwordQuestion()},
		Do: func(_ context.Context, r *Run) (Result, error) {
			return Result{Lines: []string{"You are " + r.address.Unicode() + "."}}, nil
		},
	}
}

func serverStep() Step {
	return Step{
		ID: "server", Title: "The server", Needed: true,
		Questions: []Question{{
			Key: "hostname", Kind: Text, Quiet: true, Example: "mail.example.org",
			Title:   "What is this machine called by other mail servers?",
			Help:    "A name in your domain; its reverse name at the machine's provider should be the same.",
			Default: hostname,
			Check: func(_ *Run, text string) (string, error) {
				d, err := readHostname(text)
				return string(d), err
			},
		}},
		Do: startServer,
	}
}

// hostname keeps the name that the configuration has. The system's own is taken
// where it lies in the domain; others are mostly a provider's.
func hostname(r *Run) string {
	cfg := r.o.Config
	own, err := message.ParseDomain(cfg.Hostname)
	if err == nil && (!cfg.Guessed || within(reverse(string(own)), reverse(string(r.domain)))) {
		return string(own)
	}
	return "mail." + string(r.domain)
}

// reverse turns a name around, so that what lies within it begins with it.
func reverse(name string) string {
	b := []byte(name)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// startServer writes the configuration and sees to it that a server runs by it.
func startServer(ctx context.Context, r *Run) (res Result, err error) {
	name := r.Answer("hostname")
	keys := map[string]string{}
	if r.o.Config.Hostname != name || r.o.Config.Guessed {
		keys["hostname"] = name
	}
	if r.o.Data != "" {
		keys["data"] = r.o.Config.Data
	}
	cfg := r.o.Config
	if len(keys) > 0 {
		if cfg, err = config.Write(r.o.ConfigFile, keys); err != nil {
			return res, &configError{err}
		}
		cfg.Data = r.o.Config.Data
		if keys["hostname"] != "" {
			res.Lines = append(res.Lines, fmt.Sprintf("%s says that this machine is %s.", r.o.ConfigFile, name))
		}
		r.o.Config = cfg
	}
	var trouble error
	r.caller, r.by, trouble = r.o.Server.Start(ctx, cfg)
	if r.caller == nil {
		return res, trouble
	}
	if r.by != "" {
		res.Lines = append(res.Lines, "The server runs: "+r.by+".")
	}
	if trouble != nil {
		res.Findings = append(res.Findings, r.finding(serverStep(), trouble))
	}
	return res, nil
}

// configError is one of writing the configuration.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }

// Hint is the next step for a person.
func (e *configError) Hint() string {
	var h interface{ Hint() string }
	if errors.As(e.error, &h) {
		return h.Hint()
	}
	return (&saveError{err: e.error}).Hint()
}

func accountStep() Step {
	return Step{
		ID: "account", Title: "Your account", Needed: true,
		Look: func(ctx context.Context, r *Run) {
			_, err := control.Call[control.Account](ctx, r.caller, "account.show", control.Who{Address: r.address.String()})
			r.known = err == nil
		},
		Questions: []Question{passwordQuestion()}, // where the first answer was not taken
		Do:        addAccount,
	}
}

// passwordQuestion belongs to the address.
func passwordQuestion() Question {
	return Question{
		Key: "password", Kind: Secret,
		Title: "Which password shall it have?",
		Help:  "Leave it empty and a good one is made and shown once.",
		When: func(r *Run) bool {
			return !r.known && (r.progress.Account == "" || r.progress.Account != r.Answer("address"))
		},
		Default: func(*Run) string { return "" },
		Check: func(_ *Run, text string) (string, error) {
			if err := account.CheckPassword(text); text != "" && err != nil {
				return "", mistake("leave it empty and a good one is made", "%s", sentence(err.Error()))
			}
			return text, nil
		},
	}
}

func addAccount(ctx context.Context, r *Run) (res Result, err error) {
	_, err = control.Call[control.Domain](ctx, r.caller, "domain.add", control.OneDomain{Name: string(r.domain)})
	if err != nil && !is(err, control.Exists) {
		return res, err
	}
	if err == nil {
		res.Lines = append(res.Lines, "Mail for "+r.domain.Unicode()+" is accepted, and its keys for DKIM are made.")
	}
	if r.known {
		r.progress.Account = r.address.String()
		res.Lines = append(res.Lines, r.address.Unicode()+" is there already, with the password it has; `mailstead account password "+r.address.Unicode()+"` gives it a new one.")
		return res, nil
	}
	password := r.Answer("password")
	if password == "" {
		password = r.o.Password()
	}
	// Whoever leaves now either gets no account or hears its password.
	_, err = control.Call[control.Account](context.WithoutCancel(ctx), r.caller, "account.add", control.NewAccount{
		Address: r.address.String(), Password: password, Operator: true,
	})
	if err != nil {
		if is(err, control.Invalid) {
			return res, &Mistake{Key: "password", Sentence: sentence(err.Error()), Next: hintOf(err)}
		}
		return res, err
	}
	r.known, r.progress.Account = true, r.address.String()
	res.Lines = append(res.Lines, "The account "+r.address.Unicode()+" is ready.")
	if r.Answer("password") == "" {
		r.made, res.Once = password, true
		res.Lines = append(res.Lines, "Its password, shown this once: "+password)
		res.Data = map[string]string{"address": r.address.String(), "password": password}
	}
	return res, nil
}

// is tells whether an operation failed in this way.
func is(err error, kind control.Kind) bool {
	var e *control.Error
	return errors.As(err, &e) && e.Kind == kind
}

func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
