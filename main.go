// Mailstead is a whole mail server in one program.
package main

import (
	"os"

	"mailstead/internal/cli"
)

func main() { os.Exit(cli.Main(cli.Arguments(os.Args), os.Stdin, os.Stdout, os.Stderr)) }
