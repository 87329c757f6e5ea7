package publish

// Providers lists all, in the order in which a person is asked.
func Providers() []Info {
	token := func(help string) []Field {
		return []Field{{Name: "token", Title: "API token", Help: help, Secret: true}}
	}
	return []Info{
		{
			Name: "cloudflare", Title: "Cloudflare", MinTTL: 60, URL: "https://dash.cloudflare.com/profile/api-tokens", open: openCloudflare,
			Fields:      token("Not the Global API Key."),
			ScopeHelp:   "on dash.cloudflare.com, My Profile, API Tokens, Create Token, take the template \"Edit zone DNS\" (Zone / DNS / Edit) and under Zone Resources include this one zone only",
			NameServers: []string{".ns.cloudflare.com"},
		},
		{
			Name: "hetzner", Title: "Hetzner", MinTTL: 60, URL: "https://console.hetzner.com/", open: openHetzner,
			Fields:      token("Of the project that the zone is in; tokens of the old DNS Console do not work."),
			ScopeHelp:   "on console.hetzner.com, in the project that holds the zone, Security, API Tokens, with Read & Write; it can do anything in that project, so keep the zone in a project of its own",
			NameServers: []string{".ns.hetzner.com", ".ns.hetzner.de", ".first-ns.de", ".second-ns.de", ".second-ns.com", ".your-server.de"},
		},
		{
			Name: "desec", Title: "deSEC", MinTTL: 3600, URL: "https://desec.io/tokens", open: openDesec,
			Fields:      token(""),
			ScopeHelp:   "on desec.io, Token Management, create a token without extra rights; with a token policy it can be narrowed to this domain",
			NameServers: []string{".desec.io", ".desec.org"},
		},
		{
			Name: "digitalocean", Title: "DigitalOcean", MinTTL: 30, URL: "https://cloud.digitalocean.com/account/api/tokens", open: openDigitalOcean,
			Fields: token(""), Without: []string{"TLSA", "CAA"},
			ScopeHelp:   "on cloud.digitalocean.com, API, Generate New Token, with the custom scopes domain: create, read, update, delete",
			NameServers: []string{".digitalocean.com"},
		},
		{
			Name: "porkbun", Title: "Porkbun", MinTTL: 600, URL: "https://porkbun.com/account/api", open: openPorkbun,
			Fields: []Field{
				{Name: "apikey", Title: "API key", Help: "Begins with pk1_.", Secret: true},
				{Name: "secretapikey", Title: "secret API key", Help: "Begins with sk1_.", Secret: true},
			},
			ScopeHelp:   "on porkbun.com/account/api create a key, and in Domain Management, Details of the domain, switch API Access on: keys reach only domains that have it",
			NameServers: []string{".porkbun.com"},
		},
		{
			Name: "gandi", Title: "Gandi", MinTTL: 300, URL: "https://admin.gandi.net/", open: openGandi,
			Fields:      []Field{{Name: "token", Title: "personal access token", Help: "The older API keys do not work.", Secret: true}},
			ScopeHelp:   "on admin.gandi.net, Organizations, Personal Access Token, limited to this domain, with \"See and renew domain names\" and \"Manage domain name technical configurations\"",
			NameServers: []string{".gandi.net"},
		},
		{
			Name: "ovh", Title: "OVHcloud", MinTTL: 60, URL: "https://api.ovh.com/createToken/", open: openOVH,
			Fields: []Field{
				{Name: "endpoint", Title: "where the account is: eu, ca or us", Default: "eu"},
				{Name: "application_key", Title: "application key"},
				{Name: "application_secret", Title: "application secret", Secret: true},
				{Name: "consumer_key", Title: "consumer key", Secret: true},
			},
			ScopeHelp:   "on api.ovh.com/createToken make keys with the rights GET /domain/zone, and GET, POST, PUT, DELETE on /domain/zone/DOMAIN/*",
			NameServers: []string{".ovh.net", ".ovh.ca", ".anycast.me"},
		},
		{
			Name: "powerdns", Title: "PowerDNS", MinTTL: 1, open: openPowerDNS,
			Fields: []Field{
				{Name: "url", Title: "URL of its webserver", Help: "Such as http://127.0.0.1:8081; a key that crosses a network needs https."},
				{Name: "key", Title: "API key", Help: "api-key of pdns.conf.", Secret: true},
				{Name: "server", Title: "server id", Default: "localhost"},
			},
			ScopeHelp: "in pdns.conf set api=yes, api-key, and webserver-allow-from with this machine's address; the key can change every zone of that server",
		},
		{
			Name: "rfc2136", Title: "own name server (RFC 2136)", MinTTL: 1, open: openRFC2136,
			Fields: []Field{
				{Name: "server", Title: "primary server", Help: "Host or address, with :PORT if it is not 53."},
				{Name: "key_name", Title: "name of the TSIG key", Optional: true},
				{Name: "key_algorithm", Title: "its algorithm", Default: "hmac-sha256"},
				{Name: "key_secret", Title: "its secret, in base64", Secret: true, Optional: true},
			},
			ScopeHelp: "in BIND: `tsig-keygen mailstead`, and in the zone `update-policy { grant mailstead zonesub ANY; };` and `allow-transfer { key mailstead; };`; in Knot: an acl with this key and the actions update and transfer",
		},
		{
			Name: "exec", Title: "own program", MinTTL: 1, open: openExec,
			Fields:    []Field{{Name: "command", Title: "path of the program", Help: "It is asked by JSON on standard input; docs/dns.md describes how."}},
			ScopeHelp: "the program keeps its own credentials; it runs as the server's user",
		},
	}
}
