package backup

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
)

// Keys say who may read a backup (age, C2SP). The zero value: everybody who can
// read the files.
type Keys struct {
	Recipients []string       // to write: "age1…"
	Identities []age.Identity // to read what recipients were named for
	Passphrase string         // to write and to read, instead of both
}

// ReadIdentities reads an age identity file ("AGE-SECRET-KEY-1…").
func ReadIdentities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := age.ParseIdentities(f)
	if err != nil {
		return nil, &Problem{Text: path + " holds no age identity", Next: "age-keygen makes one; the file begins with AGE-SECRET-KEY-1", Err: err}
	}
	return list, nil
}

// sealer encrypts and decrypts the files of one folder; the zero value leaves
// them as they are.
type sealer struct {
	on     bool
	to     []age.Recipient
	from   []age.Identity
	public []string // to, as text
}

// recipients parses them.
func recipients(texts []string) ([]age.Recipient, error) {
	var list []age.Recipient
	for _, t := range texts {
		r, err := age.ParseRecipients(strings.NewReader(t))
		if err != nil {
			return nil, &Problem{Text: fmt.Sprintf("%q is no age recipient", t), Next: "a recipient is public and begins with age1; age-keygen prints it"}
		}
		list = append(list, r...)
	}
	return list, nil
}

// workFactor of scrypt: 64 MiB, which the smallest machine can spare for a moment
// (age's own 18 takes 256).
const workFactor = 16

// makeKey makes the pair of keys behind a passphrase. Deriving a key from a
// passphrase takes a second on purpose: so it is done once, and every file is
// encrypted to the pair.
func makeKey(dir string, m mark, passphrase string) (mark, error) {
	if len(m.Recipients) > 0 {
		return m, &Problem{Text: "a backup is encrypted for recipients or with a passphrase, not both"}
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return m, err
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return m, err
	}
	r.SetWorkFactor(workFactor)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, r)
	if err != nil {
		return m, err
	}
	if _, err := io.WriteString(w, id.String()+"\n"); err != nil {
		return m, err
	}
	if err := w.Close(); err != nil {
		return m, err
	}
	m.Passphrase, m.Recipients = true, []string{id.Recipient().String()}
	return m, writeSynced(filepath.Join(dir, keyName), b.Bytes())
}

// wrongKey gives the error of a key that does not fit its plain words.
func wrongKey(err error) error {
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return &Problem{Text: "this key does not open the backup", Next: "it was encrypted for another recipient, or with another passphrase"}
	}
	return err
}

func newSealer(dir string, m mark, keys Keys) (s sealer, err error) {
	if len(m.Recipients) == 0 {
		return s, nil
	}
	s.on, s.public = true, m.Recipients
	if s.to, err = recipients(m.Recipients); err != nil {
		return s, err
	}
	s.from = keys.Identities
	if m.Passphrase && keys.Passphrase != "" {
		id, err := openKey(dir, keys.Passphrase)
		if err != nil {
			return s, err
		}
		// Only the secret says who the recipient is: the mark lies on the same
		// disk, and somebody may have put his own there.
		s.from, s.to = []age.Identity{id}, []age.Recipient{id.Recipient()}
		s.public = []string{id.Recipient().String()}
	}
	return s, nil
}

func openKey(dir, passphrase string) (*age.X25519Identity, error) {
	f, err := openPlain(filepath.Join(dir, keyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Problem{Text: "the key of the backups, " + filepath.Join(dir, keyName) + ", is missing", Next: "bring it back from a copy: without it nobody can open them"}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(f, id)
	var none *age.NoIdentityMatchError
	if err != nil && !errors.As(err, &none) {
		err = &Problem{Text: "the key of the backups, " + filepath.Join(dir, keyName) + ", is damaged", Next: "bring it back from a copy: without it nobody can open them", Err: err}
	}
	if err != nil {
		return nil, wrongKey(err)
	}
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return nil, err
	}
	return age.ParseX25519Identity(strings.TrimSpace(string(text)))
}

// maySeal compares what a folder says with what the writer asked for: half of a
// backup in the clear, or for another key, would be no backup.
func (s sealer) maySeal(m mark, keys Keys) error {
	asked := len(keys.Recipients) > 0 || keys.Passphrase != ""
	switch {
	case asked && !s.on:
		return &Problem{Text: "the backups in this folder are not encrypted", Next: "name a new folder for encrypted ones"}
	case s.on && !asked:
		return &Problem{Text: "the backups in this folder are encrypted", Next: "name the recipients again, or the file with the passphrase"}
	case keys.Passphrase != "" && !m.Passphrase:
		return &Problem{Text: "the backups in this folder are encrypted for recipients", Next: "name the same ones, or a new folder"}
	case len(keys.Recipients) > 0 && !slices.Equal(keys.Recipients, m.Recipients):
		return &Problem{Text: "the backups in this folder are encrypted for other recipients", Next: "name the same ones, or a new folder"}
	}
	return nil
}

// mayOpen tells early that a key is missing.
func (s sealer) mayOpen(m mark, keys Keys) error {
	if !s.on && (keys.Passphrase != "" || len(keys.Identities) > 0) {
		return &Problem{Text: "the backups in this folder are not encrypted", Next: "is it the right one? Leave the key out to take them as they are"}
	}
	if !s.on || len(s.from) > 0 {
		return nil
	}
	if m.Passphrase {
		return &Problem{Text: "the backup is encrypted with a passphrase", Next: "name the file that holds it with --age-passphrase-file"}
	}
	return &Problem{Text: "the backup is encrypted", Next: "name the file with the secret key with --age-identity"}
}

// write gives a writer whose Close ends the encryption, not w.
func (s sealer) write(w io.Writer) (io.WriteCloser, error) {
	if !s.on {
		return plainWriter{w}, nil
	}
	return age.Encrypt(w, s.to...)
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

func (s sealer) read(r io.Reader) (io.Reader, error) {
	if !s.on {
		return r, nil
	}
	out, err := age.Decrypt(r, s.from...)
	return out, wrongKey(err)
}

// object is where the file of a hash lies. An encrypted one gets a name that
// only who has the key could have guessed.
func (s sealer) object(sum []byte, key []byte) string {
	if s.on {
		h := hmac.New(sha256.New, key)
		h.Write(sum)
		sum = h.Sum(nil)
	}
	name := hex.EncodeToString(sum)
	return objectsName + "/" + name[:2] + "/" + name + s.suffix()
}

func (s sealer) suffix() string {
	if s.on {
		return sealedSuffix
	}
	return ""
}
