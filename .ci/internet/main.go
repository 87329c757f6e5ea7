// Command internet is what .ci/setup needs of the world and no package of Debian
// has: an ACME authority (Pebble), and hosts that greet on port 25 as those of
// large providers do. It runs until its standard input ends.
//
//	internet DIR RESOLVER CA-ADDRESS [ADDRESS=GREETING...]
//
// It writes into DIR the certificates that verify the authority's web server
// (ca.pem) and what it issues (root.pem), the latter when it is ready.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailstead/internal/world/pebble"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "internet:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("usage: internet DIR RESOLVER CA-ADDRESS [ADDRESS=GREETING...]")
	}
	for _, host := range args[3:] {
		address, greeting, _ := strings.Cut(host, "=")
		l, err := net.Listen("tcp", net.JoinHostPort(address, "25"))
		if err != nil {
			return err
		}
		go greet(l, greeting)
	}
	pebble.Environment()
	ca := pebble.New(pebble.Options{Resolver: args[1], Listen: args[2], HTTP: 80, TLS: 443})
	for name, text := range map[string]string{"ca.pem": ca.Roots, "root.pem": ca.Root} {
		file := filepath.Join(args[0], name)
		if err := os.WriteFile(file+".part", []byte(text), 0o644); err != nil {
			return err
		}
		if err := os.Rename(file+".part", file); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	ca.Close()
	return err
}

// greet says one line to everybody, and lets them say QUIT.
func greet(l net.Listener, greeting string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(conn, "220 %s ESMTP\r\n", greeting)
			conn.Read(make([]byte, 512))
			fmt.Fprint(conn, "221 bye\r\n")
		}()
	}
}
