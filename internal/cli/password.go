package cli

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// passwordFlag is how a command gets a new password.
type passwordFlag struct {
	PasswordFile string `placeholder:"FILE" help:"Read the password from the first line of FILE (- for standard input). Without it you are asked, or one is made and printed once."`
}

// password gets the new password of somebody. made tells that it is ours, so
// that the person must be told.
func (f passwordFlag) password(p *program, whose string) (password string, made bool, err error) {
	switch {
	case f.PasswordFile != "":
		password, err = firstLine(p, f.PasswordFile)
		return password, false, err
	case !isTerminal(p.in):
		return makePassword(), true, nil
	}
	first, err := p.secret(fmt.Sprintf("New password for %s (empty: make one): ", clean(whose)))
	if err != nil {
		return "", false, err
	}
	if first == "" {
		return makePassword(), true, nil
	}
	again, err := p.secret("The same again: ")
	if err != nil {
		return "", false, err
	}
	if first != again {
		return "", false, errors.New("the two passwords differ")
	}
	return first, false, nil
}

// firstLine reads a password from a file or standard input.
func firstLine(p *program, name string) (string, error) {
	var r io.Reader = p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		defer f.Close()
		r = f
	}
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("the password file is empty")
	}
	return line, nil
}

// secret asks without showing what is typed.
func (p *program) secret(question string) (string, error) {
	fmt.Fprint(p.err, question)
	text, err := term.ReadPassword(int(p.in.Fd()))
	fmt.Fprintln(p.err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(text), nil
}

// confirm asks a question that only the given answer affirms. Without a terminal
// nobody can be asked.
func (p *program) confirm(question, answer, otherwise string) error {
	if !isTerminal(p.in) {
		return hinted{errors.New("this needs a confirmation"), otherwise}
	}
	line, err := p.line(question)
	if err != nil {
		return err
	}
	if line != answer {
		return errors.New("not confirmed, nothing was done")
	}
	return nil
}

// line asks for one line.
func (p *program) line(question string) (string, error) {
	fmt.Fprint(p.err, question)
	line, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// makePassword makes one of 100 random bits in four groups of five that can be
// read aloud: no letter looks or sounds like another's digit.
func makePassword() string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789" // 32
	bits := make([]byte, 20)
	rand.Read(bits)
	var b strings.Builder
	for i, x := range bits {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[x%32])
	}
	return b.String()
}
