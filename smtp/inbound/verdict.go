package inbound

import (
	"strings"

	"mailstead/policy"
	"mailstead/smtp"
	"mailstead/smtp/local"
)

// What is said when a verdict names no reply of its own.
var (
	refusedByPolicy  = smtp.Reply{Code: 550, Status: "5.7.1", Text: "message refused"}
	deferredByPolicy = smtp.Reply{Code: 451, Status: "4.7.1", Text: "message not taken now, try again later"}
)

// decide makes one reply of all verdicts, for DATA has one for all recipients:
//
//	| verdicts               | reply               | copies                            |
//	|------------------------|---------------------|-----------------------------------|
//	| all refuse             | 550, the reason's   | none                              |
//	| all refuse or defer    | 451                 | none                              |
//	| at least one takes it  | the zero Reply: 250 | deliver → INBOX; junk, refuse and |
//	|                        |                     | defer → Junk with the reason      |
//
// A recipient who would refuse what another takes gets it as junk: it is neither
// lost nor answered by a DSN to an address that may be forged.
func decide(verdicts []policy.Verdict, copies []local.Copy) smtp.Reply {
	least := policy.Refuse
	for _, v := range verdicts {
		least = min(least, v.Disposition)
	}
	switch least {
	case policy.Refuse:
		return replyOf(verdicts, policy.Refuse, 5, refusedByPolicy)
	case policy.Defer:
		return replyOf(verdicts, policy.Defer, 4, deferredByPolicy)
	}
	for i := range copies {
		v := verdicts[i]
		c := &copies[i]
		for _, r := range v.Reasons {
			c.Reasons = append(c.Reasons, local.Reason(r))
		}
		if v.Disposition != policy.Deliver {
			c.Junk, c.Verdict = true, v.Disposition.String()
		}
	}
	return smtp.Reply{}
}

// replyOf is the first verdict's own reply where it is of the right class.
func replyOf(verdicts []policy.Verdict, d policy.Disposition, class int, usual smtp.Reply) smtp.Reply {
	for _, v := range verdicts {
		if v.Disposition == d {
			if r, ok := smtp.ParseReply(v.Reply); ok && r.Code/100 == class && r.Code != 421 {
				return r
			}
			break
		}
	}
	return usual
}

// reasons lists what speaks against a refused message.
func reasons(verdicts []policy.Verdict) string {
	var list []string
	for _, v := range verdicts {
		for _, r := range v.Reasons {
			list = append(list, r.Text)
		}
		if len(list) > 0 {
			break
		}
	}
	return strings.Join(list, "; ")
}
