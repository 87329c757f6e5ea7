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

func (s *session) help(string) Reply       { return Help }
func (s *session) notOffered(string) Reply { return NotOffered }

// notSMTP ends a web browser's or a request smuggler's visit before its lines
// are run as commands.
func (s *session) notSMTP(string) Reply { return NotSMTP }
