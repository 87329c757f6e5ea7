package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailstead/internal/sqlite"
)

// count gives 1 when the flag is there, for counters.
func (f Flags) count(flag Flags) int64 {
	if f&flag != 0 {
		return 1
	}
	return 0
}

// spelled are the registered keywords in their registered spelling (RFC 8621,
// 10.4, RFC 5550, 2.8): keywords are equal whatever their case, and programs
// differ in it.
var spelled = [...]string{"$Forwarded", "$MDNSent", "$SubmitPending", "$Submitted", "$Junk", "$NotJunk", "$Phishing", "$Important"}

func spell(keyword string) string {
	if strings.HasPrefix(keyword, "$") {
		for _, k := range spelled {
			if strings.EqualFold(k, keyword) {
				return k
			}
		}
	}
	return keyword
}

// Limits of keywords. RFC 9051 leaves them to the server; every list is compared
// in the writer.
const (
	maxKeywords = 100 // of one message
	maxKeyword  = 200 // bytes
)

// cleanKeywords gives keywords in the form they are kept in: sorted, each once.
// Errors: ErrKeywords.
func cleanKeywords(list []string) ([]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) > 2*maxKeywords { // before the comparisons
		return nil, ErrKeywords
	}
	var out []string
	for _, k := range list {
		if k = spell(k); k != "" && !hasKeyword(out, k) {
			out = append(out, k)
		}
		if len(k) > maxKeyword || strings.ContainsAny(k, " \t\r\n") || len(out) > maxKeywords {
			return nil, ErrKeywords
		}
	}
	slices.Sort(out)
	return out, nil
}

func hasKeyword(list []string, k string) bool {
	return slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, k) })
}

func joinKeywords(list []string) (string, error) {
	clean, err := cleanKeywords(list)
	return strings.Join(clean, " "), err
}

// FlagOp is what SetFlags does.
type FlagOp int

const (
	ReplaceFlags FlagOp = iota
	AddFlags
	RemoveFlags
)

// apply gives flags and keywords after the operation; set is clean.
func (op FlagOp) apply(old Flags, oldWords string, f Flags, set []string) (Flags, string, error) {
	switch op {
	case AddFlags:
		if len(set) == 0 {
			return old | f, oldWords, nil
		}
		words, err := joinKeywords(append(strings.Fields(oldWords), set...))
		return old | f, words, err
	case RemoveFlags:
		if len(set) > 0 && oldWords != "" {
			oldWords = strings.Join(slices.DeleteFunc(strings.Fields(oldWords), func(k string) bool { return hasKeyword(set, k) }), " ")
		}
		return old &^ f, oldWords, nil
	default:
		return f, strings.Join(set, " "), nil
	}
}

// SetFlags changes flags of the given UIDs (ascending; unknown ones ignored),
// in chunks of 1,000. unchangedSince 0 means no condition (RFC 7162); UIDs that
// failed it are returned. A message that already is as wanted keeps its
// mod-sequence. Errors: ErrNotExist, ErrKeywords.
func (s *Store) SetFlags(ctx context.Context, mailbox int64, uids []uint32, op FlagOp, f Flags, keywords []string, unchangedSince uint64) (failed []uint32, err error) {
	change := flagChange{mailbox: mailbox, op: op, flags: f, since: unchangedSince}
	if change.keywords, err = cleanKeywords(keywords); err != nil {
		return nil, fmt.Errorf("set flags: %w", err)
	}
	chunks, err := s.chunks(ctx, mailbox, uids, s.chunk)
	for i := 0; err == nil && i < len(chunks); i++ {
		var bad []uint32
		bad, err = update(ctx, s.db, func(tx *sqlite.Tx) ([]uint32, error) { return s.setFlags(tx, change, chunks[i]) })
		failed = append(failed, bad...)
		if err == nil {
			err = ctx.Err()
		}
	}
	if err != nil {
		return failed, fmt.Errorf("set flags: %w", err)
	}
	return failed, nil
}

// flagChange is one SetFlags.
type flagChange struct {
	mailbox  int64
	op       FlagOp
	flags    Flags
	keywords []string
	since    uint64
}

// flagRun is UIDs in a row that get the same flags.
type flagRun struct {
	first, last uint32
	flags       Flags
	keywords    string
}

func (s *Store) setFlags(tx *sqlite.Tx, c flagChange, spans []span) (failed []uint32, err error) {
	var runs []flagRun
	var unseen, deleted int64
	for _, sp := range spans {
		rows, err := tx.Query(`SELECT uid, flags, keywords, modseq FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`, c.mailbox, sp.first, sp.last)
		if err != nil {
			return nil, err
		}
		joins := false // the row before, in this span, belongs to the last run
		for rows.Next() {
			var uid uint32
			var bits, modseq int64
			var words string
			if err := rows.Scan(&uid, &bits, &words, &modseq); err != nil {
				return nil, err
			}
			old := Flags(bits)
			if c.since > 0 && uint64(modseq) > c.since {
				failed, joins = append(failed, uid), false
				continue
			}
			flags, keywords, err := c.op.apply(old, words, c.flags, c.keywords)
			if err != nil {
				return nil, err
			}
			if flags == old && keywords == words {
				joins = false
				continue
			}
			unseen += old.count(Seen) - flags.count(Seen)
			deleted += flags.count(Deleted) - old.count(Deleted)
			if last := len(runs) - 1; joins && runs[last].flags == flags && runs[last].keywords == keywords {
				runs[last].last = uid
			} else {
				runs = append(runs, flagRun{uid, uid, flags, keywords})
			}
			joins = true
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	if len(runs) == 0 {
		return failed, nil
	}
	return failed, s.writeFlags(tx, c.mailbox, runs, unseen, deleted)
}

func (s *Store) writeFlags(tx *sqlite.Tx, mailbox int64, runs []flagRun, unseen, deleted int64) error {
	var account, modseq int64
	err := tx.QueryRow(`UPDATE mailbox SET modseq = modseq + 1, unseen = unseen + ?, deleted = deleted + ?
		WHERE id = ? AND state = 0 RETURNING account, modseq`, unseen, deleted, mailbox).Scan(&account, &modseq)
	if errors.Is(err, sqlite.ErrNoRows) {
		return ErrNotExist
	}
	if err != nil {
		return err
	}
	for _, r := range runs {
		_, err := tx.Exec(`UPDATE placement SET flags = ?, keywords = ?, modseq = ? WHERE mailbox = ? AND uid BETWEEN ? AND ?`,
			int64(r.flags), r.keywords, modseq, mailbox, r.first, r.last)
		if err != nil {
			return err
		}
	}
	s.announce(tx, account, mailbox, uint64(modseq))
	return nil
}
