package mailbox

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// The dictionary is part of the format: changing it loses what was packed.
func TestDictionaryStays(t *testing.T) {
	const want = "37ff97a3179b62d124d5f7f6f6a6037c5da05d1d913e07fb10faa23036f4fea6"
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(packDictionary))); got != want {
		t.Errorf("the dictionary's hash is %s, it was %s", got, want)
	}
}

func TestPack(t *testing.T) {
	for _, s := range []string{
		"", "a", "abc", "abcd", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", strings.Repeat("abcde", 1000),
		packDictionary, packDictionary[len(packDictionary)-9:] + packDictionary[len(packDictionary)-9:] + "x",
		`("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 3730 58 NIL NIL NIL NIL)`,
		"\x00\xff\x00\xff\x00\xff\x00",
	} {
		p := pack(nil, []byte(s))
		got, err := unpack(p, 0)
		if err != nil || string(got) != s {
			t.Errorf("%.40q becomes %.40q, %v", s, got, err)
		}
		for limit := 1; limit < min(len(s), 300); limit++ {
			if got, err := unpack(p, limit); err != nil || string(got) != s[:limit] {
				t.Fatalf("first %d of %.40q are %.40q, %v", limit, s, got, err)
			}
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(nil, []byte(sample)))
	f.Add([]byte{1, 5, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := unpack(b, 0); err == nil {
			again, err := unpack(pack(nil, out), 0)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("%q becomes %q, %v", out, again, err)
			}
		}
	})
}

func BenchmarkPack(b *testing.B) {
	p := benchPlace(b, 0)
	in, err := p.Receive(b.Context(), strings.NewReader(sample))
	p.must(err)
	facts := appendFacts(nil, in)
	packed := pack(nil, facts)
	b.Logf("%d bytes of facts become %d", len(facts), len(packed))
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			packed = pack(packed[:0], facts)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		for b.Loop() {
			if _, err := unpack(packed, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}
