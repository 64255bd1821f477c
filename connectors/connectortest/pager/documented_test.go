package pager

import (
	"os"
	"strings"
	"testing"
)

// What docs/connectors.md shows is what is compiled and passes here: these very files.
func TestTheDocumentationIsTheseFiles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/connectors.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for i, part := range strings.Split(string(page), "```") {
		if code, ok := strings.CutPrefix(part, "go\n"); ok && i%2 == 1 {
			shown = append(shown, code)
		}
	}
	for _, name := range []string{"pager_test.go", "conformance_test.go"} {
		source, err := os.ReadFile(name) //nolint:gosec // G304: one of two names above
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, code := range shown {
			found = found || code == string(source)
		}
		if !found {
			t.Errorf("docs/connectors.md does not show %s as it is here", name)
		}
	}
	source, err := os.ReadFile("pager_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, connector, _ := strings.Cut(string(source), "\n)\n")
	if n := len(strings.Split(strings.TrimSpace(connector), "\n")); n > 30 {
		t.Errorf("a connector takes %d lines, and the page promises 30", n)
	}
}
