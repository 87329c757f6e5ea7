package outbound

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIPv6IsPassedOver(t *testing.T) {
	t.Parallel()
	six, four := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct{ in, want []netip.Addr }{
		{[]netip.Addr{six, four}, []netip.Addr{four}},
		{[]netip.Addr{six}, []netip.Addr{six}},
		{nil, nil},
	} {
		if d := cmp.Diff(tt.want, preferIPv4(tt.in), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Error(d)
		}
	}
}
