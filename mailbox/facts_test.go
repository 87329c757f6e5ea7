package mailbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/message"
)

// Keys are read alone or with all facts, short or longer than the first part
// that is unpacked for them.
func TestFacts(t *testing.T) {
	for _, subject := range []string{"", "Tea", strings.Repeat("very long ", 500)} {
		in := &Incoming{
			Summary: message.Summary{
				Date: -5, BaseSubject: subject, From: "bob", To: "alice", Cc: "", FromName: "Bob",
				Preview: "Come over.", Attachments: true,
			},
			Envelope: []byte("(envelope)"), BodyStructure: []byte("(structure)"), Parts: []byte{0, 1, 2},
		}
		packed := pack(nil, appendFacts(nil, in))
		var e Email
		if err := unpackEmail(packed, &e); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in.Summary, e.Summary); diff != "" {
			t.Errorf("summary (-want +got):\n%s", diff)
		}
		if string(e.Envelope) != "(envelope)" || string(e.BodyStructure) != "(structure)" || string(e.Parts) != "\x00\x01\x02" {
			t.Errorf("facts are %+v", e)
		}
		var k SortKeys
		if err := unpackSort(packed, &k); err != nil || k.BaseSubject != subject || k.FromName != "Bob" || k.Date.Unix() != -5 {
			t.Errorf("keys are %+v, %v", k, err)
		}
		for n := range len(packed) { // damaged ones are errors, no panics
			if unpackEmail(packed[:n], &e) == nil {
				t.Errorf("the first %d of %d bytes pass", n, len(packed))
			}
		}
	}
}
