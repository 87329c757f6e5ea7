// Package publish puts a domain's records into the DNS at whoever hosts it. It
// knows neither what a domain needs (dns/zone) nor what the world sees
// (dns/check): it compares the records that are wanted with those the provider
// has, shows the difference, applies it, looks again, and can take it back.
//
//	wanted []zone.Record ─┐
//	provider's records   ─┼─▶ Plan ─▶ Diff, shown to a person ─▶ Apply ─▶ steps ─▶ provider
//	publish_owned        ─┘                                        │
//	                                                               └─▶ publish_change, publish_step ─▶ Undo
//
// Providers stand behind the interfaces of libdns v1, so that ACME's DNS-01 and
// key rollovers use the same ones.
//
// # Whose a record is
//
// A record is ours when we published it: publish_owned says so. All others are
// foreign, and no foreign record is changed or removed, with two exceptions: an
// SPF record of the domain is merged with ours, since only one may exist (RFC
// 7208, 4.5), and a set of records that the person named is taken over. Both can
// be undone. A wanted record that is there already, but foreign, stays foreign.
//
//	| in the zone                    | wanted | Action   | what happens                          |
//	|--------------------------------|--------|----------|---------------------------------------|
//	| nothing                        | yes    | add      | published, ours                       |
//	| the same                       | yes    | keep     | nothing                               |
//	| ours, another value            | yes    | change   | replaced in one request where it can be |
//	| ours                           | no     | delete   | removed                               |
//	| foreign SPF                    | yes    | merge    | replaced by both; the old one is kept  |
//	| foreign, rules ours out        | yes    | conflict | nothing, unless it is taken over       |
//	| foreign, may stand beside ours | any    | –        | never touched                         |
//	| not in this zone               | yes    | elsewhere| nothing                               |
//
// # How a change is applied
//
// A change is a list of steps, one for each set of records. What is about to
// happen is committed before the provider is asked, so that a step whose outcome
// is unknown can be done again or taken back; both are harmless when repeated.
//
//	| step    | the zone has            | after a crash: Plan and Apply    | Undo              |
//	|---------|-------------------------|----------------------------------|-------------------|
//	| waiting | the old records         | planned again                    | nothing           |
//	| begun   | old, new, or something between | what is there already is kept | old ones put back |
//	| done    | the new records         | kept                             | old ones put back, unless somebody changed them since |
//	| undone  | the old records         | planned again                    | nothing           |
//
// Times to live are not compared: providers raise them to limits of their own.
//
// RFC 2136 (updates), 2181, 5 (one TTL for each set), 8945 (TSIG), 7208 (SPF).
package publish

import (
	"context"
	"embed"
	"io/fs"

	"github.com/libdns/libdns"

	"mailstead/internal/sqlite"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema holds the migrations of this room.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Provider is a DNS host as libdns sees it. All methods may be called at once.
type Provider interface {
	libdns.RecordGetter
	libdns.RecordAppender
	libdns.RecordSetter
	libdns.RecordDeleter
}

// Finder is a Provider that knows its zones. All of New are.
type Finder interface {
	// FindZone gives the zone that a name lies in, without the final dot.
	// Errors: *Error of kind ErrNoZone when it is none of the account's.
	FindZone(ctx context.Context, name string) (string, error)
}
