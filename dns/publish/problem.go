package publish

import "errors"

// Kinds of *Error, for errors.Is. Each has its own next step.
var (
	ErrCredentials = errors.New("credentials are missing or malformed")
	ErrToken       = errors.New("the token was refused")
	ErrNoZone      = errors.New("no such zone in this account")
	ErrRate        = errors.New("asked too often")
	ErrRefused     = errors.New("the change was refused")
	ErrUnreachable = errors.New("the provider does not answer")
	ErrChanged     = errors.New("the zone has changed since")
	ErrNothing     = errors.New("nothing to undo")
)

// Error is trouble with a provider, in words for a person.
type Error struct {
	Kind     error  // one of the sentinels above
	Provider string // its title
	Text     string // one sentence
	Next     string // what to do about it
	Err      error  // what caused it, if anything; never holds a credential
}

func (e *Error) Error() string { return e.Text }

// Hint is the next step.
func (e *Error) Hint() string { return e.Next }

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

func isNoZone(err error) bool { return errors.Is(err, ErrNoZone) }

// gone takes the answer that something is not there for what it is after a
// removal that is done again.
func gone(err error) error {
	if isNoZone(err) {
		return nil
	}
	return err
}
