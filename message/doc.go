// Package message is the vocabulary of Internet mail: addresses, the envelope,
// header fields, the MIME structure of a message, trace fields, DSNs, and the
// building of small messages. It is not a store and speaks no protocol, and it
// imports nothing of ours.
//
// # How data passes
//
// A received message is an [io.ReaderAt]. [Scan] passes over it once, with one
// fixed buffer, and gives the tree of parts with their offsets and what IMAP
// says of them; [Summarize] adds what an index sorts and shows; the Append
// functions turn the tree into the bytes of IMAP's ENVELOPE and BODYSTRUCTURE.
// [Header] is for those who need the fields themselves.
//
// # Tolerance and bounds
//
// Everything read from outside is taken as it is: bad input never is an error,
// it is understood as far as it goes. Therefore every reader has bounds, and
// what lies beyond them is passed over, not refused: [MaxDepth] levels,
// [MaxParts] parts, [MaxHeader] bytes of one header, 1 MiB of header text kept
// for one message, 8,192 addresses in a field. Only a failing reader is an
// error.
//
// The syntax of RFC 5321 is strict, because there the peer can be told.
//
// # RFCs
//
// 5321 and 6531 (addresses, envelope, Received), 5322 and 6532 (header), 2045
// to 2049, 2183, 2231, 2557, 1864, 3282 (MIME), 9051 and 3501 (ENVELOPE,
// BODYSTRUCTURE), 5256 (base subject, sort keys), 8970 (preview), 3461, 3464,
// 6522, 6533 (DSN), 3834 and 8601 (Auto-Submitted, Authentication-Results).
//
// # Invariants
//
// Of every tree that Scan gives: a child's header and body lie inside its
// parent's body, in order, without overlap; Header.End == Body.Start; a
// multipart has at least one child.
package message
