package submission

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"mailstead/internal/sqlite"
	"mailstead/message"
	"mailstead/policy/dkim"
)

// TestWhatLeavesIsSigned: after the edits, so that the signature holds on what
// the queue sends; what stays is not signed.
func TestWhatLeavesIsSigned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := dkim.Signer{Keys: func(_ context.Context, d message.Domain) ([]dkim.Key, error) {
		return []dkim.Key{{Selector: "e", Private: private}}, nil
	}}
	var signed []byte
	o, r := open(t, true, func(o *Options) {
		o.Sign = func(ctx context.Context, author message.Domain, r io.ReaderAt, size int64) ([]byte, error) {
			b, err := signer.Sign(ctx, author, r, size)
			text, e := io.ReadAll(io.NewSectionReader(r, 0, size))
			if e != nil {
				t.Error(e)
			}
			signed = append(append([]byte(nil), b...), text...)
			return b, err
		}
	})
	r.Run(t, loginAs("alice")+from+to("250 ...", "bob@example.org", "x@example.com")+
		data("250 2.0.0 <mid>", "From: Alice <alice@example.org>", "Bcc: y@example.com", "Subject: s", "", "text"))
	lookup := func(string) ([]string, error) {
		return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}, nil
	}
	list, err := msgauth.VerifyWithOptions(strings.NewReader(string(signed)), &msgauth.VerifyOptions{LookupTXT: lookup})
	if err != nil || len(list) != 1 || list[0].Err != nil || list[0].Domain != "example.org" {
		t.Errorf("%+v, %v in\n%s", list, err, signed)
	}
	if strings.Contains(string(signed), "Bcc") || !strings.Contains(string(signed), "\r\nDate: ") {
		t.Errorf("signed before the edits:\n%s", signed)
	}
	if mail := strings.Join(o.Mail("bob", "INBOX"), ""); strings.Contains(mail, "DKIM-Signature") {
		t.Errorf("signed for a mailbox here:\n%s", mail)
	}
	var prefix []byte
	err = o.DB.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT prefix FROM queue_message`).Scan(&prefix)
	})
	signature, _, _ := strings.Cut(string(signed), "From: ")
	if err != nil || !strings.HasPrefix(string(prefix), "Received: ") || !strings.HasSuffix(string(prefix), signature) {
		t.Errorf("the queue's prefix, %v:\n%s", err, prefix)
	}
}

// TestNoSignatureNoMail: a key table that cannot be read is our fault, and the
// program tries again.
func TestNoSignatureNoMail(t *testing.T) {
	_, r := open(t, true, func(o *Options) {
		o.Sign = func(context.Context, message.Domain, io.ReaderAt, int64) ([]byte, error) {
			return nil, context.DeadlineExceeded
		}
	})
	r.Run(t, loginAs("alice")+from+to("250 ...", "x@example.com")+data("451 4.3.0 ...", "From: alice@example.org", "", "text"))
}
