package mailbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestCleanName(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"inbox", "INBOX"},
		{"InBox/Later", "INBOX/Later"},
		{"Inboxes", "Inboxes"},
		{"a/inbox", "a/inbox"},
		{"Work/", "Work"},
		{"Cafe\u0301", "Café"},
		{"a b%*", "a b%*"},
		{"日本語/台北", "日本語/台北"},
		{" ", " "},
		{"", ""},
		{"/", ""},
		{"/a", ""},
		{"a//b", ""},
		{"a//", ""},
		{"../etc", ""},
		{"a/./b", ""},
		{"#news", ""},
		{"a\x00b", ""},
		{"a\nb", ""},
		{"a\u0085b", ""},
		{"a\u2028b", ""},
		{"a\xffb", ""},
		{strings.Repeat("x", 201), ""},
		{strings.Repeat("x/", 32) + "x", ""},
		{strings.Repeat(strings.Repeat("x", 199)+"/", 5) + "x", ""},
	} {
		got, err := cleanName(tt.in)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("cleanName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
		if err != nil && !errors.Is(err, ErrName) {
			t.Errorf("cleanName(%q): %v is not ErrName", tt.in, err)
		}
	}
}

func TestParents(t *testing.T) {
	if got, want := parents("a/b/c"), []string{"a", "a/b"}; !slices.Equal(got, want) {
		t.Errorf("parents = %q, want %q", got, want)
	}
	if got := parents("a"); got != nil {
		t.Errorf("parents of a top level = %q", got)
	}
}

func FuzzCleanName(f *testing.F) {
	f.Add("inbox/a")
	f.Add("e\u0301/\u200d")
	f.Fuzz(func(t *testing.T, s string) {
		once, err := cleanName(s)
		if err != nil {
			return
		}
		if twice, err := cleanName(once); err != nil || twice != once {
			t.Errorf("%q becomes %q, then %q, %v", s, once, twice, err)
		}
	})
}
