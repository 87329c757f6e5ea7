package control

import (
	"context"
	"errors"

	"mailstead/acme"
	"mailstead/internal/sqlite"
)

// Certificates are what a server shows, and where new ones come from.
type Certificates struct {
	Settings acme.Settings `json:"settings"`
	Running  bool          `json:"running"` // a server; without one the rest is not known
	Names    []acme.Status `json:"names,omitempty"`
	TLSA     []string      `json:"tlsa,omitempty"` // of the host: key in use, next key
	Account  string        `json:"account_uri,omitempty"`
	Issuer   string        `json:"caa_issuer,omitempty"`
}

// CertificateChange is what certificate.set takes; nil leaves a thing as it is.
type CertificateChange struct {
	Enabled   *bool   `json:"enabled,omitempty"`
	CA        *string `json:"ca,omitempty"`
	Staging   *string `json:"staging,omitempty"`
	Roots     *string `json:"roots,omitempty"` // PEM
	Email     *string `json:"email,omitempty"`
	Challenge *string `json:"challenge,omitempty"`
	KeyDays   *int    `json:"key_days,omitempty"`
}

// CertificateNames is what certificate.obtain and certificate.roll take.
type CertificateNames struct {
	Names []string `json:"names,omitempty"` // none is all
	Again bool     `json:"again,omitempty"` // new ones, though the old are good
}

func (o *Ops) certificateShow(ctx context.Context, _ None) (Certificates, error) {
	var out Certificates
	if err := o.Accounts.Setting(ctx, acme.SettingName, &out.Settings); err != nil {
		return out, err
	}
	if o.Certificates == nil {
		return out, nil
	}
	out.Running, out.Names = true, o.Certificates.Status()
	out.Account, out.Issuer = o.Certificates.AccountURI(), o.Certificates.CAIssuer()
	var err error
	out.TLSA, err = o.Certificates.TLSA(out.Names[0].Name)
	return out, err
}

func (o *Ops) certificateSet(ctx context.Context, in CertificateChange) (Certificates, error) {
	var set acme.Settings
	if err := o.Accounts.Setting(ctx, acme.SettingName, &set); err != nil {
		return Certificates{}, err
	}
	take(&set.Enabled, in.Enabled)
	take(&set.CA, in.CA)
	take(&set.Staging, in.Staging)
	take(&set.Roots, in.Roots)
	take(&set.Email, in.Email)
	take((*string)(&set.Challenge), in.Challenge)
	take(&set.KeyDays, in.KeyDays)
	if err := set.Check(); err != nil {
		return Certificates{}, invalid("", "%v", err)
	}
	err := o.DB.Update(ctx, func(tx *sqlite.Tx) error { return o.Accounts.SetSetting(tx, acme.SettingName, set) })
	if err == nil && o.Certify != nil {
		err = o.Certify(ctx)
	}
	if err != nil {
		return Certificates{}, err
	}
	return o.certificateShow(ctx, None{})
}

// take sets what was given.
func take[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// certificateObtain waits until all are there or have failed; the names tell
// which. A name without one is no error of the operation.
func (o *Ops) certificateObtain(ctx context.Context, in CertificateNames) (Certificates, error) {
	if err := o.ready(ctx); err != nil {
		return Certificates{}, err
	}
	err := o.Certificates.Obtain(ctx, in.Again, in.Names...)
	var known *acme.Problem
	if err != nil && !errors.As(err, &known) {
		return Certificates{}, certificateTrouble(err)
	}
	return o.certificateShow(ctx, None{})
}

func (o *Ops) certificateRoll(ctx context.Context, in CertificateNames) (Certificates, error) {
	if err := o.ready(ctx); err != nil {
		return Certificates{}, err
	}
	for _, name := range in.Names {
		if err := o.Certificates.Roll(ctx, name); err != nil {
			return Certificates{}, certificateTrouble(err)
		}
	}
	return o.certificateShow(ctx, None{})
}

// ready sees to it that the server works by the settings and domains of now.
func (o *Ops) ready(ctx context.Context) error {
	if o.Certificates == nil {
		return &Error{Kind: Busy, Text: "no server runs, and only a server can get certificates", Next: "start it: systemctl start mailstead"}
	}
	return o.Certify(ctx)
}

func certificateTrouble(err error) error {
	var problem *acme.Problem
	var held *acme.HeldBackError
	switch {
	case errors.As(err, &problem):
		return &Error{Kind: Failed, Text: problem.Sentence, Next: problem.Fix}
	case errors.As(err, &held):
		return &Error{Kind: Busy, Text: held.Error(), Next: held.Hint()}
	case errors.Is(err, acme.ErrOff):
		return invalid("`mailstead certificate set --on` switches them on", "%v", err)
	case errors.Is(err, acme.ErrUnknown):
		return &Error{Kind: NotFound, Text: err.Error(), Next: "`mailstead certificate list` shows the names"}
	}
	return err
}
