// Package importer brings mail from files into the store and takes it out again:
// mbox, Maildir, and files of single messages. It is not a door: who may do so,
// and where the files are, is said by internal/control and the command line.
//
//	files ─▶ Source ─▶ Encoder ─▶ control socket ─▶ Decoder ─▶ Importer ─▶ mailbox
//	files ◀─ Writer ◀─ Decoder ◀─ control socket ◀─ Encoder ◀─ Export   ◀─ mailbox
//
// The left half runs as the person who typed the command, the right half where
// the stores are; without a running server both run in one process.
//
// What holds:
//   - bytes are kept, apart from line ends: a bare LF becomes CRLF, nothing else
//     changes (a lone CR stays), so that FETCH gives the CRLF form of the source;
//   - an import may be broken off at any point and run again: what was imported
//     is remembered in the commit that kept it, and passed over;
//   - messages go in by some dozens to a commit, so that the doors' commits come
//     in between, and in memory there are never more than a few MiB of them;
//   - one message that cannot be read is reported and counted, the rest goes on.
//
// RFC 4155 (mbox), RFC 9051 (flags, keywords, names).
package importer

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the room's migrations.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Item is one message on its way in or out.
type Item struct {
	Mailbox  string
	Flags    mailbox.Flags
	Keywords []string
	Received time.Time // INTERNALDATE; zero when nothing tells it
	Origin   string    // where it comes from, for people: "old.mbox, message 17"
	Content  io.Reader // the message with CRLF line ends

	// On the way out:
	UIDValidity, UID uint32
	CRLF             bool // a line ends in CR CR LF: with LF alone one CR would be lost
}

// Result is what an import has done so far.
type Result struct {
	Imported int64    `json:"imported"`
	Present  int64    `json:"present"` // imported before
	Failed   int64    `json:"failed"`
	Bytes    int64    `json:"bytes"` // of the imported
	Problems []string `json:"problems,omitempty"`
}

// maxProblems are told one by one; all are counted.
const maxProblems = 50

// Fail counts a message that cannot be imported.
func (r *Result) Fail(origin string, err error) {
	r.Failed++
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf("%s: %v", origin, err))
	}
}

// Importer puts items into the mailboxes of accounts.
type Importer struct {
	DB   *sqlite.DB
	Mail *mailbox.Store
}

// Limits of one commit.
const (
	batchItems = 64
	batchBytes = 4 << 20
)

// Options of an import.
type Options struct {
	Again    bool         // bring also what was imported before
	Progress func(Result) // called after each commit
}

// Import takes items until next gives io.EOF. An error of next ends it; what was
// taken by then is kept. Errors: mailbox.ErrOverQuota, with what fitted kept.
func (im *Importer) Import(ctx context.Context, account int64, next func() (*Item, error), o Options) (Result, error) {
	r := run{Importer: im, ctx: ctx, account: account, o: o, seen: map[sameMessage]uint32{}, boxes: map[string]box{}}
	err := r.take(next)
	if e := r.wait(); err == nil {
		err = e
	}
	if err == nil {
		r.start()
		err = r.wait()
	}
	r.drop()
	return r.result, err
}

// Forget drops what is remembered of an account's imports.
func (im *Importer) Forget(tx *sqlite.Tx, account int64) error {
	_, err := tx.Exec(`DELETE FROM import_done WHERE account = ?`, account)
	return err
}

// key tells one imported message.
type key [16]byte

// sameMessage is equal bytes in one mailbox.
type sameMessage struct {
	mailbox int64
	sum     key
}

// run is one import. While one batch is committed, the next is read.
type run struct {
	*Importer
	ctx     context.Context
	account int64
	o       Options
	seen    map[sameMessage]uint32 // how often it came in this run
	boxes   map[string]box
	batch   []arrived
	bytes   int64
	pending chan Result // of the batch that is being committed
	err     error       // of the last batch
	result  Result
}

// box is a mailbox that items go to, or why there is none.
type box struct {
	id  int64
	err error
}

// arrived is a message that was read, not yet kept.
type arrived struct {
	in     *mailbox.Incoming
	place  mailbox.Placing
	key    key
	origin string
}

func (r *run) take(next func() (*Item, error)) error {
	for {
		it, err := next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("import: %w", err)
		}
		if err := r.arrive(it); err != nil {
			return err
		}
		if len(r.batch) < batchItems && r.bytes < batchBytes {
			continue
		}
		if err := r.wait(); err != nil {
			return err
		}
		r.start()
	}
}

// arrive reads one item into the batch.
func (r *run) arrive(it *Item) error {
	b := r.box(it.Mailbox)
	if b.err != nil {
		r.result.Fail(it.Origin, b.err)
		return nil
	}
	in, err := r.Mail.Receive(r.ctx, it.Content)
	var bad *ItemError
	switch {
	case errors.As(err, &bad):
		r.result.Fail(it.Origin, bad)
		return nil
	case err != nil:
		return fmt.Errorf("import %s: %w", it.Origin, err)
	}
	received := it.Received
	if received.IsZero() && in.Summary.Date > 0 {
		received = time.Unix(in.Summary.Date, 0)
	}
	r.batch = append(r.batch, arrived{
		in: in, key: r.keyOf(it.Mailbox, b, in.Draft.SHA256()), origin: it.Origin,
		place: mailbox.Placing{Mailbox: b.id, Flags: it.Flags, Keywords: it.Keywords, Received: received},
	})
	r.bytes += in.Draft.Size()
	return nil
}

// keyOf counts how often the bytes came into the mailbox, so that two equal
// messages of the source stay two.
func (r *run) keyOf(name string, b box, sum [sha256.Size]byte) key {
	same := sameMessage{b.id, key(sum[:16])}
	n := r.seen[same]
	r.seen[same] = n + 1
	h := sha256.New()
	io.WriteString(h, name)
	h.Write(binary.BigEndian.AppendUint32([]byte{0}, n))
	h.Write(sum[:])
	return key(h.Sum(nil)[:16])
}

// box finds or makes the mailbox of a name, and subscribes to it.
func (r *run) box(name string) box {
	if b, ok := r.boxes[name]; ok {
		return b
	}
	m, err := r.Mail.Mailbox(r.ctx, r.account, name)
	if errors.Is(err, mailbox.ErrNotExist) {
		if m, err = r.Mail.Create(r.ctx, r.account, name, ""); err == nil {
			err = r.Mail.Subscribe(r.ctx, r.account, name, true)
		}
	}
	b := box{m.ID, err}
	r.boxes[name] = b
	return b
}
