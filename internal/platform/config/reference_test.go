package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

const referencePage = "../../../docs/configuration.md"

func TestReferenceIsFresh(t *testing.T) {
	t.Parallel()
	want := Reference()
	if *update {
		if err := os.MkdirAll("../../../docs", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(referencePage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is stale: run go test ./internal/platform/config -update")
	}
}

func TestReferenceNamesEveryVariable(t *testing.T) {
	t.Parallel()
	page := Reference()
	for _, v := range variables(&Config{}) {
		if strings.Count(page, "\n| `"+v.name+"` |") != 1 {
			t.Errorf("%s has no row of its own", v.name)
		}
	}
}
