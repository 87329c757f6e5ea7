package local

// Mistake makes the agent believe in a mailbox that is not there.
func (a *Agent) Mistake(account int64) { a.inboxes[account] = 1 << 40 }
