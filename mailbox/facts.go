package mailbox

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"mailstead/message"
)

// Facts are what an email's row says of its message, in one packed column:
//
//	facts = keys envelope structure parts preview, each a uvarint length and bytes
//	keys  = a byte of booleans (1: attachments), the date as varint, then
//	        base subject, from, to, cc, author's name, each like the above
//
// Keys come first, so that sorting need not unpack the rest.

var errFacts = errors.New("damaged facts of a message")

func appendFacts(dst []byte, in *Incoming) []byte {
	dst = slices.Grow(dst, len(in.Envelope)+len(in.BodyStructure)+len(in.Parts)+len(in.Summary.Preview)+keysLength)
	dst = appendBytes(dst, appendKeys(nil, &in.Summary))
	dst = appendBytes(dst, in.Envelope)
	dst = appendBytes(dst, in.BodyStructure)
	dst = appendBytes(dst, in.Parts)
	return appendBytes(dst, in.Summary.Preview)
}

func appendKeys(dst []byte, s *message.Summary) []byte {
	var bits byte
	if s.Attachments {
		bits |= 1
	}
	dst = append(dst, bits)
	dst = binary.AppendVarint(dst, s.Date)
	for _, v := range [...]string{s.BaseSubject, s.From, s.To, s.Cc, s.FromName} {
		dst = appendBytes(dst, v)
	}
	return dst
}

func appendBytes[T []byte | string](dst []byte, v T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	return append(dst, v...)
}

// cutBytes takes a length and that many bytes off b.
func cutBytes(b []byte) (v, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errFacts
	}
	end := n + int(size)
	return b[n:end:end], b[end:], nil
}

// unpackEmail fills e from its facts.
func unpackEmail(packed []byte, e *Email) error {
	b, err := unpack(packed, 0)
	if err != nil {
		return err
	}
	var keys, preview []byte
	for _, part := range [...]*[]byte{&keys, &e.Envelope, &e.BodyStructure, &e.Parts, &preview} {
		if *part, b, err = cutBytes(b); err != nil {
			return err
		}
	}
	var k SortKeys
	if err := parseKeys(keys, &k); err != nil {
		return err
	}
	e.Preview = string(preview)
	e.Summary = message.Summary{
		BaseSubject: k.BaseSubject, From: k.From, To: k.To, Cc: k.Cc, FromName: k.FromName,
		Preview: e.Preview, Attachments: k.Attachments,
	}
	if !k.Date.IsZero() {
		e.Summary.Date = k.Date.Unix()
	}
	return nil
}

// keysLength is how much is unpacked for the keys at first; few need more.
const keysLength = 300

// unpackSort fills k from the beginning of packed facts.
func unpackSort(packed []byte, k *SortKeys) error {
	b, err := unpack(packed, keysLength)
	if err != nil {
		return err
	}
	keys, _, err := cutBytes(b)
	if err != nil {
		if b, err = unpack(packed, 0); err != nil {
			return err
		}
		if keys, _, err = cutBytes(b); err != nil {
			return err
		}
	}
	return parseKeys(keys, k)
}

func parseKeys(b []byte, k *SortKeys) error {
	if len(b) == 0 {
		return errFacts
	}
	k.Attachments = b[0]&1 != 0
	date, n := binary.Varint(b[1:])
	if n <= 0 {
		return errFacts
	}
	if date != 0 {
		k.Date = time.Unix(date, 0).UTC()
	}
	b = b[1+n:]
	all := string(b) // one allocation for all strings
	for _, v := range [...]*string{&k.BaseSubject, &k.From, &k.To, &k.Cc, &k.FromName} {
		field, rest, err := cutBytes(b)
		if err != nil {
			return err
		}
		end := len(all) - len(rest)
		*v, b = all[end-len(field):end], rest
	}
	return nil
}
