// Package backup makes copies of what the server keeps, keeps the right ones, and
// brings them back. There are two kinds:
//
//	snapshot  mailstead.db alone, in the data directory: hourly, and before each
//	          migration. Against damage; the message files lie beside it.
//	backup    everything, in a folder on another disk: a copy of the database, a
//	          list, and a pool of files named by their hashes. Against a lost disk.
//
// It is no archive: what is deleted is gone from the backups that come after. It
// knows files and rows only as far as others let it: mailbox/blob names the files
// of a database, smtp/queue carries what waits, internal/sqlite copies and opens.
//
// A backup's way, through the socket of a server or on the stores themselves:
//
//	Take ─▶ backup.hold ─▶ copy of the database; nothing is unlinked from here on
//	        ─▶ pool: each file that it names and that is not there yet
//	        ─▶ MANIFEST, OBJECTS ─▶ NAME.incomplete becomes NAME ─▶ let go
//
// and back:
//
//	| way back | database is | files are | then |
//	|---|---|---|---|
//	| Restore | the backup's | the backup's, each compared with its hash | the queue is held |
//	| Rehearse | the same in a scratch directory | the same | compared, removed |
//	| OpenAccount | the same | one account's | exported as copies |
//	| Revert | the newest readable snapshot | as they are | |
//	| Back | the snapshot before the last migration | as they are, rows made into files first | the queue is carried over |
//
// Invariants: what has its name is whole and synced, be it an object, a backup or
// a database. A database that is being put back does not open (sqlite.Reverting).
// Whatever puts one back renews the epoch of the message files first, so that the
// next start renews every UIDVALIDITY, sweeps nothing, and finds what the database
// has forgotten.
//
// Encryption is age (C2SP); see docs/decisions/0082-a-passphrase-hides-a-key.md.
package backup
