package app

import (
	"context"
	"fmt"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// rebuildSetting is set from the commit that begins a new epoch until the index
// has been brought together with the message files, however often that is cut
// short.
const rebuildSetting = "store.rebuild"

// begin does what is to be done after the database was put back (a restore, or
// the way back after an upgrade), before a door opens: programs must not take
// messages that get a UID again for those that had it, and what the database has
// forgotten comes into the mailboxes Recovered.
func (s *Stores) begin(ctx context.Context) error {
	if s.Blobs.Restored() {
		err := s.Blobs.Adopt(ctx, func(tx *sqlite.Tx) error {
			if err := s.Accounts.SetSetting(tx, rebuildSetting, true); err != nil {
				return err
			}
			return s.Mail.RenewUIDValidity(tx)
		})
		if err != nil {
			return err
		}
	}
	var pending bool
	if err := s.Accounts.Setting(ctx, rebuildSetting, &pending); err != nil || !pending {
		return err
	}
	n, err := s.Mail.Rebuild(ctx, func(f mailbox.Finding) {
		s.Rebuilt = append(s.Rebuilt, f.Text)
		s.Log.Info("the database was put back", "account", f.Account, "done", f.Text)
	})
	if err != nil {
		return err
	}
	if n > 0 {
		s.Rebuilt = append(s.Rebuilt, fmt.Sprintf("%d messages came back into the mailboxes %s", n, mailbox.RecoveredName))
	}
	return s.DB.Update(ctx, func(tx *sqlite.Tx) error { return s.Accounts.SetSetting(tx, rebuildSetting, nil) })
}
