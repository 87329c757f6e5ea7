package mailbox

import "errors"

// What callers branch on.
var (
	ErrNotExist    = errors.New("no such mailbox")
	ErrExists      = errors.New("mailbox already exists")
	ErrName        = errors.New("mailbox name not allowed")
	ErrUse         = errors.New("special use not allowed") // unknown, or another mailbox has it (RFC 6154, 3)
	ErrHasChildren = errors.New("mailbox has children")
	ErrTooMany     = errors.New("too many mailboxes or subscriptions")
	ErrKeywords    = errors.New("too many keywords, or too long")
	ErrOverQuota   = errors.New("over quota")
	ErrExpunged    = errors.New("message is gone")
)
