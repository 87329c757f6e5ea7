package sqlite

import (
	"context"
	"fmt"
)

// pool holds read-only connections, opened when first needed.
type pool struct {
	free chan *conn // nil entries are connections not yet opened
	make func() (*conn, error)
	size int
	shut chan struct{}
}

func (p *pool) open(n int, mk func() (*conn, error)) {
	p.free, p.make, p.size, p.shut = make(chan *conn, n), mk, n, make(chan struct{})
	for range n {
		p.free <- nil
	}
}

func (p *pool) get(ctx context.Context) (*conn, error) {
	var c *conn
	select {
	case c = <-p.free:
	case <-p.shut:
		return nil, ErrClosed
	default:
		select {
		case c = <-p.free:
		case <-p.shut:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for a reader: %w", context.Cause(ctx))
		}
	}
	if c == nil {
		var err error
		if c, err = p.make(); err != nil {
			p.free <- nil
			return nil, err
		}
	}
	return c, nil
}

// hold takes as many connections as come back before ctx ends.
func (p *pool) hold(ctx context.Context) []*conn {
	held := make([]*conn, 0, p.size)
	for len(held) < p.size {
		select {
		case c := <-p.free:
			held = append(held, c)
		case <-ctx.Done():
			return held
		}
	}
	return held
}

func (p *pool) resume(held []*conn) {
	for _, c := range held {
		p.free <- c
	}
}

// close waits for the readers that are out.
func (p *pool) close() {
	close(p.shut)
	for range p.size {
		if c := <-p.free; c != nil {
			c.close()
		}
	}
}

// View runs fn in a short read transaction on a pooled connection: it sees one
// state of the database. fn must not wait for a client, nor call Update.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := db.readers.get(ctx)
	if err != nil {
		return err
	}
	defer func() { db.readers.free <- c }()
	if err := c.run("BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{c: c, ctx: ctx}
	err = tx.call(fn)
	if e := c.run("COMMIT"); e != nil && err == nil {
		err = fmt.Errorf("end of view: %w", e)
	}
	if !c.autocommit() { // never hand an open transaction on
		c.run("ROLLBACK")
	}
	return err
}
