package maillog

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"250 2.0.0 ok":              "250 2.0.0 ok",
		"two\r\nlines":              "two lines",
		"\x1b[31mred\x07":           "�[31mred�",
		"bad \xff byte":             "bad � byte",
		"grüße":                     "grüße",
		"over\u202eride":            "over�ride",
		"0123456789012345678901234": "01234567890123456789…",
		"0123456789012345678é":      "0123456789012345678…",
	} {
		if got := Clean(in, 20); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLogHasFixedKeysOnOneLine(t *testing.T) {
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	Sinks{Log{slog.New(h)}}.Record(Event{
		Kind: Deferred, CID: "c1", MID: "m1", QID: 7, Remote: netip.MustParseAddr("192.0.2.1"),
		Rcpt: "a@b.test", Reply: "451 4.7.1 wait\r\nINJECTED level=ERROR", Dur: time.Second, Err: "timeout",
	})
	want := `level=WARN msg=deferred cid=c1 mid=m1 qid=7 remote=192.0.2.1 rcpt=a@b.test ` +
		`reply="451 4.7.1 wait INJECTED level=ERROR" dur=1s err=timeout` + "\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}
