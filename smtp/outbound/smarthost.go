package outbound

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// SmartHostSetting is where a SmartHost is kept among account's settings.
const SmartHostSetting = "outbound/smarthost"

// SmartHost is one server that takes all mail. TLS with a valid certificate is
// demanded, always: without it mail waits. AUTH PLAIN or LOGIN follows when
// Username is set.
type SmartHost struct {
	Host        string `json:"host"`
	Port        int    `json:"port,omitempty"`         // 0 means 587, or 465 with ImplicitTLS
	ImplicitTLS bool   `json:"implicit_tls,omitempty"` // RFC 8314
	Username    string `json:"username"`
	Password    string `json:"password"`
}

func (o *Outbound) smartHost(ctx context.Context) (*SmartHost, error) {
	if o.SmartHost == nil {
		return nil, nil
	}
	return o.SmartHost(ctx)
}

func (s *SmartHost) host() host { return host{name: s.Host, port: s.port(), smart: s} }

func (s *SmartHost) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.ImplicitTLS:
		return 465
	}
	return 587
}

// login stands for the credentials where they must not be told.
func (s *SmartHost) login() string {
	sum := sha256.Sum256([]byte(s.Username + "\x00" + s.Password))
	return hex.EncodeToString(sum[:8])
}

// Why a smart host cannot be used, for who asks Try.
var (
	ErrSmartHostName  = errors.New("its name leads nowhere")
	ErrSmartHostReach = errors.New("it does not answer")
	ErrSmartHostTLS   = errors.New("it offers no TLS that can be trusted")
	ErrSmartHostAuth  = errors.New("it does not take these credentials")
)

// Try connects to a smart host, encrypts, signs in and leaves, sending nothing.
// Errors wrap one of ErrSmartHostName, Reach, TLS, Auth.
func (o *Outbound) Try(ctx context.Context, s SmartHost) error {
	h := s.host()
	addrs, end := o.addresses(ctx, h)
	if end != nil {
		return fmt.Errorf("%w: %s", ErrSmartHostName, end.Reason)
	}
	policy, err := o.policy(ctx, "", h)
	if err != nil {
		return err
	}
	for _, at := range addrs[:min(len(addrs), maxAddresses)] {
		var c *conn
		if c, err = o.open(ctx, h, at, policy, false); err == nil {
			c.quit()
			return nil
		}
		var se *sessionError
		if errors.As(err, &se) && (se.tls || se.step == "AUTH") {
			break // another address would say the same
		}
	}
	var se *sessionError
	errors.As(err, &se)
	switch {
	case se != nil && se.tls:
		return fmt.Errorf("%w: %w", ErrSmartHostTLS, err)
	case se != nil && se.step == "AUTH":
		return fmt.Errorf("%w: %w", ErrSmartHostAuth, err)
	}
	return fmt.Errorf("%w: %w", ErrSmartHostReach, err)
}
