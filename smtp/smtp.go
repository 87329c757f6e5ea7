// Package smtp is the protocol: bytes, grammar, state, timeouts and replies of
// the server's side. It knows no DNS, no accounts, no settings, no store; what
// a door decides comes through Backend, Session and Transaction.
//
// RFC 5321, with PIPELINING (2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8
// (6531), CHUNKING (3030), ENHANCEDSTATUSCODES (2034, 3463), LIMITS (9422), DSN
// (3461), STARTTLS (3207), AUTH (4954).
//
// # How data passes
//
// A Server is a listen.Handler. One goroutine serves a connection. Replies
// gather in a buffer that is sent before the connection is read again, so a
// group of pipelined commands costs one read and one write. The octets of a
// message flow from the input buffer through Transaction.Data and are never
// held whole.
//
// # States
//
//	state        begins with            ends with
//	connected    greeting               EHLO, HELO
//	greeted      EHLO, HELO             MAIL; STARTTLS leads back to connected
//	transaction  MAIL                   RSET, EHLO, HELO, QUIT, STARTTLS, a lost
//	                                    connection, the reply after the message
//	data         DATA                   CRLF.CRLF or the end of the connection
//	chunks       first BDAT             BDAT LAST, or what ends a transaction
//
// # Invariants
//
// The end of a transaction drops the whole Transaction; nothing of it is seen
// by the next one. A second MAIL is refused (503) and changes nothing.
//
// A positive reply after a message is only given when the Transaction has read
// the message to its io.EOF. A message cut short, by DATA or by BDAT, ends the
// connection; its octets are never run as commands.
//
// A message is read to its end before it is refused, up to twice the size limit.
//
// What reaches the peer is a Reply that was meant for it. Any other error is
// logged here, once, and answered with a constant text.
//
// # Line ends
//
// Only CRLF.CRLF ends DATA. A bare CR or LF in a message is refused with 550
// 5.6.0 where Strict is set, under DATA and BDAT alike, so that no relay before
// us can read a message's end where we see none; without Strict the octets pass
// as they came, for the door to mend. A line of a message may have any length:
// it is streamed, and senders of long lines are common. Command lines are
// bounded (RFC 5321, 4.5.3.1.4, with room for parameters) and may end in a bare
// LF, which people's tools send; a bare CR in one is refused.
package smtp
