package imap

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// utf8Reader turns text in a charset into UTF-8. What is not known, or claims
// to be ASCII or UTF-8, goes through as it is.
func utf8Reader(r io.Reader, charset string) io.Reader {
	switch charset = strings.ToLower(charset); charset {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
		return r
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return r
	}
	return e.NewDecoder().Reader(r)
}

// lower folds case, in place where the text is ASCII.
func lower(b []byte) []byte {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return bytes.ToLower(b)
		}
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// wholeRunes gives the length of b without a character that is cut off at its
// end.
func wholeRunes(b []byte) int {
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}
