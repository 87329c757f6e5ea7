package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Mail programs log in again and again with the same password, and argon2 is
// dear. For a short while a proven password is recognised by a keyed hash whose
// key lives in this process only.
const (
	provenFor  = 15 * time.Minute
	provenEach = 8 // passwords remembered per account
)

// mark recognises a password given to one account without holding it.
type mark [16]byte

// proof is a password that was right.
type proof struct {
	mark    mark
	app     int64 // 0 for the person's own
	scope   Scope
	expires time.Time
}

// proven remembers proofs until they expire or their account changes.
type proven struct {
	key [32]byte

	mu     sync.Mutex
	proofs map[int64][]proof
}

func newProven() *proven {
	p := &proven{proofs: map[int64][]proof{}}
	rand.Read(p.key[:])
	return p
}

func (p *proven) mark(id who, password string) mark {
	h := hmac.New(sha256.New, p.key[:])
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	h.Write(b[:])
	h.Write([]byte(password))
	return mark(h.Sum(nil)[:16])
}

func (p *proven) get(account int64, scope Scope, m mark) (app int64, ok bool) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.proofs[account] {
		if hmac.Equal(f.mark[:], m[:]) && f.expires.After(now) && scope != 0 && f.scope&scope == scope {
			return f.app, true
		}
	}
	return 0, false
}

// put remembers a proof that was found in the given generation of the tables;
// if they have changed since, it may be void and is not kept. Where there is no
// room the oldest goes.
func (p *proven) put(s *Store, account int64, generation uint64, f proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.generation.Load() != generation {
		return
	}
	kept := p.proofs[account][:0:0]
	for _, old := range p.proofs[account] {
		if old.mark != f.mark && time.Now().Before(old.expires) {
			kept = append(kept, old)
		}
	}
	if len(kept) >= provenEach {
		kept = kept[1:]
	}
	p.proofs[account] = append(kept, f)
}

// forget drops all proofs of the accounts.
func (p *proven) forget(accounts ...int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range accounts {
		delete(p.proofs, a)
	}
}
