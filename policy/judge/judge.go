// Package judge gathers evidence, calls policy, keeps what was learned.
package judge

import (
	"context"

	"mailstead/policy"
)

// Judge is the seam between the doors and policy.
type Judge struct{}

// Judge gives one verdict per recipient of e.Envelope, in order.
func (j *Judge) Judge(ctx context.Context, e policy.Evidence) []policy.Verdict { panic("border") }
