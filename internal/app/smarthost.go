package app

import (
	"context"

	"mailstead/admin/doctor"
	"mailstead/smtp/outbound"
)

// smartHost reads which server takes all mail, nil for none. It is asked at each
// attempt to deliver, so that a change needs no word to anybody.
func (s *Stores) smartHost(ctx context.Context) (*outbound.SmartHost, error) {
	var smart outbound.SmartHost
	if err := s.Accounts.Setting(ctx, outbound.SmartHostSetting, &smart); err != nil || smart.Host == "" {
		return nil, err
	}
	return &smart, nil
}

// trySmartHost signs in and leaves.
func (s *Stores) trySmartHost(ctx context.Context, smart outbound.SmartHost) error {
	name := s.Config.Hostname
	if name == "" {
		name = "[127.0.0.1]" // RFC 5321, 4.1.4: who has no name says an address
	}
	out := outbound.Outbound{Hostname: name, Resolver: s.Resolver, Dial: s.reach.dial, Roots: s.reach.roots}
	return out.Try(ctx, smart)
}

// relay is the smart host as the doctor sees it.
func (s *Stores) relay(ctx context.Context) (doctor.Relay, error) {
	smart, err := s.smartHost(ctx)
	if err != nil || smart == nil {
		return doctor.Relay{}, err
	}
	return doctor.Relay{Host: smart.Host, Try: func(ctx context.Context) error { return s.trySmartHost(ctx, *smart) }}, nil
}
