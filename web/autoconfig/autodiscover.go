package autoconfig

import (
	"encoding/xml"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strings"

	"mailstead/message"
)

// The schemas of [MS-OXDSCLI] 2.2.1 and [MS-ASCMD] 2.2.1.1.
const (
	nsFrame      = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	nsOutlook    = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
	nsMobileSync = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
)

// maxRequest is what a request in XML may take; real ones have some 400 octets.
const maxRequest = 16 << 10

// discoverRequest is what programs of both schemas post.
type discoverRequest struct {
	Request struct {
		Address string `xml:"EMailAddress"`
		Schema  string `xml:"AcceptableResponseSchema"`
	} `xml:"Request"`
}

// discoverAnswer is the frame around any response.
type discoverAnswer struct {
	XMLName  xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Response any
}

type outlookResponse struct {
	XMLName xml.Name       `xml:"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a Response"`
	Name    string         `xml:"User>DisplayName"`
	Account outlookAccount `xml:"Account"`
}

type outlookAccount struct {
	Type      string `xml:"AccountType"`
	Action    string `xml:"Action"`
	Protocols []outlookProtocol
}

// outlookProtocol is [MS-OXDSCLI] 2.2.4.1.1.2.6; "on" and "off" are its words.
type outlookProtocol struct {
	XMLName        xml.Name `xml:"Protocol"`
	Type           string   `xml:"Type"`
	TTL            int      `xml:"TTL"` // hours
	Server         string   `xml:"Server"`
	Port           int      `xml:"Port"`
	LoginName      string   `xml:"LoginName"`
	DomainRequired string   `xml:"DomainRequired"`
	SPA            string   `xml:"SPA"`
	SSL            string   `xml:"SSL"`
	Encryption     string   `xml:"Encryption"` // goes before SSL where it is known
	AuthRequired   string   `xml:"AuthRequired"`
	UsePOPAuth     string   `xml:"UsePOPAuth,omitempty"`
	SMTPLast       string   `xml:"SMTPLast,omitempty"`
}

// discoverError is a response of either schema that holds no settings.
type discoverError struct {
	XMLName xml.Name
	Error   struct {
		Time    string `xml:"Time,attr"`
		ID      uint32 `xml:"Id,attr"` // of the server: a hash of its name
		Code    int    `xml:"ErrorCode"`
		Message string `xml:"Message"`
		Debug   string `xml:"DebugData"`
	} `xml:"Error"`
}

// Error codes of [MS-OXDSCLI] 2.2.4.1.1.3.1.
const (
	codeInvalid     = 600
	codeNotProvided = 601
)

// Discover answers DiscoverPath, version 1 of Autodiscover. ActiveSync is not
// here, which its programs are told in their own schema. A request that is none
// (a GET, too) gets the documented error, as from Microsoft's own servers.
func (h *Handler) Discover(w http.ResponseWriter, r *http.Request) {
	req, err := readRequest(http.MaxBytesReader(w, r.Body, maxRequest))
	address := strings.TrimSpace(req.Request.Address)
	if r.Method != http.MethodPost || err != nil || address == "" {
		h.discoverError(w, nsFrame, codeInvalid, "Invalid Request")
		return
	}
	who, domain, err := h.about(r, address)
	if errors.Is(err, errAddress) {
		h.discoverError(w, nsFrame, codeInvalid, "Invalid Request")
		return
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	switch schema := strings.TrimSpace(req.Request.Schema); schema {
	case nsOutlook, "":
		h.outlook(w, who, domain)
	case nsMobileSync:
		h.discoverError(w, nsMobileSync, codeNotProvided, "ActiveSync is not provided: use IMAP and SMTP")
	default:
		h.discoverError(w, nsFrame, codeNotProvided, "The schema is not provided")
	}
}

func (h *Handler) outlook(w http.ResponseWriter, who message.Address, domain message.Domain) {
	s, err := h.settings(domain)
	if err != nil {
		h.refuse(w, err)
		return
	}
	// The best of each kind alone: Outlook takes one.
	in, out := s.Incoming[0].protocol("IMAP", who), s.Outgoing[0].protocol("SMTP", who)
	out.UsePOPAuth, out.SMTPLast = "on", "off" // the same name and password as for reading
	h.discoverAnswer(w, outlookResponse{
		Name:    who.Unicode(),
		Account: outlookAccount{Type: "email", Action: "settings", Protocols: []outlookProtocol{in, out}},
	})
}

func (v Server) protocol(kind string, who message.Address) outlookProtocol {
	encryption := "TLS"
	if v.Implicit {
		encryption = "SSL"
	}
	return outlookProtocol{
		Type: kind, TTL: 24, Server: string(v.Host), Port: v.Port, LoginName: who.String(),
		DomainRequired: "off", SPA: "off", SSL: "on", Encryption: encryption, AuthRequired: "on",
	}
}

func (h *Handler) discoverError(w http.ResponseWriter, schema string, code int, text string) {
	e := discoverError{XMLName: xml.Name{Space: schema, Local: "Response"}}
	e.Error.Time = h.now().UTC().Format("15:04:05.0000000")
	e.Error.ID = crc32.ChecksumIEEE([]byte(h.Host))
	e.Error.Code, e.Error.Message = code, text
	h.discoverAnswer(w, e)
}

func (h *Handler) discoverAnswer(w http.ResponseWriter, response any) {
	body, err := document(discoverAnswer{Response: response})
	if err != nil {
		h.refuse(w, err)
		return
	}
	answer(w, "text/xml; charset=utf-8", body)
}

// errDocument says that a request is not what it should be.
var errDocument = errors.New("not a plain document")

// readRequest reads a request. Go's decoder knows no entities but XML's five;
// that a document type is there at all is refused, so that none of its tricks
// depends on that.
func readRequest(body io.Reader) (req discoverRequest, err error) {
	dec := xml.NewTokenDecoder(plainXML{xml.NewDecoder(body)})
	if err := dec.Decode(&req); err != nil {
		return req, err
	}
	// What follows the document is looked at too: two of them are none.
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return req, nil
		}
		if err != nil {
			return req, err
		}
		if _, another := t.(xml.StartElement); another {
			return req, errDocument
		}
	}
}

// plainXML passes all tokens on but document types.
type plainXML struct{ *xml.Decoder }

// Token implements xml.TokenReader, which is about raw tokens.
func (p plainXML) Token() (xml.Token, error) {
	t, err := p.RawToken()
	if _, doctype := t.(xml.Directive); doctype {
		return nil, errDocument
	}
	return t, err
}
