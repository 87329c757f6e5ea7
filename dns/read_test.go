package dns

import (
	"testing"

	mdns "github.com/miekg/dns"
)

// FuzzRead: whatever a server answers is read in bounded time, and only records
// of the question's type come out.
func FuzzRead(f *testing.F) {
	for _, records := range [][]string{
		{"a.test. 60 IN MX 10 b.test."},
		{"a.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME a.test."},
		{"a.test. 60 IN CNAME b.test.", "b.test. 60 IN MX 0 ."},
	} {
		m := new(mdns.Msg)
		m.SetQuestion("a.test.", mdns.TypeMX)
		m.Response = true
		for _, s := range records {
			rr, err := mdns.NewRR(s)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(mdns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		a, err := read(m, "a.test.", mdns.TypeMX)
		if err != nil {
			return
		}
		for _, rr := range a.rrs {
			if rr.Header().Rrtype != mdns.TypeMX {
				t.Errorf("%v", rr)
			}
		}
		if len(a.rrs) == 0 && a.err == nil && a.next == "" {
			t.Error("no records and no error")
		}
	})
}
