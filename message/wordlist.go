package message

import "strings"

// wordList gathers the words of a phrase or local part, one space where there
// was any white space. Most have one word: then nothing is copied.
type wordList struct {
	text   string // the only word, while buf is empty
	buf    []byte
	last   int  // where the last word starts
	any    bool // a word came
	gap    bool // white space came since the last word
	quoted bool
}

func (w *wordList) reset() { *w = wordList{buf: w.buf[:0]} }

func (w *wordList) empty() bool { return w.text == "" && len(w.buf) == 0 }

func (w *wordList) add(s string, quoted bool) {
	w.quoted = w.quoted || quoted
	if !w.any {
		w.text, w.any, w.gap = s, true, false
		return
	}
	if len(w.buf) == 0 {
		w.buf = append(w.buf, w.text...)
	}
	if w.gap {
		if len(w.buf) > 0 {
			w.buf = append(w.buf, ' ')
		}
		w.last = len(w.buf)
	}
	w.gap = false
	w.buf = append(w.buf, s...)
}

// phrase is all words.
func (w *wordList) phrase() string {
	if len(w.buf) == 0 {
		return w.text
	}
	return string(w.buf)
}

// joined is all words as a local part: no white space around dots.
func (w *wordList) joined() string {
	s := w.phrase()
	if w.quoted || strings.IndexByte(s, ' ') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, " .", "."), ". ", ".")
}

// localPart is what stands before "@" without brackets: the last word, with
// those that dots tie to it; words before it are a name.
func (w *wordList) localPart() (name, local string) {
	if len(w.buf) == 0 {
		return "", w.text
	}
	last := w.last
	for last > 1 && (w.buf[last-2] == '.' || last < len(w.buf) && w.buf[last] == '.') {
		i := last - 1
		for i > 0 && w.buf[i-1] != ' ' {
			i--
		}
		last = i
	}
	local = strings.ReplaceAll(string(w.buf[last:]), " ", "")
	if w.quoted && last == w.last { // a quoted string may hold spaces of its own
		local = string(w.buf[last:])
	}
	return strings.TrimRight(string(w.buf[:last]), " "), local
}
