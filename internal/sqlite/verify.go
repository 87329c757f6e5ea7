package sqlite

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	lib "modernc.org/sqlite/lib"
)

// Verify reads a copy that nobody writes (a snapshot) from beginning to end and
// tells what is wrong with it. It leaves no files beside it.
func Verify(ctx context.Context, path string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: "immutable=1"}
	c, err := open(u.String(), "", lib.SQLITE_OPEN_READONLY|lib.SQLITE_OPEN_URI)
	if err != nil {
		return fmt.Errorf("verify %s: %w", path, err)
	}
	defer c.close()
	version, err := c.integer("PRAGMA user_version")
	if err == nil && version == 0 {
		err = fmt.Errorf("no database of ours")
	}
	var bad int64
	if err == nil {
		bad, err = c.integer("SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'")
	}
	if err == nil && bad > 0 {
		err = fmt.Errorf("%d damaged places", bad)
	}
	if err != nil {
		return fmt.Errorf("verify %s: %w", path, err)
	}
	return nil
}

// Version gives the schema of a copy that nobody writes.
func Version(path string) (int64, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: "immutable=1"}
	c, err := open(u.String(), "", lib.SQLITE_OPEN_READONLY|lib.SQLITE_OPEN_URI)
	if err != nil {
		return 0, fmt.Errorf("read the schema of %s: %w", path, err)
	}
	defer c.close()
	return c.integer("PRAGMA user_version")
}
