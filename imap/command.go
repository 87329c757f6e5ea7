package imap

import (
	"context"

	"mailstead/mailbox"
)

const separator = mailbox.Separator

// states is a set of a connection's states (RFC 9051, 3).
type states uint8

const (
	notAuthenticated states = 1 << iota
	authenticated
	selected
	loggedOut

	loggedIn = authenticated | selected
	always   = notAuthenticated | loggedIn
)

func (st states) String() string {
	switch st {
	case notAuthenticated:
		return "not authenticated"
	case authenticated:
		return "authenticated"
	case selected:
		return "selected"
	}
	return "logout"
}

// run runs a parsed command. The zero reply says OK.
type run func(ctx context.Context) (reply, error)

// command is a row of the table.
type command struct {
	states  states               // in which it may be given
	parse   func(s *session) run // takes its arguments; errors stick to s.r
	report  report               // what may be told of other sessions' changes before its reply
	streams bool                 // parse stops at a literal that run reads
}

// report says what a command may tell of the selected mailbox.
type report uint8

const (
	all  report = iota // everything
	keep               // no EXPUNGE: sequence numbers stand (RFC 9051, 7.5.1)
)

// commands is the table. A further command of an extension is a further row.
var commands = map[string]command{
	"CAPABILITY":   {states: always, parse: (*session).capability},
	"NOOP":         {states: always, parse: (*session).noop},
	"LOGOUT":       {states: always, parse: (*session).logout},
	"ID":           {states: always, parse: (*session).id},
	"STARTTLS":     {states: notAuthenticated, parse: (*session).startTLS},
	"AUTHENTICATE": {states: notAuthenticated, parse: (*session).authenticate},
	"LOGIN":        {states: notAuthenticated, parse: (*session).login},

	"ENABLE":      {states: authenticated, parse: (*session).enable},
	"SELECT":      {states: loggedIn, parse: (*session).selectBox},
	"EXAMINE":     {states: loggedIn, parse: (*session).examine},
	"CREATE":      {states: loggedIn, parse: (*session).create},
	"DELETE":      {states: loggedIn, parse: (*session).delete},
	"RENAME":      {states: loggedIn, parse: (*session).rename},
	"SUBSCRIBE":   {states: loggedIn, parse: (*session).subscribe},
	"UNSUBSCRIBE": {states: loggedIn, parse: (*session).unsubscribe},
	"LIST":        {states: loggedIn, parse: (*session).list},
	"LSUB":        {states: loggedIn, parse: (*session).lsub},
	"NAMESPACE":   {states: loggedIn, parse: (*session).namespace},
	"STATUS":      {states: loggedIn, parse: (*session).status},
	"APPEND":      {states: loggedIn, parse: (*session).append, streams: true},
	"IDLE":        {states: loggedIn, parse: (*session).idle},

	"CLOSE":       {states: selected, parse: (*session).closeBox},
	"UNSELECT":    {states: selected, parse: (*session).unselect},
	"CHECK":       {states: selected, parse: (*session).noop},
	"EXPUNGE":     {states: selected, parse: (*session).expunge},
	"UID EXPUNGE": {states: selected, parse: (*session).expunge},
	"SEARCH":      {states: selected, parse: (*session).search, report: keep},
	"UID SEARCH":  {states: selected, parse: (*session).search},
	"FETCH":       {states: selected, parse: (*session).fetch, report: keep},
	"UID FETCH":   {states: selected, parse: (*session).fetch},
	"STORE":       {states: selected, parse: (*session).store, report: keep},
	"UID STORE":   {states: selected, parse: (*session).store},
	"COPY":        {states: selected, parse: (*session).copy},
	"UID COPY":    {states: selected, parse: (*session).copy},
	"MOVE":        {states: selected, parse: (*session).move},
	"UID MOVE":    {states: selected, parse: (*session).move},
}
