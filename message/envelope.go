package message

// Envelope is RFC 5321's envelope of one message.
type Envelope struct {
	ReversePath Address
	Recipients  []Recipient
	SMTPUTF8    bool   // RFC 6531
	EightBit    bool   // BODY=8BITMIME, RFC 6152
	EnvID       string // ENVID, RFC 3461
	Return      string // RET: "", "FULL" or "HDRS"
}

// Recipient is one forward-path with its RFC 3461 parameters.
type Recipient struct {
	Address  Address
	Original string // ORCPT as it came: "rfc822;..."
	Notify   Notify
}

// Notify is RFC 3461's NOTIFY; zero means it was not given.
type Notify uint8

const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)
