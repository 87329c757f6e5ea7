package dkim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"mailstead/message"
)

// office has both keys for example.org and their records.
func office(t testing.TB) (*Signer, func(string) ([]string, error)) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{
		"r._domainkey.example.org": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der),
		"e._domainkey.example.org": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
	}
	s := &Signer{Keys: func(_ context.Context, d message.Domain) ([]Key, error) {
		if d != "example.org" {
			return nil, nil
		}
		return []Key{{"r", r}, {"e", e}}, nil
	}}
	return s, func(name string) ([]string, error) {
		if records[name] == "" {
			return nil, errors.New("no such name")
		}
		return []string{records[name]}, nil
	}
}

const letter = "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: hello,\r\n\tworld\r\n" +
	"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello  Bob \r\n\r\n\r\n"

// verdicts verifies with the library's other half: one word a signature.
func verdicts(t testing.TB, text string, lookup func(string) ([]string, error)) []string {
	t.Helper()
	list, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, v := range list {
		word := "pass " + v.Domain
		if v.Err != nil {
			word = v.Err.Error()
		}
		words = append(words, word)
	}
	return words
}

func TestBothSignaturesHold(t *testing.T) {
	t.Parallel()
	s, lookup := office(t)
	for name, text := range map[string]string{
		"letter":      letter,
		"no body":     "From: a@example.org\r\n\r\n",
		"eight bits":  "From: ä <a@example.org>\r\nSubject: grüße\r\n\r\nÄ\r\n",
		"large":       letter + strings.Repeat("0123456789abcdef\r\n", 100_000),
		"large field": "X-Long: " + strings.Repeat(" x\r\n", 20_000) + letter,
	} {
		signatures, err := s.Sign(t.Context(), "example.org", strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := verdicts(t, "Received: from here\r\n\tby there\r\n"+string(signatures)+text, lookup)
		if strings.Join(got, "; ") != "pass example.org; pass example.org" {
			t.Errorf("%s: %v", name, got)
		}
		for line := range strings.Lines(string(signatures)) {
			if len(line) > 1000 || !strings.HasSuffix(line, "\r\n") { // RFC 5321, 4.5.3.1.6
				t.Errorf("%s: line %q", name, line)
			}
		}
	}
}

// TestWhatWasAddedIsSeen: a second field, another body.
func TestWhatWasAddedIsSeen(t *testing.T) {
	t.Parallel()
	s, lookup := office(t)
	signatures, err := s.Sign(t.Context(), "example.org", strings.NewReader(letter), int64(len(letter)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another From":  "From: eve@example.org\r\n" + letter,
		"a Reply-To":    "Reply-To: eve@example.org\r\n" + letter,
		"a type":        "Content-Type: text/html\r\n" + letter,
		"more text":     letter + "more",
		"other subject": strings.Replace(letter, "hello", "hallo", 1),
	} {
		for _, v := range verdicts(t, string(signatures)+text, lookup) {
			if strings.HasPrefix(v, "pass") {
				t.Errorf("%s: a signature still holds", name)
			}
		}
	}
	for _, v := range verdicts(t, string(signatures)+"X-Other: yes\r\n"+letter, lookup) {
		if !strings.HasPrefix(v, "pass") {
			t.Error("a field of no meaning breaks a signature:", v)
		}
	}
}

func TestWhoseKeys(t *testing.T) {
	t.Parallel()
	s, _ := office(t)
	for author, want := range map[message.Domain]bool{
		"example.org": true, "mail.example.org": true, "org": false, "example.net": false, "": false, "[192.0.2.1]": false,
	} {
		b, err := s.Sign(t.Context(), author, strings.NewReader(letter), int64(len(letter)))
		if err != nil || (len(b) > 0) != want {
			t.Errorf("%s: %q, %v", author, b, err)
		}
	}
	fails := &Signer{Keys: func(context.Context, message.Domain) ([]Key, error) { return nil, errors.New("no table") }}
	if _, err := fails.Sign(t.Context(), "example.org", strings.NewReader(letter), int64(len(letter))); err == nil {
		t.Error("a failure is no error")
	}
	if _, err := s.Sign(t.Context(), "example.org", strings.NewReader("From: a@b\r\n"), 11); err == nil {
		t.Error("half a message was signed")
	}
}

func BenchmarkSign(b *testing.B) {
	s, _ := office(b)
	text := letter + strings.Repeat("0123456789abcdef\r\n", 220)
	for b.Loop() {
		if _, err := s.Sign(b.Context(), "example.org", strings.NewReader(text), int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
}
