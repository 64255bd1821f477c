package arch

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestThisRepositoryKeepsTheLaw(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	found, err := Check(root, House())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
	tree, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.files) < 100 {
		t.Errorf("only %d files were read: the walk has gone wrong", len(tree.files))
	}
}

// The fixture says in comments of the form "// want rule rule" what must be found in their lines.
var want = regexp.MustCompile(`// want ((?:[a-z]+ ?)+)`)

func TestEveryViolationIsFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, os.CopyFS(root, os.DirFS(filepath.Join("testdata", "broken"))))
	expected := wanted(t, root)
	// Three violations cannot stand in the fixture: files of that length and size, and a name that nothing may hold.
	long := "package long // want doc long\n" + strings.Repeat("\n", longFile+1)
	must(t, os.MkdirAll(filepath.Join(root, "internal", "long"), 0o750))
	must(t, os.WriteFile(filepath.Join(root, "internal", "long", "a.go"), []byte(long), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "README.md"), []byte("go to\nhttps://"+string(registryHosts()[0])+"/x\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "lari"), make([]byte, largeFile+1), 0o600))
	expected["lari:1 size"] = true
	expected["internal/long/a.go:1 doc"] = true
	expected["internal/long/a.go:1 long"] = true
	expected["README.md:2 host"] = true
	expected["internal/gone/store.go:1 system"] = true

	found, err := Check(root, Law{SystemCallers: map[string]string{"internal/alpha/listed.go": "is allowed", "internal/gone/store.go": "is gone"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, v := range found {
		key := v.File + ":" + strconv.Itoa(v.Line) + " " + v.Rule
		got[key] = true
		if !expected[key] {
			t.Errorf("not a violation: %s", v)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		if !got[key] {
			t.Errorf("not found: %s", key)
		}
	}
	for _, article := range rules() {
		if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == article.name }) {
			t.Errorf("the fixture has no violation of the rule %q", article.name)
		}
	}
}

// wanted reads the comments of the fixture.
func wanted(t *testing.T, root string) map[string]bool {
	t.Helper()
	expected := map[string]bool{}
	tree, err := readTree(root)
	must(t, err)
	for _, f := range tree.files {
		text, err := os.ReadFile(filepath.Join(root, f.path)) //nolint:gosec // our own fixture
		must(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			if m := want.FindStringSubmatch(line); m != nil {
				for rule := range strings.FieldsSeq(m[1]) {
					expected[f.path+":"+strconv.Itoa(i+1)+" "+rule] = true
				}
			}
		}
	}
	if len(expected) == 0 {
		t.Fatal("the fixture wants nothing")
	}
	return expected
}

func TestLayersOfFolders(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]layer{
		"internal/runs": domain, "internal/runs/deep": domain, "internal/somethingnew": domain, "internal/platform/fault": platform,
		"internal/event": events, "internal/engine": engine, "internal/app": app, "internal": nowhere, "pkg": nowhere, ".": nowhere,
		"connectors/audit": connectors, "tests/arch": tests, "cmd/lari": command, "deploy/supabase": deploy, "web": web,
	} {
		if got := layerOf(dir); got != want {
			t.Errorf("%s is of layer %q, want %q", dir, got, want)
		}
	}
	for from := range directions {
		for _, to := range directions[from] {
			if slices.Contains(directions[to], from) {
				t.Errorf("%s and %s may import each other", from, to)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
