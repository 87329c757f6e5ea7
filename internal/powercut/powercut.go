// Package powercut proves that nothing acknowledged is lost. It reads what the
// kernel was asked to do (a record by strace of the running server), keeps a
// disk in memory that forgets what was not synced, and says
//
//   - whether every reply of success came after the syncs that it promises (Order),
//   - what the data directory may look like when the power goes at any point (Disk.Cut).
//
// The tests of this package run the real program under load: sync order, power
// cuts, kills, faults, and the same again on builds that leave one sync out,
// which must be caught. It is no part of the server, imports no room of ours
// and knows the server by its command line, its doors and its files only.
//
// # The disk
//
// The disk is as bad as POSIX allows a good one to be:
//
//	what                          is safe after
//	bytes written to a file       a sync of that file that began after the write ended
//	a name (create, link, rename) a sync of its folder that began after it ended
//	a new folder                  the same, of its parent; without it all below is lost
//	anything else                 nothing: it may be there, or not, or torn at 512 bytes
//
// A rename is one step: the new name holds the old file or the new, never none.
// Unsynced steps are kept or dropped each by chance, so a later one can survive
// an earlier one. Memory-mapped files (SQLite's -shm) carry no promise and come
// back empty.
package powercut
