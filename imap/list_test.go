package imap

import (
	"strings"
	"testing"
	"time"
)

func TestMailboxes(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C: a LIST "" ""
		S: * LIST (\Noselect) "/" ""
		S: a OK ...
		C: b LIST "" *
		S: * LIST (\HasNoChildren) "/" INBOX
		S: * LIST (\HasNoChildren \Archive) "/" Archive
		S: * LIST (\HasNoChildren \Drafts) "/" Drafts
		S: * LIST (\HasNoChildren \Junk) "/" Junk
		S: * LIST (\HasNoChildren \Sent) "/" Sent
		S: * LIST (\HasNoChildren \Trash) "/" Trash
		S: b OK ...
		C: c CREATE "R&-D/Entw&APw-rfe"
		S: c OK ...
		C: d LIST "" "R&-D%"
		S: * LIST (\HasChildren) "/" R&-D
		S: d OK ...
		C: e LIST "R&-D/" "%"
		S: * LIST (\HasNoChildren) "/" R&-D/Entw&APw-rfe
		S: e OK ...
		C: f CREATE "R&D"
		S: f BAD ...
		C: g CREATE "Gr&APw-n/"
		S: g OK ...
		C: h CREATE "Gr&APw-n"
		S: h NO [ALREADYEXISTS] ...
		C: i DELETE "R&-D"
		S: i OK ...
		C: j LIST "" "R&-D*"
		S: * LIST (\Noselect \HasChildren) "/" R&-D
		S: * LIST (\HasNoChildren) "/" R&-D/Entw&APw-rfe
		S: j OK ...
		C: k SELECT "R&-D"
		S: k NO [NONEXISTENT] ...
		C: l DELETE INBOX
		S: l NO [CANNOT] ...
		C: m RENAME "Gr&APw-n" "Blau/Wei&AN8-"
		S: m OK ...
		C: n LIST "" Blau*
		S: * LIST (\HasChildren) "/" Blau
		S: * LIST (\HasNoChildren) "/" Blau/Wei&AN8-
		S: n OK ...
		C: o RENAME Nowhere Else
		S: o NO [NONEXISTENT] ...
		C: p RENAME Blau Sent
		S: p NO [ALREADYEXISTS] ...
		C: q CREATE Mine (USE (\Flagged))
		S: q NO [USEATTR] ...
		C: r CREATE Mine (USE (\Sent))
		S: r NO [USEATTR] ...
		C: s CREATE inbox/Lists
		S: s OK ...
		C: t LIST "" "inb%/l%"
		S: t OK ...
		C: u LIST "" "inb%/L%"
		S: * LIST (\HasNoChildren) "/" INBOX/Lists
		S: u OK ...
		C: v STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN DELETED SIZE APPENDLIMIT)
		S: * STATUS INBOX (MESSAGES 0 RECENT 0 UIDNEXT 1 UNSEEN 0 DELETED 0 SIZE 0 APPENDLIMIT 52428800)
		S: v OK ...
		C: w STATUS Nowhere (MESSAGES)
		S: w NO [NONEXISTENT] ...
		C: x STATUS INBOX (NONSENSE)
		S: x BAD ...
		C: y NAMESPACE
		S: * NAMESPACE (("" "/")) NIL NIL
		S: y OK ...
		C: z ID ("name" "test" "version" NIL)
		S: * ID ("name" "Mailstead")
		S: z OK ...
	`)
}

func TestNamesAfterEnable(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C: a CREATE "Entw&APw-rfe & mehr"
		S: a BAD ...
		C: b CREATE "Entw&APw-rfe &- mehr"
		S: b OK ...
		C: c ENABLE IMAP4rev2 CONDSTORE
		S: * ENABLED IMAP4rev2
		S: c OK ...
		C: d LIST "" "Entw*"
		S: * LIST (\HasNoChildren) "/" "Entwürfe & mehr"
		S: d OK ...
		C: e SELECT "Entwürfe & mehr"
		S: * FLAGS (...)
		S: * OK [PERMANENTFLAGS ...
		S: * 0 EXISTS
		S: * OK [UIDVALIDITY ...
		S: * OK [UIDNEXT 1] ...
		S: * LIST () "/" "Entwürfe & mehr"
		S: e OK [READ-WRITE] ...
		C: f EXAMINE INBOX
		S: * OK [CLOSED] ...
		S* * LIST (\Subscribed) "/" INBOX
		S: f OK [READ-ONLY] ...
		C: g SELECT Nowhere
		S: * OK [CLOSED] ...
		S: g NO [NONEXISTENT] ...
		C: h FETCH 1 FLAGS
		S: h BAD ...
	`)
}

func TestListExtended(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C: a CREATE foo/bar/baz
		S: a OK ...
		C: b SUBSCRIBE foo/bar/baz
		S: b OK ...
		C: c SUBSCRIBE gone/away
		S: c OK ...
		C: d LIST (SUBSCRIBED) "" (foo* gone*)
		S: * LIST (\HasNoChildren \Subscribed) "/" foo/bar/baz
		S: * LIST (\NonExistent \HasNoChildren \Subscribed) "/" gone/away
		S: d OK ...
		C: e LIST (SUBSCRIBED RECURSIVEMATCH) "" (foo% gone%)
		S: * LIST (\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
		S: * LIST (\NonExistent \HasNoChildren) "/" gone ("CHILDINFO" ("SUBSCRIBED"))
		S: e OK ...
		C: e2 LIST (SUBSCRIBED RECURSIVEMATCH) "" foo*
		S: * LIST (\HasNoChildren \Subscribed) "/" foo/bar/baz
		S: e2 OK ...
		C: f LIST (RECURSIVEMATCH) "" *
		S: f BAD ...
		C: g LIST (SPECIAL-USE) "" % RETURN (SPECIAL-USE SUBSCRIBED CHILDREN STATUS (MESSAGES SIZE))
		S: * LIST (\HasNoChildren \Subscribed \Archive) "/" Archive
		S: * STATUS Archive (MESSAGES 0 SIZE 0)
		S* g OK ...
		C: h LSUB "" foo%
		S: * LSUB (\Noselect) "/" foo
		S: h OK ...
		C: i LSUB "" foo*
		S: * LSUB () "/" foo/bar/baz
		S: i OK ...
		C: j UNSUBSCRIBE gone/away
		S: j OK ...
		C: k LSUB "" gone*
		S: k OK ...
		C: l LIST "" (INBOX "")
		S: * LIST (\HasNoChildren) "/" INBOX
		S: l OK ...
		C: m LIST (REMOTE) "" inbox
		S: * LIST (\HasNoChildren) "/" INBOX
		S: m OK ...
		C: n LIST (BOGUS) "" *
		S: n BAD ...
	`)
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"%", "a/b", false}, {"%", "a", true}, {"a/%", "a/b", true}, {"a%", "a/b", false},
		{"%/%", "a/b", true}, {"%/%", "a/b/c", false}, {"*c", "a/b/c", true}, {"*/%c", "a/b/c", true}, {"%b%", "a/b", false},
		{"inbox", "INBOX", true}, {"InB*", "INBOX/x", true}, {"inbox", "inboxes", false}, {"sent", "Sent", false}, {"", "a", false},
		{"a*b*c", "a/x/b/y/c", true}, {"a*b*d", "a/x/b/y/c", false}, {"*%*", "a/b", true}, {"a", "ab", false}, {"ab", "a", false},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.name, got)
		}
	}
	start := time.Now()
	matches(strings.Repeat("*%", maxPattern/2), strings.Repeat("a/", 500)+"b")
	if d := time.Since(start); d > time.Second {
		t.Errorf("a pattern full of wildcards took %v", d)
	}
}
