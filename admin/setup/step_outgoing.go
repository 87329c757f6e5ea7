package setup

import (
	"context"
	"fmt"
	"strings"

	"mailstead/dns/check"
	"mailstead/internal/control"
)

func outgoingStep() Step {
	smart := func(r *Run) bool { return r.Answer("outgoing") == "smarthost" || r.Answer("smarthost.host") != "" }
	return Step{
		ID: "outgoing", Title: "The way out",
		Look: lookOutside,
		Questions: []Question{{
			Key: "outgoing", Kind: Pick, Example: "provider",
			Title: "Port 25 is closed on the way out. How shall mail leave?",
			Help: "Most providers of machines open it on request; the text for them is shown then. A smart host is another mail server that takes all your mail, " +
				"for which you need an account there.",
			When:    func(r *Run) bool { return len(r.blocked) > 0 && r.relay.Host == "" && r.Answer("smarthost.host") == "" },
			Default: func(*Run) string { return "provider" },
			Choices: func(*Run) []Choice {
				return []Choice{{"provider", "I ask the provider of this machine"}, {"smarthost", "Through a smart host"}, {"later", "Later"}}
			},
		}},
		More: func(*Run) []Question {
			return []Question{
				{Key: "smarthost.host", Kind: Text, Example: "smtp.example.net", Title: "The smart host's name", Help: "With its port, where it is neither 587 nor 465.", When: smart},
				{Key: "smarthost.user", Kind: Text, Example: "you@example.net", Title: "Whom it knows you as", When: smart},
				{Key: "smarthost.password", Kind: Secret, Title: "Its password", When: smart},
				{Key: "smarthost.include", Kind: Text, Quiet: true, Example: "spf.example.net", Title: "Whose SPF record yours includes", Help: "Without it, it is looked for.",
					When: smart, Default: func(*Run) string { return "" }},
			}
		},
		Do: findWayOut,
	}
}

// lookOutside finds out whether mail can leave. Only what is known to be closed
// is asked about.
func lookOutside(ctx context.Context, r *Run) {
	r.relay, _ = control.Call[control.SmartHost](ctx, r.caller, "smarthost.show", nil)
	found, err := control.Call[[]check.Finding](ctx, r.caller, "doctor.run", control.DoctorQuery{Only: []string{"net.outgoing.ipv4"}})
	r.blocked = nil
	for _, f := range found {
		if err == nil && f.Severity == check.Problem && f.Muted == "" {
			r.blocked = append(r.blocked, f)
		}
	}
}

func findWayOut(ctx context.Context, r *Run) (res Result, err error) {
	if host := r.Answer("smarthost.host"); host != "" {
		return r.useSmartHost(ctx, host)
	}
	switch {
	case r.relay.Host != "":
		res.Lines = []string{fmt.Sprintf("All mail leaves through %s.", r.relay.Host)}
	case len(r.blocked) == 0:
		res.Lines = []string{"Nothing is known to stop mail on the way out."}
	default:
		res.Findings = r.blocked
		if r.Answer("outgoing") == "provider" {
			letter := r.letter()
			res.Data = map[string]string{"letter": letter}
			res.Lines = append(res.Lines, "Send this to the provider of this machine:", "")
			res.Lines = append(res.Lines, strings.Split(letter, "\n")...)
		}
	}
	return res, nil
}

func (r *Run) useSmartHost(ctx context.Context, host string) (res Result, err error) {
	name, _, _ := strings.Cut(host, ":")
	if r.relay.Host == name && r.relay.Username == r.Answer("smarthost.user") && r.Answer("smarthost.password") == "" {
		res.Lines = []string{fmt.Sprintf("All mail leaves through %s.", r.relay.Host)}
		return res, nil
	}
	in := control.SmartHostChange{Host: host, Username: r.Answer("smarthost.user"), Password: r.Answer("smarthost.password")}
	if include := r.Answer("smarthost.include"); include != "" {
		in.Include = &[]string{include}
	}
	s, err := control.Call[control.SmartHost](ctx, r.caller, "smarthost.set", in)
	if err != nil {
		if is(err, control.Invalid) {
			return res, &Mistake{Key: "smarthost.host", Sentence: sentence(err.Error()), Next: hintOf(err)}
		}
		return res, err
	}
	r.relay = s
	res.Lines = []string{fmt.Sprintf("All mail leaves through %s, port %d, from now on.", s.Host, s.Port)}
	if len(s.Include) > 0 {
		res.Lines = append(res.Lines, "The SPF record includes "+strings.Join(s.Include, ", ")+".")
	}
	for _, n := range s.Notes {
		res.Findings = append(res.Findings, check.Finding{ID: "setup.outgoing", Subject: s.Host, Severity: check.Warning, Sentence: n,
			Fix: "`mailstead dns policy " + string(r.domain) + " --include DOMAIN`."})
	}
	if !r.access && len(s.Include) > 0 {
		res.Lines = append(res.Lines, fmt.Sprintf("Enter the SPF record anew: `mailstead dns show %s` has it.", r.domain.Unicode()))
	}
	return r.publishAgain(ctx, res)
}

// letter is what the provider of the machine is asked.
func (r *Run) letter() string {
	host, addresses := r.Answer("hostname"), strings.Join(r.public, ", ")
	if addresses == "" {
		addresses = "(its address)"
	}
	return fmt.Sprintf(`Subject: Please open outgoing TCP port 25 for %[1]s

Hello,

I run the mail server of the domain %[3]s on my machine %[1]s (%[2]s).
Connections from it to TCP port 25 of other servers do not get through. Please
open port 25 on the way out for %[2]s.

It sends mail of its own users only, who sign in; it relays for nobody else. Its
mail is signed (DKIM), and SPF and DMARC are published for the domain. Reports of
abuse reach me at abuse@%[4]s.

If its reverse name (PTR) is yours to set, please set it to %[1]s.

Thank you`, host, addresses, r.domain.Unicode(), r.domain)
}
