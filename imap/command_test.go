package imap

import "testing"

// Whatever follows a command's name is parsed or refused, by every command.
func FuzzCommands(f *testing.F) {
	for _, seed := range []string{
		`LIST (SUBSCRIBED) "" (a% "b*") RETURN (STATUS (MESSAGES SIZE))`, "STORE 1:* +FLAGS.SILENT (\\Seen $a)", "APPEND x (\\Seen) \"17-Jul-1996 02:44:25 -0700\" UTF8 (~{3+}\r\nabc)",
		"FETCH 1,3:* (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (a \"b\")]<1.2> BINARY.SIZE[3])", "LOGIN {3+}\r\nabc \"d\\\"\"", "ID (\"a\" NIL)", "CREATE x (USE (\\Sent))",
		"AUTHENTICATE PLAIN =", "STATUS x (MESSAGES UNSEEN)", "RENAME a b", "UID EXPUNGE $", "SEARCH RETURN () CHARSET UTF-8 OR ALL NOT 1", "ENABLE A B", "UID COPY 1 x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s := parser(in)
		name := s.r.Word()
		if s.uid = name == "UID"; s.uid {
			s.r.SP()
			name += " " + s.r.Word()
		}
		cmd, ok := commands[name]
		if s.r.Err() != nil || !ok {
			return
		}
		run := cmd.parse(s)
		if run == nil && s.r.Err() == nil {
			t.Errorf("%q: nothing to run", in)
		}
		s.r.Finish(1000)
	})
}
