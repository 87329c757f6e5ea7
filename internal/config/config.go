// Package config reads mailstead.toml: a dozen keys, each with a default.
package config

// Config is the file.
type Config struct {
	Hostname string `toml:"hostname"`
	Data     string `toml:"data"`
	Listen   Listen `toml:"listen"`
	DNS      struct {
		Resolver string `toml:"resolver"`
	} `toml:"dns"`
	Log struct {
		Level string `toml:"level"`
	} `toml:"log"`
	// Own certificate until ACME comes; reloaded on change.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
}

// Listen is lists of addresses; an empty list switches a door off.
type Listen struct {
	SMTP        []string `toml:"smtp"`
	Submission  []string `toml:"submission"`
	Submissions []string `toml:"submissions"`
	IMAP        []string `toml:"imap"`
	IMAPS       []string `toml:"imaps"`
}
