package account

import (
	"context"
	"testing"
)

func BenchmarkResolve(b *testing.B) {
	s := open(b)
	s.with(b, "alice@example.org", "a long password")
	a := addr(b, "Alice@example.org")
	for b.Loop() {
		if _, err := s.Resolve(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
}

// A mail program that logs in again: answered from memory.
func BenchmarkLoginAgain(b *testing.B) {
	s := open(b)
	s.with(b, "alice@example.org", "a long password")
	l := Login{"alice@example.org", IMAP, remote}
	for b.Loop() {
		if _, err := s.CheckPassword(context.Background(), l, "a long password"); err != nil {
			b.Fatal(err)
		}
	}
}

// One argon2id, with its memory.
func BenchmarkHash(b *testing.B) {
	s := open(b)
	s.with(b, "alice@example.org", "a long password")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Secret(context.Background(), 0, "a long password"); err != nil {
			b.Fatal(err)
		}
	}
}
