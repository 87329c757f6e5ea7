package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"mailstead/internal/sqlite"
)

// Hash is a password in the PHC string form:
// $argon2id$v=19$m=7168,t=5,p=1$SALT$HASH.
type Hash string

// The figures of OWASP's password storage sheet with the least memory; all of
// its sets are equally strong. A hashing's memory is what the server's bound
// of 50 MiB must have room for.
const (
	argonMemory  = 7 * 1024 // KiB
	argonTime    = 5
	argonThreads = 1
	argonKey     = 32
	saltSize     = 16
)

const (
	minPassword = 8    // NIST SP 800-63B, 5.1.1.2
	maxPassword = 1024 // bytes
)

// prepare makes the same bytes of what looks the same (RFC 8265, 4.2: the
// OpaqueString profile's mapping): NFC, and every space is U+0020.
func prepare(password string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, password))
}

// validPassword refuses what cannot be typed into a mail program or is guessed at once.
// CheckPassword tells whether somebody may have such a password. Errors: ErrInvalid.
func CheckPassword(password string) error { return validPassword(password) }

func validPassword(password string) error {
	switch {
	case len([]rune(password)) < minPassword:
		return fmt.Errorf("%w: a password has at least %d characters", ErrInvalid, minPassword)
	case len(password) > maxPassword:
		return fmt.Errorf("%w: a password has at most %d bytes", ErrInvalid, maxPassword)
	case strings.ContainsFunc(password, unicode.IsControl):
		return fmt.Errorf("%w: the password has control characters", ErrInvalid)
	}
	return nil
}

// Secret is what the table keeps of a person's own password.
type Secret struct {
	hash       Hash
	salt       []byte // of SCRAM, the account's
	iterations int
	keys       scramKeys // zero where SCRAM was switched off
}

// Secret makes what the table keeps of a new password of an account, or of one
// that does not exist yet (0). It is slow by purpose: call it before the
// transaction. Errors: ErrInvalid, ErrUnknown.
func (s *Store) Secret(ctx context.Context, account int64, password string) (Secret, error) {
	if err := validPassword(password); err != nil {
		return Secret{}, err
	}
	secret, scram := Secret{salt: newSalt(), iterations: iterations}, true
	if account != 0 {
		c, err := s.credentials(ctx, account)
		if err != nil {
			return Secret{}, err
		}
		secret.salt, secret.iterations = c.salt, c.iterations
		scram = c.password == "" || c.own.stored != nil
	}
	var err error
	if secret.hash, err = s.hashed(ctx, password); err != nil {
		return Secret{}, err
	}
	if scram {
		secret.keys, err = deriveKeys(prepare(password), secret.salt, secret.iterations)
	}
	return secret, err
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}

func (s *Store) hashed(ctx context.Context, password string) (Hash, error) {
	salt := newSalt()
	sum, err := s.hasher.run(ctx, argonParams{argonMemory, argonTime, argonThreads, salt, argonKey}, prepare(password))
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return Hash(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))), nil
}

// matches tells whether the password is the hashed one. An empty Hash matches
// nothing and takes as long as any other.
func (h *hasher) matches(ctx context.Context, hash Hash, password string) (bool, error) {
	p, want, err := parseHash(hash)
	if hash == "" {
		p, want, err = argonParams{argonMemory, argonTime, argonThreads, make([]byte, saltSize), argonKey}, make([]byte, argonKey), nil
	}
	if err != nil {
		return false, err
	}
	got, err := h.run(ctx, p, prepare(password))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && hash != "", nil
}

type argonParams struct {
	memory, time uint32
	threads      uint8
	salt         []byte
	size         uint32
}

var errHash = errors.New("unreadable password hash")

func parseHash(h Hash) (p argonParams, sum []byte, err error) {
	parts := strings.Split(string(h), "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, errHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil || n != 3 {
		return p, nil, errHash
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, nil, errHash
	}
	if sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(sum) == 0 || p.time == 0 || p.threads == 0 {
		return p, nil, errHash
	}
	p.size = uint32(len(sum))
	return p, sum, nil
}

// hasher runs one argon2 at a time, so that a crowd of logins costs 7 MiB, and
// gives the memory back to the system when the crowd has gone.
type hasher struct {
	turn chan struct{}

	mu   sync.Mutex
	idle *time.Timer
}

const hasherIdle = 3 * time.Second

func newHasher() *hasher { return &hasher{turn: make(chan struct{}, 1)} }

func (h *hasher) run(ctx context.Context, p argonParams, password string) ([]byte, error) {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.turn }()
	sum := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, p.size)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.idle == nil {
		h.idle = time.AfterFunc(hasherIdle, debug.FreeOSMemory)
	} else {
		h.idle.Reset(hasherIdle)
	}
	return sum, nil
}

func (h *hasher) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.idle != nil {
		h.idle.Stop()
	}
}

// SetPassword gives the account a new password without asking for the old one:
// the operator's way. Errors: ErrUnknown.
func (s *Store) SetPassword(tx *sqlite.Tx, account int64, secret Secret) error {
	s.cut(tx, account)
	return s.update(tx, account, `UPDATE account SET password = ?, stored_key = ?, server_key = ? WHERE id = ?`,
		string(secret.hash), secret.keys.stored, secret.keys.server, account)
}

// ChangePassword is the person's own way: the old password is needed. l says
// where the wish comes from; wrong old passwords count as failed logins.
// Errors: ErrBadCredentials, ErrThrottled, ErrDisabled, ErrInvalid.
func (s *Store) ChangePassword(ctx context.Context, l Login, old, new string) error {
	a, err := s.CheckOwnPassword(ctx, l, old)
	if err != nil {
		return err
	}
	secret, err := s.Secret(ctx, a.ID, new)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *sqlite.Tx) error { return s.SetPassword(tx, a.ID, secret) })
}

// credentials is what a login is tried against.
type credentials struct {
	password   Hash
	salt       []byte
	iterations int
	own        scramKeys // of the person's own password, unless switched off
	app        []appCredential
}

// credentials loads those of an account; ErrUnknown.
func (s *Store) credentials(ctx context.Context, account int64) (credentials, error) {
	var c credentials
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		c = credentials{}
		err := tx.QueryRow(`SELECT password, salt, iterations, stored_key, server_key FROM account WHERE id = ?`, account).
			Scan(&c.password, &c.salt, &c.iterations, &c.own.stored, &c.own.server)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("account %d: %w", account, ErrUnknown)
		}
		if err != nil {
			return err
		}
		return each(tx, func(rows *sqlite.Rows) error {
			var p appCredential
			if err := rows.Scan(&p.id, &p.scope, &p.hash, &p.keys.stored, &p.keys.server); err != nil {
				return err
			}
			c.app = append(c.app, p)
			return nil
		}, `SELECT id, scope, hash, stored_key, server_key FROM app_password WHERE account = ?`, account)
	})
	if err != nil {
		return credentials{}, fmt.Errorf("read credentials: %w", err)
	}
	return c, nil
}
