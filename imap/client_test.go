package imap

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/google/go-cmp/cmp"

	"mailstead/mailbox"
)

// A client that knows nothing of us reads, changes and waits.
func TestClient(t *testing.T) {
	p := newPlace(t)
	p.place("INBOX", nested, mailbox.Placing{Received: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)})
	news := make(chan uint32, 10)
	c := p.client(&imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				news <- *d.NumMessages
			}
		},
	}})
	sel, err := c.Select("INBOX", nil).Wait()
	p.must(err)
	if sel.NumMessages != 1 || sel.UIDNext != 2 {
		t.Errorf("%+v", sel)
	}
	section := &imap.FetchItemBodySection{Part: []int{4, 1}, Specifier: imap.PartSpecifierHeader, Peek: true}
	binary := &imap.FetchItemBinarySection{Part: []int{5}, Peek: true}
	got, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{
		Flags: true, Envelope: true, InternalDate: true, RFC822Size: true, UID: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{section, {Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject", "X-Fold"}}}, BinarySection: []*imap.FetchItemBinarySection{binary},
	}).Collect()
	p.must(err)
	m := got[0]
	if m.Envelope.Subject != "outer" || m.UID != 1 || m.RFC822Size != int64(len(nested)) || m.InternalDate.Unix() != 1772600767 {
		t.Errorf("%+v", m)
	}
	if s := string(m.FindBodySection(section)); s != nestMsg41[0] {
		t.Errorf("4.1.HEADER: %q", s)
	}
	var types []string
	m.BodyStructure.Walk(func(path []int, part imap.BodyStructure) bool {
		types = append(types, part.MediaType())
		return true
	})
	want := []string{"multipart/mixed", "text/plain", "message/rfc822", "message/rfc822", "message/rfc822", "application/octet-stream", "text/plain"}
	if d := cmp.Diff(want, types); d != "" {
		t.Error(d)
	}
	app := c.Append("INBOX", 12, &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
	io.WriteString(app, "Subject: x\r\n")
	p.must(app.Close())
	data, err := app.Wait()
	p.must(err)
	if data.UID != 2 {
		t.Errorf("%+v", data)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}, &imap.SearchOptions{ReturnAll: true}).Wait()
	p.must(err)
	if d := cmp.Diff([]imap.UID{1, 2}, found.AllUIDs()); d != "" {
		t.Error(d)
	}
	copied, err := c.Copy(imap.UIDSetNum(1, 2), "Archive").Wait()
	p.must(err)
	if copied.DestUIDs.String() != "1:2" {
		t.Errorf("%+v", copied)
	}
	_, err = c.Move(imap.UIDSetNum(1), "Archive").Wait()
	p.must(err)
	boxes, err := c.List("", "%", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	p.must(err)
	for _, b := range boxes {
		if b.Mailbox == "Archive" && *b.Status.NumMessages != 3 {
			t.Errorf("Archive has %d", *b.Status.NumMessages)
		}
	}
	for len(news) > 0 {
		<-news
	}
	idle, err := c.Idle()
	p.must(err)
	p.deliver("INBOX", "Subject: new\r\n\r\n", 0)
	if n := <-news; n != 2 {
		t.Errorf("told of %d messages", n)
	}
	p.must(idle.Close())
	p.must(idle.Wait())
	p.must(c.Logout().Wait())
}

// scramClient is the client's side of RFC 5802, without channel binding.
func scramFinal(password, first, serverFirst string) string {
	attr := map[string]string{}
	for _, a := range strings.Split(serverFirst, ",") {
		attr[a[:1]] = a[2:]
	}
	salt, _ := base64.StdEncoding.DecodeString(attr["s"])
	n, _ := strconv.Atoi(attr["i"])
	salted, _ := pbkdf2.Key(sha256.New, password, salt, n, sha256.Size)
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, text)
		return h.Sum(nil)
	}
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	final := "c=biws,r=" + attr["r"]
	proof := mac(stored[:], first+","+serverFirst+","+final)
	for i := range proof {
		proof[i] ^= client[i]
	}
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof)
}

func TestSCRAM(t *testing.T) {
	p := newPlace(t)
	for _, password := range []string{p.password, "wrong"} {
		nc, err := p.dialTLS()
		p.must(err)
		c := imapclient.New(nc, nil)
		x := &scramSASL{password: password}
		err = c.Authenticate(x)
		if ok := password == p.password; (err == nil) != ok || x.signed != ok {
			t.Errorf("%q: %v, server's signature seen: %v", password, err, x.signed)
		}
		c.Close()
	}
}

type scramSASL struct {
	password, first string
	signed          bool
}

func (x *scramSASL) Start() (string, []byte, error) {
	x.first = "n=alice@example.org,r=clientnonce"
	return "SCRAM-SHA-256", []byte("n,," + x.first), nil
}

func (x *scramSASL) Next(challenge []byte) ([]byte, error) {
	if strings.HasPrefix(string(challenge), "v=") {
		x.signed = true
		return []byte{}, nil
	}
	return []byte(scramFinal(x.password, x.first, string(challenge))), nil
}
