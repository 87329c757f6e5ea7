package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// send submits a message as a mail program would and gives the final reply.
func (d *Demo) send(ctx context.Context, from Person, to string, data []byte) (string, error) {
	conn, err := d.world.Dial(ctx, "tcp", d.App.Addr("submissions").String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	c := smtp.NewClient(tls.Client(conn, d.tls()))
	defer c.Close()
	if err := c.Hello("laptop.home.example"); err != nil {
		return "", err
	}
	if err := c.Auth(sasl.NewPlainClient("", from.Address, from.Password)); err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	if err := c.Mail(from.Address, nil); err != nil {
		return "", err
	}
	if err := c.Rcpt(to, nil); err != nil {
		return "", err
	}
	body, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := body.Write(data); err != nil {
		return "", err
	}
	reply, err := body.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return "250 " + reply.StatusText, c.Quit()
}

// mailProgram reads one INBOX over IMAP.
type mailProgram struct {
	c      *imapclient.Client
	waits  *imapclient.IdleCommand
	exists chan uint32 // every EXISTS that comes unasked
	last   uint32
}

// connect signs in on the implicit TLS port and opens INBOX.
func (p *mailProgram) connect(ctx context.Context, d *Demo, who Person) error {
	conn, err := d.world.Dial(ctx, "tcp", d.App.Addr("imaps").String())
	if err != nil {
		return err
	}
	p.exists = make(chan uint32, 16)
	p.c = imapclient.New(tls.Client(conn, d.tls()), &imapclient.Options{
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{
			Mailbox: func(data *imapclient.UnilateralDataMailbox) {
				if data.NumMessages != nil {
					select {
					case p.exists <- *data.NumMessages:
					default:
					}
				}
			},
		},
	})
	if err := p.c.Login(who.Address, who.Password).Wait(); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	box, err := p.c.Select("INBOX", nil).Wait()
	if err != nil {
		return err
	}
	p.last = box.NumMessages
	return nil
}

func (p *mailProgram) idle() (err error) {
	p.waits, err = p.c.Idle()
	return err
}

// wake waits until IDLE tells of more messages than there were.
func (p *mailProgram) wake(ctx context.Context) (uint32, error) {
	for {
		select {
		case n := <-p.exists:
			if n <= p.last {
				continue
			}
			p.last = n
			return n, errors.Join(p.waits.Close(), p.waits.Wait())
		case <-ctx.Done():
			return 0, fmt.Errorf("IDLE told nothing: %w", ctx.Err())
		}
	}
}

// fetchLast reads the newest message whole.
func (p *mailProgram) fetchLast() ([]byte, error) {
	whole := &imap.FetchItemBodySection{}
	got, err := p.c.Fetch(imap.SeqSetNum(p.last), &imap.FetchOptions{
		Envelope: true, BodySection: []*imap.FetchItemBodySection{whole},
	}).Collect()
	if err != nil {
		return nil, err
	}
	if len(got) != 1 || !strings.HasPrefix(got[0].Envelope.Subject, "Re:") {
		return nil, fmt.Errorf("FETCH gave %d messages, not the answer", len(got))
	}
	return got[0].FindBodySection(whole), nil
}

func (p *mailProgram) close() {
	if p.c != nil {
		p.c.Close()
	}
}
