package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"
)

// proxySignature begins every PROXY v2 header.
var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

var errProxy = errors.New("not a PROXY v2 header")

// readProxy reads the header when the peer is one of Proxies and takes the
// client's address from it. There it is mandatory: guessing would let anyone
// behind the proxy name an address.
func (s *Server) readProxy(c *Conn) error {
	if !s.isProxy(c.remote.Addr()) {
		return nil
	}
	limit := s.Handshake
	if limit == 0 {
		limit = DefaultHandshake
	}
	c.raw.SetReadDeadline(time.Now().Add(limit))
	defer c.raw.SetReadDeadline(time.Time{})
	remote, err := readProxyHeader(c.raw)
	if err != nil {
		return err
	}
	if remote.IsValid() {
		c.remote = remote
	}
	return nil
}

func (s *Server) isProxy(a netip.Addr) bool {
	for _, p := range s.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// readProxyHeader reads exactly one header. The address is not valid for LOCAL
// (the proxy's own health checks) and for families that are not TCP.
func readProxyHeader(r io.Reader) (netip.AddrPort, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, err
	}
	length := int(binary.BigEndian.Uint16(head[14:]))
	if !bytes.Equal(head[:12], proxySignature) || head[12]>>4 != 2 || length > 4096 {
		return netip.AddrPort{}, errProxy
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, err
	}
	if command := head[12] & 15; command == 0 {
		return netip.AddrPort{}, nil
	} else if command != 1 {
		return netip.AddrPort{}, errProxy
	}
	switch family := head[13]; {
	case family == 0x11 && length >= 12:
		a := netip.AddrFrom4([4]byte(body[0:4]))
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[8:])), nil
	case family == 0x21 && length >= 36:
		a := netip.AddrFrom16([16]byte(body[0:16])).Unmap()
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[32:])), nil
	case family == 0x11 || family == 0x21:
		return netip.AddrPort{}, errProxy
	}
	return netip.AddrPort{}, nil
}
