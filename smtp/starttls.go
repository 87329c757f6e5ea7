package smtp

// startTLS makes TLS the outermost layer (RFC 3207). What the client said before
// is forgotten; what it sent behind the command in the clear is a reason to
// leave, since it would otherwise be run as if it had come under TLS.
func (s *session) startTLS(string) Reply {
	switch {
	case s.peer.TLS != nil:
		return AlreadyTLS
	case s.srv.TLS == nil:
		return NotOffered
	case len(s.in.bytes()) > 0:
		s.over = true
		return Pipelined
	}
	s.write(ReadyTLS)
	if err := s.flush(); err != nil {
		return Reply{}
	}
	s.drop()
	if err := s.c.StartTLS(s.ctx, s.srv.TLS); err != nil {
		s.srv.log().Debug("tls handshake", "cid", s.peer.CID, "remote", s.peer.Remote.Addr(), "err", err)
		s.over = true
		return Reply{}
	}
	s.peer.Helo, s.peer.Extended, s.peer.TLS = "", false, s.c.TLS()
	return Reply{}
}
