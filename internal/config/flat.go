package config

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Entry is one value of a TOML file, as text.
type Entry struct {
	Key   string // dotted: "smarthost.host"
	Value string // a list's parts are joined by commas
	Line  int    // 0 when it is not known
}

// Flat reads a TOML file that has no fixed keys, in the order of their lines.
// Errors: *Error.
func Flat(name, text string) ([]Entry, error) {
	var tree map[string]any
	if _, err := toml.Decode(text, &tree); err != nil {
		e := syntax(name, text, err).(*Error)
		e.Next = "it is TOML: KEY = \"VALUE\", one a line"
		return nil, e
	}
	var list []Entry
	var walk func(prefix string, v any) error
	walk = func(key string, v any) error {
		e := Entry{Key: key, Line: lineOf(text, key)}
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				if key != "" {
					k = key + "." + k
				}
				if err := walk(k, below); err != nil {
					return err
				}
			}
			return nil
		case []any:
			parts := make([]string, len(v))
			for i, p := range v {
				parts[i] = fmt.Sprint(p)
			}
			e.Value = strings.Join(parts, ",")
		case string:
			e.Value = v
		case bool:
			e.Value = strconv.FormatBool(v)
		case int64:
			e.Value = strconv.FormatInt(v, 10)
		default:
			return &Error{File: name, Line: e.Line, Text: fmt.Sprintf("%s has a value of a kind that is not known here", key), Next: "write it as text: KEY = \"VALUE\""}
		}
		list = append(list, e)
		return nil
	}
	if err := walk("", tree); err != nil {
		return nil, err
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].Line != list[j].Line {
			return list[i].Line < list[j].Line
		}
		return list[i].Key < list[j].Key
	})
	return list, nil
}
