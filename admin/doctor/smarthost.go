package doctor

import (
	"context"
	"fmt"

	"mailstead/dns/check"
)

func (d *Doctor) relay(ctx context.Context) Relay {
	if d.Network.Relay == nil {
		return Relay{}
	}
	r, err := d.Network.Relay(ctx)
	if err != nil {
		return Relay{}
	}
	return r
}

// checkSmartHost signs in at the smart host as the queue would.
func (d *Doctor) checkSmartHost(ctx context.Context) []check.Finding {
	const id = "net.smarthost"
	r, err := d.Network.Relay(ctx)
	switch {
	case err != nil:
		return one(unreadable(id, "", "The smart host", err))
	case r.Host == "":
		return one(ok(id, "", "Mail goes to each domain's own servers."))
	}
	if err := r.Try(ctx); err != nil {
		return one(problem(id, r.Host, fmt.Sprintf("The smart host %s does not take our mail: it waits in the queue.", r.Host), err.Error(),
			"`mailstead smarthost set` with the right name, user and password; `mailstead smarthost remove` sends without it."))
	}
	return one(ok(id, r.Host, fmt.Sprintf("The smart host %s takes our mail.", r.Host)))
}

// unlessRelayed takes the weight off what others would refuse our mail for, where
// a smart host sends it.
func (d *Doctor) unlessRelayed(ctx context.Context, found []check.Finding) []check.Finding {
	r := d.relay(ctx)
	for i, f := range found {
		if r.Host != "" && (f.Severity == check.Problem || f.Severity == check.Warning) {
			found[i].Severity = check.Info
			found[i].Sentence += fmt.Sprintf(" Mail leaves through %s, so that nothing hangs on it.", r.Host)
		}
	}
	return found
}
