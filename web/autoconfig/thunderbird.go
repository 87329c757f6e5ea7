package autoconfig

import (
	"bytes"
	"encoding/xml"
	"net/http"
)

// clientConfig is draft-ietf-mailmaint-autoconfig-06, section 4, in the order
// that programs of version 1.1 know.
type clientConfig struct {
	XMLName  xml.Name `xml:"clientConfig"`
	Version  string   `xml:"version,attr"`
	Provider provider `xml:"emailProvider"`
}

type provider struct {
	ID        string `xml:"id,attr"`
	Domain    string `xml:"domain"`
	Name      string `xml:"displayName"`
	ShortName string `xml:"displayShortName"`
	Incoming  []configServer
	Outgoing  []configServer
	Pages     configPage `xml:"documentation"`
}

type configServer struct {
	XMLName        xml.Name
	Type           string `xml:"type,attr"`
	Host           string `xml:"hostname"`
	Port           int    `xml:"port"`
	Socket         string `xml:"socketType"`
	Authentication string `xml:"authentication"`
	User           string `xml:"username"`
}

type configPage struct {
	URL  string     `xml:"url,attr"`
	Text configText `xml:"descr"`
}

type configText struct {
	Lang string `xml:"lang,attr"`
	Text string `xml:",chardata"`
}

// The longest names that the draft lets a provider have (4.1.4).
const (
	maxName      = 60
	maxShortName = 20
)

// Config answers GET of ConfigPath and WellKnownPath. The program puts the
// address in itself, so that the answer is the same for every address.
func (h *Handler) Config(w http.ResponseWriter, r *http.Request) {
	_, domain, err := h.about(r, r.URL.Query().Get("emailaddress"))
	if err != nil {
		h.refuse(w, err)
		return
	}
	s, err := h.settings(domain)
	if err != nil {
		h.refuse(w, err)
		return
	}
	body, err := s.clientConfig()
	if err != nil {
		h.refuse(w, err)
		return
	}
	answer(w, "text/xml; charset=utf-8", body)
}

func (s Settings) clientConfig() ([]byte, error) {
	name := s.Domain.Unicode()
	c := clientConfig{Version: "1.1", Provider: provider{
		ID: string(s.Domain), Domain: string(s.Domain), Name: clip(name, maxName), ShortName: clip(name, maxShortName),
		Pages: configPage{URL: s.pageURL(), Text: configText{"en", "How to set up mail programs by hand"}},
	}}
	for _, v := range s.Incoming {
		c.Provider.Incoming = append(c.Provider.Incoming, v.config("incomingServer", "imap"))
	}
	for _, v := range s.Outgoing {
		c.Provider.Outgoing = append(c.Provider.Outgoing, v.config("outgoingServer", "smtp"))
	}
	return document(c)
}

// config says password-cleartext: under TLS it is the SASL mechanism that all of
// them have. "password-encrypted" means CRAM-MD5 to most, which we do not offer.
func (v Server) config(element, kind string) configServer {
	socket := "STARTTLS"
	if v.Implicit {
		socket = "SSL"
	}
	return configServer{
		XMLName: xml.Name{Local: element}, Type: kind, Host: string(v.Host), Port: v.Port, Socket: socket,
		Authentication: "password-cleartext", User: "%EMAILADDRESS%",
	}
}

// pageURL is the page for people.
func (s Settings) pageURL() string { return "https://autoconfig." + string(s.Domain) + "/" }

// document is XML as a file.
func document(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
