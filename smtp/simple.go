package smtp

// The commands that need no room of their own (RFC 5321, 4.1.1.5 to 4.1.1.10).

func (s *session) rset(string) Reply {
	s.drop()
	return Flushed
}

func (s *session) noop(string) Reply { return OK }

func (s *session) quit(string) Reply {
	s.over = true
	return Bye
}

// vrfy tells nobody which addresses exist (RFC 5321, 7.3).
func (s *session) vrfy(args string) Reply {
	if args == "" {
		return BadSyntax
	}
	return CannotVerify
}

// help names what works here and now.
func (s *session) help(string) Reply {
	verbs := "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP"
	if s.srv.TLS != nil && s.peer.TLS == nil {
		verbs += " STARTTLS"
	}
	if _, ok := s.backend.(Authenticator); ok {
		verbs += " AUTH"
	}
	return Reply{214, "2.0.0", verbs + "\nRFC 5321 has the rest"}
}

func (s *session) notOffered(string) Reply { return NotOffered }

// notSMTP ends a web browser's or a request smuggler's visit before its lines
// are run as commands.
func (s *session) notSMTP(string) Reply { return NotSMTP }
