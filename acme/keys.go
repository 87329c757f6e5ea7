package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// keys keeps two keys for each name: the one in use, which outlives certificates
// so that TLSA records stay right, and the next one, whose TLSA record can be
// live long before it is used.
//
//	NAME.key        in use: of every certificate for NAME, the self-signed one included
//	NAME.next.key   made when it is first asked for
//
// promote renames the second over the first; before and after, each is whole.
type keys struct {
	dir string
	mu  sync.Mutex // one maker at a time
}

func (k *keys) file(name string) string     { return filepath.Join(k.dir, name+".key") }
func (k *keys) nextFile(name string) string { return filepath.Join(k.dir, name+".next.key") }

// current is the key in use, made when there is none.
func (k *keys) current(name string) (crypto.Signer, error) { return k.load(k.file(name)) }

// next is the key after it, made when there is none.
func (k *keys) next(name string) (crypto.Signer, error) { return k.load(k.nextFile(name)) }

// promote makes the next key the one in use.
func (k *keys) promote(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if err := os.Chtimes(k.nextFile(name), now, now); err != nil {
		return fmt.Errorf("take the next key into use: %w", err)
	}
	if err := os.Rename(k.nextFile(name), k.file(name)); err != nil {
		return fmt.Errorf("take the next key into use: %w", err)
	}
	return syncDir(k.dir)
}

// since is when the key in use was taken into use.
func (k *keys) since(name string) (time.Time, error) {
	st, err := os.Stat(k.file(name))
	if err != nil {
		return time.Time{}, err
	}
	return st.ModTime(), nil
}

func (k *keys) load(file string) (crypto.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := os.ReadFile(file)
	if err == nil {
		if key, err := parseKey(text); err == nil {
			return key, nil
		}
		// Torn by a power cut before files were replaced whole, or by hand: there
		// is no way back to what it was.
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("keep a key: %w", err)
	}
	if err := replace(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, fmt.Errorf("keep a key: %w", err)
	}
	return key, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

// fingerprint is the data of a TLSA 3 1 1 record.
func fingerprint(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "" // a type that certificates cannot hold
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
