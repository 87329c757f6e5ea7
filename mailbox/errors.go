package mailbox

import "errors"

// What callers branch on.
var (
	ErrNotExist    = errors.New("no such mailbox")
	ErrExists      = errors.New("mailbox already exists")
	ErrName        = errors.New("mailbox name not allowed")
	ErrHasChildren = errors.New("mailbox has children")
	ErrOverQuota   = errors.New("over quota")
	ErrExpunged    = errors.New("message is gone")
)
