package doctor

import "mailstead/dns/check"

// doorChecks are about our own doors as a stranger sees them.
func (d *Doctor) doorChecks() []check.Check { return nil }
