package autoconfig

import (
	"encoding/json"
	"net/http"
	"strings"
)

// found is where a protocol is spoken, and notProvided why it is not; names and
// words are those of Microsoft's servers, since no document describes them.
type found struct {
	Protocol string
	URL      string `json:"Url"`
}

type notProvided struct {
	ErrorCode    string
	ErrorMessage string
}

// DiscoverJSON answers DiscoverV2, which says where protocols of Exchange are
// spoken. Of them all this server has version 1 of Autodiscover; a program that
// asks for another one is told so, and goes on to IMAP. The address comes as
// "Email" or at the end of the path.
func (h *Handler) DiscoverJSON(w http.ResponseWriter, r *http.Request) {
	q := fold(r.URL.Query())
	address := r.PathValue("address")
	if address == "" {
		address = q["email"]
	}
	_, domain, err := h.about(r, address)
	if err != nil {
		h.refuse(w, err)
		return
	}
	switch protocol := q["protocol"]; {
	case strings.EqualFold(protocol, "AutodiscoverV1"):
		writeJSON(w, http.StatusOK, found{"AutodiscoverV1", "https://autodiscover." + string(domain) + DiscoverPath})
	case protocol == "":
		writeJSON(w, http.StatusBadRequest, notProvided{
			"MandatoryParameterMissing", "A valid value must be provided for the query parameter 'Protocol'",
		})
	default:
		writeJSON(w, http.StatusBadRequest, notProvided{
			"ProtocolNotSupported", "The given protocol value is not supported. Supported values are 'AutodiscoverV1'",
		})
	}
}

// fold gives the first value of each parameter under its name in small letters.
func fold(q map[string][]string) map[string]string {
	m := make(map[string]string, len(q))
	for name, values := range q {
		if name = strings.ToLower(name); len(values) > 0 && m[name] == "" {
			m[name] = values[0]
		}
	}
	return m
}

// writeJSON writes a document of this package's own types.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "ask again later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
