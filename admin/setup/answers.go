package setup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailstead/internal/config"
)

// ReadAnswers reads a file of answers: TOML with the keys of the questions. name
// stands in errors, and files that it names are relative to its folder.
// Errors: *config.Error, with the line.
func ReadAnswers(name, text string) (map[string]string, error) {
	entries, err := config.Flat(name, text)
	if err != nil {
		return nil, err
	}
	all := Questions()
	var keys []string
	for _, q := range all {
		keys = append(keys, q.Key)
	}
	given := map[string]string{}
	for _, e := range entries {
		key, value := e.Key, e.Value
		fromFile := false
		if base, ok := strings.CutSuffix(key, "_file"); ok && mayBeFile(all, base) {
			key, fromFile = base, true
		}
		if !knownKey(all, key) {
			next := "`mailstead setup --example` prints every key"
			if near := config.Nearest(e.Key, keys); near != "" {
				next = fmt.Sprintf("did you mean %q?", near)
			}
			return nil, &config.Error{File: name, Line: e.Line, Text: fmt.Sprintf("%q is not a key of the answers", e.Key), Next: next}
		}
		if fromFile {
			if value, err = firstLine(filepath.Dir(name), value); err != nil {
				return nil, &config.Error{File: name, Line: e.Line, Text: fmt.Sprintf("%s: %v", e.Key, err), Next: "name a file whose first line it is"}
			}
		}
		if isFile(all, key) && !filepath.IsAbs(value) {
			value = filepath.Join(filepath.Dir(name), value)
		}
		if _, twice := given[key]; twice {
			return nil, &config.Error{File: name, Line: e.Line, Text: fmt.Sprintf("%s is there twice", key), Next: "give it or its file"}
		}
		given[key] = value
	}
	return given, nil
}

func knownKey(all []Question, key string) bool {
	return slices.ContainsFunc(all, func(q Question) bool {
		return q.Kind != Table && q.Key == key || q.Kind == Table && within(key, q.Key)
	})
}

func isFile(all []Question, key string) bool {
	return slices.ContainsFunc(all, func(q Question) bool { return q.Key == key && q.Kind == File })
}

// mayBeFile tells whether KEY_file stands for KEY.
func mayBeFile(all []Question, key string) bool {
	return within(key, "credentials") ||
		slices.ContainsFunc(all, func(q Question) bool { return q.Key == key && q.Kind == Secret })
}

func firstLine(folder, file string) (string, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(folder, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return line, nil
}

// Example is a file of answers with every key.
func Example() string {
	var b, tables strings.Builder
	b.WriteString("# Answers for `mailstead setup --answers FILE`. domain and address are needed; the\n# rest has a good default.\n")
	table := ""
	for _, q := range Questions() {
		to, key := &b, q.Key
		section, rest, nested := strings.Cut(q.Key, ".")
		if nested || q.Kind == Table {
			to = &tables
			if section != table {
				table = section
				fmt.Fprintf(to, "\n#[%s]\n", section)
			} else {
				to.WriteString("\n")
			}
			key = rest
		} else {
			to.WriteString("\n")
		}
		fmt.Fprintf(to, "# %s\n", q.Title)
		if q.Help != "" {
			for _, line := range wrap(q.Help, 88) {
				fmt.Fprintf(to, "# %s\n", line)
			}
		}
		switch {
		case q.Kind == Table:
			fmt.Fprintf(to, "#%s\n", q.Example)
		case q.Kind == Secret:
			fmt.Fprintf(to, "#%s_file = \"/root/%s\"   # or %s = \"...\"\n", key, strings.ReplaceAll(q.Key, ".", "-"), key)
		case q.Kind == YesNo:
			fmt.Fprintf(to, "#%s = %v\n", key, q.Example == "yes")
		case q.Default == nil && q.When == nil:
			fmt.Fprintf(to, "%s = %q\n", key, q.Example)
		default:
			fmt.Fprintf(to, "#%s = %q\n", key, q.Example)
		}
	}
	return b.String() + tables.String()
}

// wrap breaks text into lines.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
