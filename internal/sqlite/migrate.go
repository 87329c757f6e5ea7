package sqlite

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// migration is one file NNNN_owner_what.sql.
type migration struct {
	number int64
	name   string
	sql    string
}

// migrations collects those of all owners in their global order.
func migrations(owners []fs.FS) ([]migration, error) {
	shape := regexp.MustCompile(`^([0-9]{4})_[a-z]+_[a-z_]+\.sql$`)
	var all []migration
	for _, owner := range owners {
		names, err := fs.Glob(owner, "*.sql")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			m := shape.FindStringSubmatch(name)
			if m == nil {
				return nil, fmt.Errorf("migration %q is not named NNNN_owner_what.sql", name)
			}
			n, _ := strconv.ParseInt(m[1], 10, 64)
			text, err := fs.ReadFile(owner, name)
			if err != nil {
				return nil, err
			}
			all = append(all, migration{n, name, string(text)})
		}
	}
	slices.SortFunc(all, func(a, b migration) int { return cmp.Compare(a.number, b.number) })
	for i := 1; i < len(all); i++ {
		if all[i].number == all[i-1].number {
			return nil, fmt.Errorf("migrations %s and %s have one number", all[i-1].name, all[i].name)
		}
	}
	return all, nil
}

// migrate applies what is missing, each migration in its own transaction with
// the new user_version. An existing file is copied first.
func (db *DB) migrate(ctx context.Context) error {
	all, err := migrations(db.o.Migrations)
	if err != nil || len(all) == 0 {
		return err
	}
	have, err := db.w.integer("PRAGMA user_version")
	if err != nil {
		return err
	}
	last := all[len(all)-1].number
	if have > last {
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, have, last)
	}
	if have == last {
		return nil
	}
	if have > 0 {
		name := fmt.Sprintf("before-%04d-%s.db", last, time.Now().UTC().Format("20060102T150405Z"))
		if err := os.MkdirAll(db.o.Snapshots, 0o700); err != nil {
			return err
		}
		if err := db.Backup(ctx, filepath.Join(db.o.Snapshots, name)); err != nil {
			return fmt.Errorf("snapshot before migration: %w", err)
		}
	}
	for _, m := range all {
		if m.number <= have {
			continue
		}
		if err := db.w.migrate(m); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
		db.o.Log.Info("migrated", "migration", m.name)
	}
	return nil
}

// migrate applies one. Foreign keys are checked at its end, so that a table can
// be rebuilt.
func (c *conn) migrate(m migration) error {
	if err := c.script("PRAGMA foreign_keys=0; BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := c.script(m.sql)
	if err == nil {
		var broken int64
		broken, err = c.integer("SELECT count(*) FROM pragma_foreign_key_check")
		if err == nil && broken > 0 {
			err = fmt.Errorf("%w: %d foreign keys", ErrConstraint, broken)
		}
	}
	if err == nil {
		err = c.script(fmt.Sprintf("PRAGMA user_version=%d; COMMIT", m.number))
	}
	if err != nil && !c.autocommit() {
		c.script("ROLLBACK")
	}
	if e := c.script("PRAGMA foreign_keys=1"); err == nil {
		err = e
	}
	return err
}

// Last gives the number of the last migration of all owners: the schema that
// this program knows.
func Last(owners []fs.FS) (int64, error) {
	all, err := migrations(owners)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[len(all)-1].number, nil
}

// Folder is a room's embedded folder of migrations, for its Schema.
func Folder(files embed.FS, name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}
