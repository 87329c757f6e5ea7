package control

import (
	"context"
	"encoding/json"
	"io"

	"mailstead/mailbox/importer"
)

// ImportMail asks for an import into an account; the messages follow as a stream
// of importer.Encoder. The answer is lines of JSON, each an importer.Result as
// far as it is by then, the last one the whole.
type ImportMail struct {
	Address string `json:"address"`
	Again   bool   `json:"again,omitempty"` // bring also what was imported before
}

func (o *Ops) importMail(ctx context.Context, in ImportMail, r io.Reader, w io.Writer) error {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(w)
	var lost error
	im := importer.Importer{DB: o.DB, Mail: o.Mail}
	res, err := im.Import(ctx, a.ID, importer.NewDecoder(r).Next, importer.Options{
		Again: in.Again,
		Progress: func(p importer.Result) {
			p.Problems = nil
			if e := lines.Encode(p); lost == nil {
				lost = e
			}
		},
	})
	if e := lines.Encode(res); lost == nil {
		lost = e
	}
	if err == nil {
		err = lost
	}
	return err
}

// ExportMail asks for an account's mail, as a stream of importer.Encoder.
type ExportMail struct {
	Address   string   `json:"address"`
	Mailboxes []string `json:"mailboxes,omitempty"` // with what is below them; none means all
}

func (o *Ops) exportMail(ctx context.Context, in ExportMail, _ io.Reader, w io.Writer) error {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return err
	}
	return importer.Export(ctx, o.Mail, a.ID, in.Mailboxes, importer.NewEncoder(w))
}
