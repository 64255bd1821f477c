package devstack

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestMachineAptSources(t *testing.T) {
	t.Parallel()
	etc := openFolder(t)
	files := map[string]string{
		"sources.list": "# a comment\ndeb http://mirror.example/debian bookworm main contrib # why\n" +
			"deb-src http://mirror.example/debian bookworm main\n" +
			"deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] http://security.example/debian-security bookworm-security main\n" +
			"deb cdrom:[Debian]/ bookworm main\ndeb http://vendor.example/apt ./\ndeb http://vendor.example/apt stable vendor\n",
		"sources.list.d/debian.sources": "Types: deb deb-src\nURIs: http://one.example/debian http://two.example/debian\nSuites: bookworm bookworm-updates\n" +
			"Components: main\nSigned-By:\n -----BEGIN KEY-----\n .\n abc\n\n# off\nTypes: deb\nEnabled: no\nURIs: http://off.example/\nSuites: bookworm\nComponents: main\n",
		"sources.list.d/old.sources.disabled": "Types: deb\nURIs: http://off.example/\nSuites: bookworm\nComponents: main\n",
	}
	must(t, os.Mkdir(filepath.Join(etc, "sources.list.d"), 0o750))
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(etc, name), []byte(text), 0o600))
	}
	key := "\n -----BEGIN KEY-----\n .\n abc"
	got := machineAptSources(etc)
	want := []aptSource{
		{uris: []string{"http://mirror.example/debian"}, suites: []string{"bookworm"}, components: []string{"main", "contrib"}},
		{uris: []string{"http://security.example/debian-security"}, suites: []string{"bookworm-security"}, components: []string{"main"}, signedBy: "/k/a.gpg /k/b.gpg"},
		{uris: []string{"http://one.example/debian", "http://two.example/debian"}, suites: []string{"bookworm", "bookworm-updates"}, components: []string{"main"}, signedBy: key},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	places := sourcePackagesOf(got, "trixie")
	if len(places) != 3 || places[0].uris[0] != "http://mirror.example/debian" || places[2].signedBy != key || places[2].suites[0] != "trixie" {
		t.Fatalf("places %+v", places)
	}
	if got := parseDeb822(places[1].paragraph("deb")); len(got) != 1 || !reflect.DeepEqual(got[0], places[1]) {
		t.Fatalf("a written paragraph reads as %+v", got)
	}
}

func TestComplaint(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"W: slow\nE: Unable to locate package x\nsee the manual\n": "E: Unable to locate package x",
		"cc\nsrc/vector.c:1: error: no header\nmake: *** 1\n":      "src/vector.c:1: error: no header",
		"only this\n\n": "only this",
		"":              "",
	}
	for text, want := range tests {
		if got := complaint(text); got != want {
			t.Errorf("complaint(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestProgramName(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"github.com/golangci/golangci-lint/v2/cmd/golangci-lint": "golangci-lint",
		"mvdan.cc/gofumpt":  "gofumpt",
		"example.org/it/v3": "it",
	}
	for module, want := range tests {
		if got := programName(module); got != want {
			t.Errorf("programName(%q) = %q, want %q", module, got, want)
		}
	}
}

func TestIsPostgres(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"/usr/lib/postgresql/15/bin/postgres -D /x ":    true,
		"postgres: lari: checkpointer ":                 true,
		"/usr/lib/postgresql/15/bin/initdb -D /x.half ": true,
		"vim postgresql.conf ":                          false,
		"/bin/sh -c postgres ":                          false,
		"":                                              false,
	}
	for line, want := range tests {
		if got := isPostgres(line); got != want {
			t.Errorf("isPostgres(%q) = %v", line, got)
		}
	}
}
