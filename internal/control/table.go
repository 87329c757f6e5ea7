package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// operations is the site map: every operation that takes and gives one value.
func operations() []operation {
	return []operation{
		op("status", (*Ops).status),

		op("account.list", (*Ops).accountList),
		op("account.show", (*Ops).accountShow),
		op("account.add", (*Ops).accountAdd),
		op("account.set", (*Ops).accountSet),
		op("account.password", (*Ops).accountPassword),
		op("account.scram", (*Ops).accountSCRAM),
		op("account.disable", (*Ops).accountDisable),
		op("account.quota", (*Ops).accountQuota),
		op("account.retention", (*Ops).accountRetention),
		op("account.plan", (*Ops).accountPlan),
		op("account.delete", (*Ops).accountDelete),
		op("account.undelete", (*Ops).accountUndelete),
		op("account.address.add", (*Ops).addressAdd),
		op("account.address.remove", (*Ops).addressRemove),
		op("app-password.list", (*Ops).appPasswordList),
		op("app-password.add", (*Ops).appPasswordAdd),
		op("app-password.revoke", (*Ops).appPasswordRevoke),

		op("domain.list", (*Ops).domainList),
		op("domain.add", (*Ops).domainAdd),
		op("domain.set", (*Ops).domainSet),
		op("domain.remove", (*Ops).domainRemove),

		op("dns.show", (*Ops).dnsShow),
		op("dns.policy", (*Ops).dnsPolicy),
		op("dns.address", (*Ops).dnsAddress),
		op("dns.check", (*Ops).dnsCheck),
		op("dns.providers", (*Ops).dnsProviders),
		op("dns.host", (*Ops).dnsHost),
		op("dns.access", (*Ops).dnsAccess),
		op("dns.plan", (*Ops).dnsPlan),
		op("dns.publish", (*Ops).dnsPublish),
		op("dns.undo", (*Ops).dnsUndo),
		op("dns.keys", (*Ops).dnsKeys),
		op("dns.roll", (*Ops).dnsRoll),

		op("certificate.show", (*Ops).certificateShow),
		op("certificate.set", (*Ops).certificateSet),
		op("certificate.obtain", (*Ops).certificateObtain),
		op("certificate.roll", (*Ops).certificateRoll),

		op("alias.list", (*Ops).aliasList),
		op("alias.add", (*Ops).aliasAdd),
		op("alias.remove", (*Ops).aliasRemove),

		op("queue.counts", (*Ops).queueCounts),
		op("queue.list", (*Ops).queueList),
		op("queue.show", (*Ops).queueShow),
		op("queue.retry", (*Ops).queueRetry),
		op("queue.hold", (*Ops).queueHold),
		op("queue.delete", (*Ops).queueDelete),

		op("smarthost.show", (*Ops).smartHostShow),
		op("smarthost.set", (*Ops).smartHostSet),
		op("smarthost.remove", (*Ops).smartHostRemove),

		op("backup.state", (*Ops).backupState),
		op("backup.plan", (*Ops).backupPlan),
		op("backup.note", (*Ops).backupNote),

		op("trace", (*Ops).trace),

		op("doctor.run", (*Ops).doctorRun),
		op("doctor.last", (*Ops).doctorLast),
		op("doctor.list", (*Ops).doctorList),
		op("doctor.mute", (*Ops).doctorMute),
		op("doctor.unmute", (*Ops).doctorUnmute),
	}
}

// stream is an entry that reads and writes bytes while it works.
type stream struct {
	name string
	run  func(ctx context.Context, o *Ops, in json.RawMessage, r io.Reader, w io.Writer) error
}

// streamOf makes an entry of a function on a typed value. r ends with what the
// caller sends; what is written to w reaches the caller at once, so progress can
// be lines of JSON. An error may come after any number of bytes.
func streamOf[In any](name string, fn func(o *Ops, ctx context.Context, in In, r io.Reader, w io.Writer) error) stream {
	return stream{name, func(ctx context.Context, o *Ops, raw json.RawMessage, r io.Reader, w io.Writer) error {
		var in In
		if err := decode(raw, &in); err != nil {
			return &Error{Kind: Invalid, Text: fmt.Sprintf("%s: %v", name, err)}
		}
		return fn(o, ctx, in, r, w)
	}}
}

// streams lists them. A command calls Caller.Stream, which works with and
// without a running server.
func streams() []stream {
	return []stream{
		streamOf("check", (*Ops).check),
		streamOf("import", (*Ops).importMail),
		streamOf("export", (*Ops).exportMail),
		streamOf("backup.hold", (*Ops).backupHold),
	}
}
