package sqlite

import (
	"context"
	"fmt"
)

// shrinkPages is what one step gives back: a commit of well under a megabyte.
const shrinkPages = 64

// Shrink takes one step towards a file with at most keep free pages, between
// two batches of the writer, and tells whether there is more to give back. A
// burst of mail leaves many free pages when its bodies have become files; the
// next burst would use them, so only what is far too much is worth the writing.
func (db *DB) Shrink(ctx context.Context, keep int) (more bool, err error) {
	err = db.between(ctx, func(c *conn) error {
		if err := db.failure(); err != nil {
			return err
		}
		free, err := c.integer("PRAGMA freelist_count")
		if err != nil || free <= int64(keep) {
			return err
		}
		more = free-shrinkPages > int64(keep)
		return c.script(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", shrinkPages))
	})
	return more && err == nil, err
}
