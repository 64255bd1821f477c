package rules

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

const (
	runbook     = "../../docs/operations.md"
	description = "../../api/testdata/openapi.golden.json"
)

var (
	fenced  = regexp.MustCompile("(?ms)^```sql\n(.*?)^```$")
	routes  = regexp.MustCompile("(?:(GET|POST|PUT) |LARI_API_URL)(/v1/[^`\"? ]+)")
	section = regexp.MustCompile(`(?m)^### (Lari\w+)$`)
)

// The SQL of the runbook runs on the schema that there is.
func TestRunbookSQL(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, tenant := db.Tenant(t, "acme")
	conn := db.Conn(t)
	all := fenced.FindAllStringSubmatch(read(t, runbook), -1)
	for _, found := range all {
		if strings.Contains(found[1], "\n\\connect ") { // a script for psql, which tests/setup runs
			continue
		}
		statement := strings.ReplaceAll(found[1], ":tenant", "'"+tenant.String()+"'")
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Errorf("%v in\n%s", err, statement)
		}
	}
	if len(all) < 5 {
		t.Errorf("only %d statements were found", len(all))
	}
}

// The routes of the runbook are in the API's description.
func TestRunbookRoutes(t *testing.T) {
	t.Parallel()
	var described struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(read(t, description)), &described); err != nil {
		t.Fatal(err)
	}
	known := func(method, path string) bool {
		for template, methods := range described.Paths {
			shape := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`) + "$")
			if _, has := methods[strings.ToLower(method)]; shape.MatchString(path) && (has || method == "") {
				return true
			}
		}
		return false
	}
	all := routes.FindAllStringSubmatch(read(t, runbook), -1)
	for _, r := range all {
		if !known(r[1], r[2]) {
			t.Errorf("there is no route %s %s", r[1], r[2])
		}
	}
	if len(all) < 10 || known("GET", "/v1/"+uuid.NewString()) {
		t.Errorf("%d routes were found", len(all))
	}
}

// Each section says what an operator needs at three in the morning.
func TestRunbookSections(t *testing.T) {
	t.Parallel()
	text := read(t, runbook)
	heads := section.FindAllStringSubmatchIndex(text, -1)
	for i, head := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		body := text[head[1]:end]
		for _, part := range []string{"**Means.**", "**Users notice", "**First look", "**Causes.**", "**Remedy.**", "**Silence**"} {
			if !strings.Contains(body, part) {
				t.Errorf("%s does not say %s", text[head[2]:head[3]], part)
			}
		}
	}
	if len(heads) < 20 {
		t.Errorf("%d sections were found", len(heads))
	}
}
