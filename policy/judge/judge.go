// Package judge gathers evidence around a message, calls policy, and keeps what
// was learned. Policy itself stays without memory; the network and the tables
// are here. It does not store or answer anything: the doors do.
package judge

import (
	"context"

	"mailstead/policy"
)

// Judge is the seam between the doors and policy. The zero value is useful.
type Judge struct{}

// Judge gives one verdict per recipient of e.Envelope, in order. It never
// fails: evidence that cannot be had is evidence that is missing.
func (j *Judge) Judge(ctx context.Context, e policy.Evidence) []policy.Verdict {
	return policy.Decide(e)
}
