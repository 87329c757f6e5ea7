package autoconfig

import (
	"net/http"

	"mailstead/message"
)

// agentConfig is draft-ietf-mailmaint-pacc: no port stands in it, because every
// protocol has its registered one with implicit TLS.
type agentConfig struct {
	Protocols      map[string]agentServer `json:"protocols"`
	Authentication agentAuthentication    `json:"authentication"`
	Info           agentInfo              `json:"info"`
}

type agentServer struct {
	Host message.Domain `json:"host"`
}

type agentAuthentication struct {
	Password bool `json:"password"`
}

type agentInfo struct {
	Provider struct {
		Name      string `json:"name"`
		ShortName string `json:"shortName"`
	} `json:"provider"`
	Help struct {
		Documentation string `json:"documentation"`
	} `json:"help"`
}

// The registered ports (RFC 8314, 7.1 and 7.3).
const (
	portIMAPS       = 993
	portSubmissions = 465
)

// Agent answers AgentPath. A program that follows the draft also wants a digest
// of these bytes in the DNS, which is not published while the words of the draft
// change: sending is "smtp" up to its version 02 and "submit" since 03. Both
// stand here.
func (h *Handler) Agent(w http.ResponseWriter, r *http.Request) {
	domain, err := h.domainOf(r)
	if err != nil {
		h.refuse(w, err)
		return
	}
	s, err := h.settings(domain)
	if err != nil {
		h.refuse(w, err)
		return
	}
	c := agentConfig{Protocols: map[string]agentServer{}, Authentication: agentAuthentication{Password: true}}
	if v := s.Incoming[0]; v.Implicit && v.Port == portIMAPS {
		c.Protocols["imap"] = agentServer{v.Host}
	}
	if v := s.Outgoing[0]; v.Implicit && v.Port == portSubmissions {
		c.Protocols["submit"], c.Protocols["smtp"] = agentServer{v.Host}, agentServer{v.Host}
	}
	if len(c.Protocols) < 3 {
		h.refuse(w, errClosed)
		return
	}
	name := domain.Unicode()
	c.Info.Provider.Name, c.Info.Provider.ShortName = clip(name, maxName), clip(name, maxShortName)
	c.Info.Help.Documentation = s.pageURL()
	writeJSON(w, http.StatusOK, c)
}
