package cli

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pageOf runs the command line and gives what it prints.
func pageOf(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if status := Main(args, nil, &out, &errOut); status != done {
		t.Fatalf("%v: status %d, %s", args, status, errOut.String())
	}
	return out.String()
}

// TestManualHoldsEverything: every command and flag that help shows stands in the manual.
func TestManualHoldsEverything(t *testing.T) {
	t.Parallel()
	page := strings.ReplaceAll(pageOf(t, "manual"), `\-`, "-")
	app, err := model()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range places(app.Node, "") {
		if p.path != "" && !strings.Contains(page, "\n.SS mailstead "+p.path) {
			t.Errorf("%s is not in the manual", p.path)
		}
		for _, w := range p.words {
			if strings.HasPrefix(w.text, "--") && !strings.Contains(page, w.text) {
				t.Errorf("%s %s is not in the manual", p.path, w.text)
			}
		}
	}
	if toml := pageOf(t, "manual", "mailstead.toml"); !strings.Contains(toml, "message_size_limit") {
		t.Error(toml)
	}
	if send := pageOf(t, "manual", "sendmail"); !strings.Contains(send, `\-f ADDRESS`) {
		t.Error(send)
	}
}

func TestRoff(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	(&manual{w: &b}).text("One `a -b`\nline.\n\nExample:\n  .dot \\ x\n  two\nafter")
	want := "One \\fBa \\-b\\fR\nline.\n.PP\nExample:\n.RS 2\n.nf\n\\&.dot \\e x\ntwo\n.fi\n.RE\n.PP\nafter\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text := pageOf(t, "completion", shell)
		for _, want := range []string{"app-password", "--scope"} {
			if !strings.Contains(text, want) && !strings.Contains(text, strings.Replace(want, "--", "-l ", 1)) {
				t.Errorf("%s: no %s", shell, want)
			}
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for line, want := range map[string]string{
		"mailstead up":        "upgrade",
		"mailstead account a": "add address app-password",
		"mailstead --data /x account app-password re": "revoke",
		"mailstead account add a@example.org --ope":   "--operator",
		"mailstead nothing here":                      "",
	} {
		words := strings.Fields(line)
		cmd := exec.Command(bash, "-c", pageOf(t, "completion", "bash")+`
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailstead; echo "${COMPREPLY[*]}"`, "bash")
		cmd.Args = append(cmd.Args, words...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}
