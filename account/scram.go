package account

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailstead/internal/sqlite"
)

const (
	iterations = 65_536 // of PBKDF2: the most that Cyrus SASL, and so many a mail program, agrees to compute
	nonceSize  = 18
	maxScram   = 4096 // bytes of a client's message
)

// scramKeys are what the server keeps of a password (RFC 5802, 3).
type scramKeys struct{ stored, server []byte }

func deriveKeys(password string, salt []byte, iterations int) (scramKeys, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return scramKeys{}, fmt.Errorf("derive SCRAM keys: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return scramKeys{stored[:], mac(salted, "Server Key")}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// SCRAM starts a SCRAM-SHA-256 exchange (RFC 5802, 7677). bindings is the
// channel binding type and data for -PLUS (RFC 9266, 5929), empty where -PLUS
// was not offered. A client that could bind and believes that we cannot ("y")
// was lied to, and is refused when bindings are there.
func (s *Store) SCRAM(ctx context.Context, l Login, bindings map[string][]byte) *SCRAM {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return &SCRAM{ctx: ctx, store: s, login: l, bindings: bindings, nonce: base64.StdEncoding.EncodeToString(nonce)}
}

// SCRAM is the server's side of one exchange. l.Name is filled by Next from the
// client's first message. done is true when the account is proven; the last
// challenge (server signature) must still be sent.
//
//	step  client                     server
//	0     client-first-message   →   server-first-message (salt, count)
//	1     client-final-message   →   server-final-message (signature), done
type SCRAM struct {
	ctx      context.Context
	store    *Store
	login    Login
	bindings map[string][]byte
	nonce    string // our part, then both parts

	step        int
	gs2         string // header with its commas, as it came
	binding     []byte // data of the chosen type
	firstBare   string
	serverFirst string
	who         *Account
	credentials credentials
	proven      Account
}

var errScramSyntax = fmt.Errorf("SCRAM message: %w: syntax", ErrBadCredentials)

// Next takes the client's message and gives the server's.
// Errors: ErrBadCredentials, ErrThrottled, ErrDisabled.
func (x *SCRAM) Next(response []byte) (challenge []byte, done bool, err error) {
	if len(response) > maxScram || bytes.IndexByte(response, 0) >= 0 {
		return nil, false, errScramSyntax
	}
	x.step++
	switch x.step {
	case 1:
		challenge, err = x.first(string(response))
		return challenge, false, err
	case 2:
		challenge, err = x.final(string(response))
		return challenge, err == nil, err
	}
	return nil, false, errScramSyntax
}

// Account is who was proven, once Next said done.
func (x *SCRAM) Account() Account { return x.proven }

// Name is what the client called itself, known after its first message.
func (x *SCRAM) Name() string { return x.login.Name }

func (x *SCRAM) first(msg string) ([]byte, error) {
	parts := strings.SplitN(msg, ",", 3)
	if len(parts) != 3 {
		return nil, errScramSyntax
	}
	flag, authzid, bare := parts[0], parts[1], parts[2]
	x.gs2, x.firstBare = flag+","+authzid+",", bare
	if err := x.bind(flag); err != nil {
		return nil, err
	}
	attrs := strings.Split(bare, ",")
	if len(attrs) < 2 || !strings.HasPrefix(attrs[0], "n=") || !strings.HasPrefix(attrs[1], "r=") || len(attrs[1]) < 3 {
		return nil, errScramSyntax // "m=" in front is a mandatory extension that we do not know
	}
	name, ok := saslName(attrs[0][2:])
	if !ok {
		return nil, errScramSyntax
	}
	x.login.Name = name
	if authzid != "" {
		if as, ok := saslName(strings.TrimPrefix(authzid, "a=")); !ok || !strings.EqualFold(as, name) {
			return nil, fmt.Errorf("acting for somebody else: %w", ErrBadCredentials)
		}
	}
	salt, count, err := x.load()
	if err != nil {
		return nil, err
	}
	x.nonce = attrs[1][2:] + x.nonce
	x.serverFirst = "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(salt) + ",i=" + strconv.Itoa(count)
	return []byte(x.serverFirst), nil
}

// bind reads the channel binding flag (RFC 5802, 6).
func (x *SCRAM) bind(flag string) error {
	switch {
	case flag == "n":
		return nil
	case flag == "y":
		if len(x.bindings) > 0 {
			return fmt.Errorf("channel binding was offered and the client did not see it: %w", ErrBadCredentials)
		}
		return nil
	case strings.HasPrefix(flag, "p="):
		data, ok := x.bindings[flag[2:]]
		if !ok {
			return fmt.Errorf("channel binding %q is not supported: %w", flag[2:], ErrBadCredentials)
		}
		x.binding = data
		return nil
	}
	return errScramSyntax
}

// saslName undoes the escapes of a saslname (RFC 5802, 5.1).
func saslName(s string) (string, bool) {
	out := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s)
	plain := strings.NewReplacer("=2C", "", "=3D", "").Replace(s)
	return out, s != "" && !strings.Contains(plain, "=")
}

// load finds what the client needs to know. Unknown names get a salt that looks
// like any other and stays the same.
func (x *SCRAM) load() (salt []byte, count int, err error) {
	d, err := x.store.dir(x.ctx)
	if err != nil {
		return nil, 0, err
	}
	if x.who = d.login(x.login.Name); x.who == nil {
		return mac(x.store.secret, "salt\x00"+fold(x.login.Name))[:saltSize], iterations, nil
	}
	if x.credentials, err = x.store.credentials(x.ctx, x.who.ID); err != nil {
		return nil, 0, err
	}
	return x.credentials.salt, x.credentials.iterations, nil
}

func (x *SCRAM) final(msg string) ([]byte, error) {
	s := x.store
	id := s.throttle.who(x.who, x.login.Name)
	if s.throttle.admit(x.login.Remote, id, mark{}, 0) == refused {
		return nil, ErrThrottled
	}
	keys, app, err := x.verify(msg)
	if errors.Is(err, ErrBadCredentials) {
		if late := s.failed(x.ctx, x.login, id, mark{}, 0); late != ErrBadCredentials {
			return nil, late
		}
	}
	if err != nil {
		return nil, err
	}
	a, err := s.Account(x.ctx, x.who.ID) // as it is now
	if err != nil {
		return nil, err
	}
	if !a.Live() {
		return nil, ErrDisabled
	}
	s.succeeded(x.login, a.ID, app)
	x.proven = a
	withoutProof, _, _ := strings.Cut(msg, ",p=")
	signature := mac(keys.server, x.firstBare+","+x.serverFirst+","+withoutProof)
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), nil
}

// verify checks the client's final message and tells which password it proved.
func (x *SCRAM) verify(msg string) (scramKeys, int64, error) {
	withoutProof, proof64, found := strings.Cut(msg, ",p=")
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if !found || err != nil || len(proof) != sha256.Size {
		return scramKeys{}, 0, errScramSyntax
	}
	want := "c=" + base64.StdEncoding.EncodeToString(append([]byte(x.gs2), x.binding...)) + ",r=" + x.nonce
	if got := withoutProof; subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 && !strings.HasPrefix(got, want+",") {
		return scramKeys{}, 0, fmt.Errorf("channel binding or nonce differs: %w", ErrBadCredentials)
	}
	message := x.firstBare + "," + x.serverFirst + "," + withoutProof
	for _, p := range x.credentials.app {
		if p.scope&x.login.Scope == x.login.Scope &&
			x.login.Scope != 0 && p.keys.proves(proof, message) {
			return p.keys, p.id, nil
		}
	}
	if own := x.credentials.own; own.stored != nil && own.proves(proof, message) {
		return own, 0, nil
	}
	return scramKeys{}, 0, ErrBadCredentials
}

// proves tells whether the proof was made with these keys (RFC 5802, 3).
func (k scramKeys) proves(proof []byte, message string) bool {
	client := make([]byte, sha256.Size)
	subtle.XORBytes(client, proof, mac(k.stored, message))
	sum := sha256.Sum256(client)
	return subtle.ConstantTimeCompare(sum[:], k.stored) == 1
}

// SetSCRAM lets SCRAM prove the person's own password, as it does from the start,
// or no longer: then argon2id is all that is kept of it, until it is chosen again.
// App passwords go on with SCRAM in any case.
// Errors: ErrBadCredentials (password is not the account's own), ErrThrottled.
func (s *Store) SetSCRAM(ctx context.Context, l Login, password string, on bool) error {
	a, err := s.CheckOwnPassword(ctx, l, password)
	if err != nil {
		return err
	}
	c, err := s.credentials(ctx, a.ID)
	if err != nil {
		return err
	}
	var keys scramKeys
	if on {
		if keys, err = deriveKeys(prepare(password), c.salt, c.iterations); err != nil {
			return err
		}
	}
	return s.db.Update(ctx, func(tx *sqlite.Tx) error {
		return s.update(tx, a.ID, `UPDATE account SET stored_key = ?, server_key = ? WHERE id = ?`, keys.stored, keys.server, a.ID)
	})
}

// ForgetSCRAM is how an operator switches it off, who does not know the password.
// Errors: ErrUnknown.
func (s *Store) ForgetSCRAM(tx *sqlite.Tx, account int64) error {
	return s.update(tx, account, `UPDATE account SET stored_key = NULL, server_key = NULL WHERE id = ?`, account)
}
