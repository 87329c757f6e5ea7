package cli

import (
	"encoding/json"
	"os"
	"slices"

	"mailstead/dns/publish"
)

// dnsHook is a program that dns publish can ask: its zone is a file.
func dnsHook() {
	var in struct {
		Action      string
		Remove, Add []publish.Record
	}
	var zone []publish.Record
	out := map[string]any{}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &zone)
	}
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&in)
	}
	switch in.Action {
	case "zone":
		out["zone"] = "example.org"
	case "get":
		out["records"] = zone
	case "change":
		zone = slices.DeleteFunc(zone, func(r publish.Record) bool {
			return slices.ContainsFunc(in.Remove, func(o publish.Record) bool { return o.Name == r.Name && o.Type == r.Type && o.Data == r.Data })
		})
		text, _ = json.Marshal(append(zone, in.Add...))
		err = os.WriteFile(os.Args[1], text, 0o600)
	}
	if err != nil {
		out["error"] = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}
