package webui

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"mailstead/internal/sqlite"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the table of this room.
func Schema() fs.FS {
	sub, err := fs.Sub(schema, "schema")
	if err != nil {
		panic(err) // the folder is built in
	}
	return sub
}

// How long a session lives: idle, and in all.
const (
	idleTime  = 12 * time.Hour
	wholeTime = 7 * 24 * time.Hour
	touchTime = 10 * time.Minute // how exact the use is kept
	maxEach   = 20               // sessions of an account; the one used longest ago goes
)

// Sessions are who is signed in. They are kept in the database, so that a restart
// or an upgrade signs nobody out, and so that a new password ends them in the
// commit that sets it (a trigger of the schema). A session writes when it begins,
// when it ends, and at most every ten minutes in between.
type Sessions struct {
	DB  *sqlite.DB
	Now func() time.Time // nil means time.Now
}

// errNoSession: the token is of no session, or of one that is over.
var errNoSession = errors.New("no such session")

func (s *Sessions) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// begin makes a session and gives its token: 256 random bits.
func (s *Sessions) begin(ctx context.Context, account int64) (token string, err error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	token = base64.RawURLEncoding.EncodeToString(secret)
	now := s.now().Unix()
	err = s.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`DELETE FROM webui_session WHERE used < ? OR created < ?`, now-seconds(idleTime), now-seconds(wholeTime)); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM webui_session WHERE hash IN (
			SELECT hash FROM webui_session WHERE account = ? ORDER BY used DESC LIMIT -1 OFFSET ?)`, account, maxEach-1); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO webui_session (hash, account, created, used) VALUES (?, ?, ?, ?)`, digest(token), account, now, now)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	return token, nil
}

// account gives whose session a token is. Errors: errNoSession.
func (s *Sessions) account(ctx context.Context, token string) (account int64, err error) {
	now, hash := s.now().Unix(), digest(token)
	var created, used int64
	err = s.DB.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT account, created, used FROM webui_session WHERE hash = ?`, hash).Scan(&account, &created, &used)
	})
	switch {
	case errors.Is(err, sqlite.ErrNoRows):
		return 0, errNoSession
	case err != nil:
		return 0, fmt.Errorf("look for a session: %w", err)
	case now-used >= seconds(idleTime) || now-created >= seconds(wholeTime):
		return 0, errNoSession
	case now-used < seconds(touchTime):
		return account, nil
	}
	err = s.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`UPDATE webui_session SET used = ? WHERE hash = ?`, now, hash)
		return err
	})
	if errors.Is(err, sqlite.ErrFull) { // to look is still possible
		err = nil
	}
	return account, err
}

// end forgets the session of a token.
func (s *Sessions) end(ctx context.Context, token string) error {
	err := s.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`DELETE FROM webui_session WHERE hash = ?`, digest(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// digest is what the table knows of a token. The token has 256 random bits, so
// that one round of SHA-256 is enough.
func digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
