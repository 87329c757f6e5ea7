package app

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"mailstead/admin/doctor"
	"mailstead/internal/machine"
)

// TestTakenPort: a door that cannot open says who has its port and what to do.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = net.Listen("tcp", l.Addr().String())
	host := doctor.Host{Listeners: func() ([]machine.Listener, error) {
		return []machine.Listener{{Addr: netip.MustParseAddrPort(l.Addr().String()), PID: 812, Program: "exim4"}}, nil
	}}
	got := explainPort("smtp", err, host)
	var e *PortError
	if !errors.As(got, &e) || !strings.HasSuffix(e.Error(), "is taken by exim4 (pid 812)") || e.Hint() != "systemctl disable --now exim4" {
		t.Errorf("%v", got)
	}
	if !errors.Is(got, err) {
		t.Error("the cause is lost")
	}
	other := errors.New("other")
	if explainPort("smtp", other, host) != other {
		t.Error("another error was changed")
	}
}
