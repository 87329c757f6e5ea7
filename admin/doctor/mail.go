package doctor

import "mailstead/dns/check"

// mailChecks are about mail that must reach a person.
func (d *Doctor) mailChecks() []check.Check { return nil }
