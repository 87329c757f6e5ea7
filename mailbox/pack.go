package mailbox

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
)

// An email's facts repeat themselves: three address lists that are one, a
// structure made of the same words for everybody. Packed they take less than
// half, which is disk, log and page cache for every message. The packing is
// LZ77 against a fixed dictionary: some microseconds to make, one to read, and
// no tables in memory beside one per program. It is part of the format of the
// database:
//
//	packed  = method length token…
//	method  = one byte: 1 for the dictionary below; another one, another method
//	length  = uvarint, bytes of the original
//	token   = uvarint 2n, then n+1 bytes as they are
//	        | uvarint 2n+1, uvarint d: n+4 bytes again from d+1 bytes before;
//	          the dictionary stands before the first byte
//
// Nothing is packed is the empty string.

const packMethod = 1

var errPacked = errors.New("damaged packed column")

// Lengths of hash tables and match. A match of four bytes costs three. The
// dictionary's table is made once; that of a source is small, since facts are.
const (
	packBits  = 12
	ownBits   = 10
	packMatch = 4
)

// packDictionaryTable finds the dictionary's strings: the position after the last
// occurrence of a hash, 0 for none.
var packDictionaryTable = sync.OnceValue(func() *[1 << packBits]int32 {
	t := new([1 << packBits]int32)
	for i := 0; i+packMatch <= len(packDictionary); i++ {
		t[packHash(packDictionary[i], packDictionary[i+1], packDictionary[i+2], packDictionary[i+3])] = int32(i + 1)
	}
	return t
})

func packHash(a, b, c, d byte) uint32 {
	x := uint32(a) | uint32(b)<<8 | uint32(c)<<16 | uint32(d)<<24
	return x * 2654435761 >> (32 - packBits)
}

// pack appends the packed form of src.
func pack(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	dst = append(slices.Grow(dst, len(src)/2+packMatch), packMethod)
	dst = binary.AppendUvarint(dst, uint64(len(src)))
	dictionary := packDictionaryTable()
	var own [1 << ownBits]int32 // as the dictionary's
	start := 0                  // of bytes not yet written
	for i := 0; i+packMatch <= len(src); {
		h := packHash(src[i], src[i+1], src[i+2], src[i+3])
		slot := &own[h>>(packBits-ownBits)]
		at, n := len(packDictionary)+int(*slot)-1, 0
		if *slot != 0 && src[*slot-1] == src[i] {
			n = sameBytes(src, at, i)
		}
		if d := int(dictionary[h]) - 1; n < packMatch && d >= 0 && packDictionary[d] == src[i] {
			at, n = d, sameBytes(src, d, i)
		}
		*slot = int32(i + 1)
		if n < packMatch {
			i++
			continue
		}
		dst = appendLiteral(dst, src[start:i])
		dst = binary.AppendUvarint(dst, uint64(n-packMatch)<<1|1)
		dst = binary.AppendUvarint(dst, uint64(len(packDictionary)+i-at-1))
		for start = i + n; i < start; i++ {
			if i+packMatch <= len(src) {
				own[packHash(src[i], src[i+1], src[i+2], src[i+3])>>(packBits-ownBits)] = int32(i + 1)
			}
		}
	}
	return appendLiteral(dst, src[start:])
}

// sameBytes counts how far what stands at a position of dictionary and source
// together equals the source from i on.
func sameBytes(src []byte, at, i int) int {
	n := 0
	for at+n < len(packDictionary) && i+n < len(src) && packDictionary[at+n] == src[i+n] {
		n++
	}
	if at+n < len(packDictionary) {
		return n
	}
	for at -= len(packDictionary); i+n < len(src) && src[at+n] == src[i+n]; {
		n++
	}
	return n
}

func appendLiteral(dst, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(b)-1)<<1)
	return append(dst, b...)
}

// maxPacked bounds what a damaged column can make unpack allocate. The largest
// original is a structure of 1,000 parts with their envelopes.
const maxPacked = 64 << 20

// unpack gives the original, or its first limit bytes when limit is not 0.
func unpack(src []byte, limit int) ([]byte, error) {
	if len(src) == 0 {
		return nil, nil
	}
	if src[0] != packMethod {
		return nil, errPacked
	}
	size, n := binary.Uvarint(src[1:])
	if n <= 0 || size > maxPacked {
		return nil, errPacked
	}
	want := int(size)
	if limit > 0 {
		want = min(want, limit)
	}
	out := make([]byte, 0, want)
	src = src[1+n:]
	for len(out) < want {
		token, n := binary.Uvarint(src)
		if n <= 0 || token>>1 > maxPacked {
			return nil, errPacked
		}
		src = src[n:]
		if token&1 == 0 {
			k := int(token>>1) + 1
			if k > len(src) {
				return nil, errPacked
			}
			out = append(out, src[:min(k, want-len(out))]...)
			src = src[k:]
			continue
		}
		back, n := binary.Uvarint(src)
		if n <= 0 || back >= uint64(len(out)+len(packDictionary)) {
			return nil, errPacked
		}
		src = src[n:]
		out = appendMatch(out, int(back)+1, min(int(token>>1)+packMatch, want-len(out)))
	}
	return out, nil
}

// appendMatch repeats n bytes from back bytes before the end, which may lie in
// the dictionary, and may overlap what it makes.
func appendMatch(out []byte, back, n int) []byte {
	if at := len(packDictionary) + len(out) - back; at < len(packDictionary) {
		k := min(n, len(packDictionary)-at)
		out = append(out, packDictionary[at:at+k]...)
		n -= k
	}
	out = slices.Grow(out, n)
	for from := len(out) - back; n > 0; n-- {
		out = append(out, out[from])
		from++
	}
	return out
}

// packDictionary is what facts and prefixes are made of, the most frequent last.
// It must never change: what is kept was packed with it.
const packDictionary = `("application" "octet-stream" ("name" "` + `") NIL NIL "base64" ` +
	`("application" "pdf" ("name" "` + `.pdf") ("attachment" ("filename" "` + `")) NIL NIL)` +
	`("application" "vnd.openxmlformats-officedocument.wordprocessingml.document" ("name" "` + `.docx") ` +
	`("application" "vnd.openxmlformats-officedocument.spreadsheetml.sheet" ("name" "` + `.xlsx") ` +
	`("application" "msword" ("application" "zip" ("application" "ics" ("text" "calendar" ("charset" "utf-8" "method" "REQUEST") ` +
	`("application" "pgp-signature" ("name" "signature.asc") NIL "OpenPGP digital signature" "7bit" ` +
	`("application" "pkcs7-signature" ("name" "smime.p7s") NIL NIL "base64" ("attachment" ("filename" "smime.p7s")) NIL NIL)` +
	` "signed" ("protocol" "application/pgp-signature" "micalg" "pgp-sha256" "boundary" "` +
	` "report" ("report-type" "delivery-status" "boundary" "` + `("message" "delivery-status" NIL NIL NIL "7bit" ("message" "rfc822" NIL NIL NIL "7bit" ` +
	`("audio" "mpeg" ("video" "mp4" ("image" "gif" ("name" "` + `.gif") "<` + `>" NIL "base64" ("inline" ("filename" "` +
	`("image" "jpeg" ("name" "` + `.jpg") ("image" "png" ("name" "image001.png") "<image001.png@` + `>" "image001.png" "base64" ` +
	`("text" "plain" ("charset" "iso-8859-1") NIL NIL "quoted-printable" ("text" "plain" ("charset" "us-ascii" "format" "flowed" "delsp" "yes") ` +
	`("text" "plain" ("charset" "windows-1252") ("text" "html" ("charset" "iso-8859-1") NIL NIL "base64" ("text" "html" ("charset" "us-ascii") NIL NIL "7bit" ` +
	`("text" "plain" ("charset" "UTF-8" "format" "flowed") NIL NIL "8bit" ("text" "html" ("charset" "UTF-8") NIL NIL "8bit" ` +
	` NIL NIL NIL NIL) "related" ("type" "multipart/alternative" "boundary" "----=_Part_` + `") NIL NIL NIL) "mixed" ("boundary" "----=_NextPart_000_` +
	`") NIL NIL NIL)(("text" "plain" ("charset" "utf-8") NIL NIL "base64" ("text" "html" ("charset" "utf-8") NIL NIL "base64" ` +
	`(("text" "plain" ("charset" "UTF-8") NIL NIL "quoted-printable" ("text" "html" ("charset" "UTF-8") NIL NIL "quoted-printable" ` +
	`(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" ` + ` NIL NIL NIL NIL)("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" ` +
	` NIL NIL NIL NIL) "alternative" ("boundary" "` + `--_000_` + `0000000000` + `_av-` + `=_` + `") NIL NIL NIL)` +
	"Authentication-Results: mail.example.org;\r\n\tspf=pass smtp.mailfrom=" + "\r\n\tdkim=pass header.d=" + " header.s=" + " header.b=" + "\r\n\tdmarc=pass (p=reject) header.from=" +
	"X-Mailstead-Verdict: deliver" + "Delivered-To: " + "\r\nReturn-Path: <" + ">\r\nReceived: from mail-" + ".outbound.protection.outlook.com (" + ".google.com (mail-" + " [127.0.0.1])\r\n\tby mx." +
	" with ESMTPS (TLSv1.3) id " + " with ESMTPSA (TLSv1.3) id " + " with ESMTP id " + "\r\n\tfor <" + ">;\r\n\tMon, Tue, Wed, Thu, Fri, Sat, Sun, " +
	"https://www." + " you your the and for this with that from have are not will can our has was please email message " +
	`=?iso-8859-1?Q?` + `=?UTF-8?B?` + `=?utf-8?Q?` + `?= ` + `@hotmail.com` + `@outlook.com` + `@yahoo.com` + `@googlemail.com` + `@example.org` + `@gmail.com` +
	`.mail.gmail.com>")` + `.prod.outlook.com>")` + `"noreply" "` + `no-reply` + `newsletter` + `support` + `" "gmail.com")) ((NIL NIL "info" "` +
	` -0800 (PST)" ` + ` -0700 (PDT)" ` + ` -0500" ` + ` -0400" ` + ` +0100" ` + ` +0200" ` + ` (UTC)" ` + ` GMT" ` +
	`("Mon, 1` + ` Jan 2025 ` + `("Tue, 2` + ` Feb 2026 ` + `("Wed, 3` + ` Mar 2027 ` + `("Thu, ` + ` Apr 2024 ` + `("Fri, ` + ` May 2023 ` + `("Sat, ` + ` Jun 20` + `("Sun, ` +
	` Jul 20` + ` Aug 20` + ` Sep 20` + ` Oct 20` + ` Nov 20` + ` Dec 20` + ` +0000" "Re: ` + `Fwd: ` +
	`")) NIL NIL "<` + `>" "<` + `.com")) ((NIL NIL "` + `.org")) NIL NIL NIL "<` + `" (("` + `" NIL "` + `" "` + `")) (("` + `")) ((NIL NIL "` + `")) NIL NIL NIL "<`
