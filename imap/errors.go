package imap

import (
	"context"
	"errors"

	"github.com/emersion/go-imap/v2"

	"mailstead/account"
	"mailstead/imap/wire"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// reply is a tagged response. The zero value is a plain OK.
type reply struct {
	kind imap.StatusResponseType
	code string // without brackets
	text string
}

// String is the response without its tag.
func (r reply) String() string {
	if r.code == "" {
		return string(r.kind) + " " + r.text
	}
	return string(r.kind) + " [" + r.code + "] " + r.text
}

// refusal is a reply that a command gives on purpose.
type refusal struct{ reply }

func (r *refusal) Error() string { return r.String() }

func no(code imap.ResponseCode, text string) error {
	return &refusal{reply{imap.StatusResponseTypeNo, string(code), text}}
}

func bad(text string) error {
	return &refusal{reply{imap.StatusResponseTypeBad, string(imap.ResponseCodeClientBug), text}}
}

// Codes that go-imap does not name.
const (
	codeExpungeIssued imap.ResponseCode = "EXPUNGEISSUED" // RFC 5530
	codeReadOnly      imap.ResponseCode = "READ-ONLY"     // RFC 9051, 7.1
	codeUseAttr       imap.ResponseCode = "USEATTR"       // RFC 6154
)

// conditions is the border between the rooms below and the client: which error
// is which response. The first that fits counts.
var conditions = []struct {
	err  error
	code imap.ResponseCode
	text string
}{
	{mailbox.ErrNotExist, imap.ResponseCodeNonExistent, "no such mailbox"},
	{mailbox.ErrExists, imap.ResponseCodeAlreadyExists, "mailbox already exists"},
	{mailbox.ErrName, imap.ResponseCodeCannot, "mailbox name not allowed"},
	{mailbox.ErrUse, codeUseAttr, "special use not allowed"},
	{mailbox.ErrTooMany, imap.ResponseCodeLimit, "too many mailboxes or subscriptions"},
	{mailbox.ErrKeywords, imap.ResponseCodeLimit, "too many keywords, or too long"},
	{mailbox.ErrHasChildren, imap.ResponseCodeHasChildren, "mailbox has children"},
	{mailbox.ErrOverQuota, imap.ResponseCodeOverQuota, "over quota"},
	{mailbox.ErrExpunged, codeExpungeIssued, "some of the messages are gone"},
	{account.ErrBadCredentials, imap.ResponseCodeAuthenticationFailed, "wrong name or password"},
	{account.ErrDisabled, imap.ResponseCodeContactAdmin, "account is disabled"},
	{account.ErrThrottled, imap.ResponseCodeLimit, "too many failed logins, try again later"},
	{wire.ErrLiteralTooBig, imap.ResponseCodeTooBig, "literal too big"},
	{sqlite.ErrFull, imap.ResponseCodeUnavailable, "no space left on the server"},
	{sqlite.ErrFailed, imap.ResponseCodeUnavailable, "server cannot store anything now"},
	{context.Canceled, imap.ResponseCodeUnavailable, "server is shutting down"},
	{context.DeadlineExceeded, imap.ResponseCodeUnavailable, "took too long"},
}

// refuse gives the response for an error. What is nobody's deliberate answer
// is logged here, once, and reaches the client as a constant text.
func (s *session) refuse(err error) reply {
	var r *refusal
	if errors.As(err, &r) {
		return r.reply
	}
	var syntax *wire.SyntaxError
	if errors.As(err, &syntax) {
		return reply{imap.StatusResponseTypeBad, string(imap.ResponseCodeClientBug), syntax.Text}
	}
	for _, c := range conditions {
		if errors.Is(err, c.err) {
			return reply{imap.StatusResponseTypeNo, string(c.code), c.text}
		}
	}
	if err != nil {
		s.log.Error("command failed", "command", s.name, "account", s.account.ID, "err", err)
	}
	return reply{imap.StatusResponseTypeNo, string(imap.ResponseCodeServerBug), "internal error"}
}

// tryCreate turns the lack of a target mailbox into the code that lets a
// client create it (RFC 9051, 6.3.12).
func tryCreate(err error) error {
	if errors.Is(err, mailbox.ErrNotExist) {
		return no(imap.ResponseCodeTryCreate, "no such mailbox")
	}
	return err
}
