package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/api"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/contract"
	"github.com/larirun/lari/tests/harness"
)

const workers = 8

// stage is the whole program with two tenants that own a thing of every kind.
type stage struct {
	system  *harness.System
	process *harness.Process
	doc     *contract.Document
	table   []api.Entry
	client  *harness.Tenant // sends what it is given
	own     estate          // whose things the paths name
	other   estate
}

// estate is a tenant with credentials for its members and the ids of its things.
type estate struct {
	*harness.Tenant
	wallet
	ids map[string]string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := harness.NewSystem(t, harness.AsksHuman())
	p := s.Start(t, harness.All)
	doc, err := harness.Describe(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	table, err := p.App.Table()
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{system: s, process: p, doc: doc, table: table, client: p.Nobody(t)}
	st.client.HTTP = harness.Client(t, workers)
	return st
}

// permissionSets lists what the routes need, each set once.
func (st *stage) permissionSets() (sets [][]auth.Permission) {
	known := map[string]bool{}
	for _, r := range st.table {
		if n := name(r.Permissions()); !known[n] && r.Permission != auth.Public {
			known[n] = true
			sets = append(sets, r.Permissions())
		}
	}
	return sets
}

func (st *stage) newEstate(t *testing.T) estate {
	t.Helper()
	x := st.process.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator", NeedsApproval: true}}})
	x.HTTP = st.client.HTTP
	return estate{x, newWallet(t, st.system, x.ID, st.permissionSets()), x.Furnish(t, st.doc)}
}

// operation is what the description says of a route; nil for the pages that show it.
func (st *stage) operation(r api.Entry) *contract.Operation {
	i := slices.IndexFunc(st.doc.Operations, func(o *contract.Operation) bool { return o.Method == r.Method && o.Path == r.Path })
	if i < 0 {
		return nil
	}
	return st.doc.Operations[i]
}

// TestTheDescriptionIsTheTable: what callers read is what the process does.
func TestTheDescriptionIsTheTable(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	described := 0
	for _, r := range st.table {
		o := st.operation(r)
		if o == nil {
			if r.Described {
				t.Errorf("%s %s is not described", r.Method, r.Path)
			}
			continue
		}
		described++
		needed := []auth.Permission{}
		for _, p := range o.Permissions {
			needed = append(needed, auth.Permission(p))
		}
		if len(needed) == 0 {
			needed = append(needed, auth.Public)
		}
		if !slices.Equal(needed, r.Permissions()) || o.Creates() != r.Creates || o.Stream() != r.Stream || o.ID != r.ID {
			t.Errorf("%s: the table has %+v, the description %+v", o.Name(), r, *o)
		}
	}
	if described != len(st.doc.Operations) {
		t.Errorf("%d operations are described, %d routes of the table are", len(st.doc.Operations), described)
	}
	// The golden file, which is linted, is what is served.
	text, err := os.ReadFile("../../api/testdata/openapi.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	served := st.process.Nobody(t).Do(t, "GET", "/v1/openapi.json", nil).Body
	if a, b := versionless(t, text), versionless(t, served); !bytes.Equal(a, b) {
		t.Error("what is served is not api/testdata/openapi.golden.json: does allRoutes in api/golden_test.go know every family?")
	}
}

func versionless(t *testing.T, text []byte) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if info, ok := doc["info"].(map[string]any); ok {
		delete(info, "version")
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// request is the cell as it is sent. What is to be refused is a request that would work; what is to be let in
// carries a query parameter that no route has: its refusal is the first thing that happens inside, so it
// proves that the caller came in, and changes nothing.
func (st *stage) request(c cell) (method, path string, body any, headers []string) {
	values, holder := st.own.ids, st.own
	if c.form.foreign() {
		holder = st.other
	}
	headers = holder.present(c)
	switch {
	case c.form.namesAnother():
		headers = append(headers, auth.TenantHeader, st.other.ID.String())
	case c.form == brokenHeader:
		headers = append(headers, auth.TenantHeader, "acme")
	case c.role == auth.RoleService && c.route.Permission != auth.PlatformManage && (!c.named() || c.form.foreign()):
		headers = append(headers, auth.TenantHeader, holder.ID.String())
	case c.role == auth.RoleService && c.form.foreign():
		headers = append(headers, auth.TenantHeader, holder.ID.String())
	}
	path = c.route.Path
	if o := st.operation(c.route); o != nil {
		path = o.Fill(values)
		if o.Body != nil {
			body = harness.Reachable(o.Example, "http://127.0.0.1:9")
		}
	} else {
		path = strings.NewReplacer("{file}", "start.js", "{code}", "not_found").Replace(path)
	}
	if expect(c) == permitted {
		path += "?" + stray + "=1"
	}
	return c.route.Method, path, body, headers
}

const stray = "no_such_parameter"

// judge says what is wrong with the answer, "" when nothing is.
func judge(c cell, a harness.Answer) string {
	want := expect(c)
	if want != permitted {
		if a.Status != int(want) {
			return fmt.Sprintf("status %d, want %d: %.300s", a.Status, want, a.Body)
		}
		return ""
	}
	var p harness.Problem
	if json.Unmarshal(a.Body, &p) != nil || a.Status != http.StatusBadRequest || len(p.Errors) != 1 || p.Errors[0].Field != stray {
		return fmt.Sprintf("status %d, want to come in, up to the parameter that is not known: %.300s", a.Status, a.Body)
	}
	return ""
}

// TestMatrix calls every route as every role with every form of credential.
func TestMatrix(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.own, st.other = st.newEstate(t), st.newEstate(t)
	var all []cell
	for _, route := range st.table {
		all = append(all, cells(route)...)
	}
	began := time.Now()
	called := make([]atomic.Int64, len(all))
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(all) || t.Context().Err() != nil {
					return
				}
				c := all[i]
				method, path, body, headers := st.request(c)
				req, err := st.client.Request(t.Context(), method, path, body, headers...)
				if err != nil {
					t.Error(err)
					return
				}
				a, err := st.client.Peek(req)
				if err != nil {
					t.Errorf("%s %s as %q with %s: %v", c.route.Method, c.route.Path, c.role, c.form, err)
					return
				}
				called[i].Add(1)
				if wrong := judge(c, a); wrong != "" {
					t.Errorf("%s %s as %q with %s: %s", c.route.Method, c.route.Path, c.role, c.form, wrong)
				}
			}
		})
	}
	group.Wait()
	counts := map[verdict]int{}
	covered := map[string]bool{}
	for i, c := range all {
		if called[i].Load() == 1 {
			counts[expect(c)]++
			covered[c.route.Method+c.route.Path+"|"+string(c.role)] = true
		}
	}
	if want := len(st.table) * len(roles()); len(covered) != want {
		t.Errorf("%d of %d pairs of route and role were called", len(covered), want)
	}
	t.Logf("%d routes × %d roles (100 %%) × up to %d forms = %d requests in %s: %d let in, 400 %d, 401 %d, 403 %d, 404 %d",
		len(st.table), len(roles()), len(forms()), len(all), time.Since(began).Round(time.Millisecond),
		counts[permitted], counts[400], counts[401], counts[403], counts[404])
}

// TestWhoMayDoes sends what the matrix only tried at the door: each role calls every route with a request
// that works, in a tenant of its own. Who may is answered otherwise than with 401, 403 or a failure.
func TestWhoMayDoes(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.own = st.newEstate(t)
	succeeded := map[string]bool{}
	for _, role := range roles() { // the service role is the last: what it stops, it stops for all
		e := st.own
		if role.Can(auth.RunUpdate) { // the roles before change nothing
			e = st.newEstate(t)
		}
		for _, r := range inOrder(st.table) {
			o := st.operation(r)
			if o == nil {
				continue
			}
			c := cell{route: r, role: role, form: goodToken}
			headers := e.present(c)
			if role == auth.RoleService && r.Permission != auth.PlatformManage {
				headers = append(headers, auth.TenantHeader, e.ID.String())
			}
			var body any
			if o.Body != nil {
				body = harness.Reachable(o.Example, "http://127.0.0.1:9")
			}
			req, err := st.client.Request(t.Context(), r.Method, o.Fill(e.ids), body, headers...)
			if err != nil {
				t.Fatal(err)
			}
			a, err := st.client.Peek(req)
			if err != nil {
				t.Fatalf("%s as %q: %v", o.Name(), role, err)
			}
			if a.Status/100 == 2 {
				succeeded[o.ID] = true
			}
			if wrong := judgeWorking(c, a); wrong != "" {
				t.Errorf("%s as %q: %s", o.Name(), role, wrong)
			}
		}
	}
	var never []string
	for _, o := range st.doc.Operations {
		if !succeeded[o.ID] {
			never = append(never, o.ID)
		}
	}
	t.Logf("%d of %d operations succeeded with the request that the description shows; not %v", len(succeeded), len(st.doc.Operations), never)
	if len(never) > len(st.doc.Operations)/4 {
		t.Errorf("the requests that the description shows do not work: %v", never)
	}
}

// inOrder puts what only looks first and what takes away last.
func inOrder(table []api.Entry) []api.Entry {
	rank := func(r api.Entry) int {
		switch {
		case r.Method == http.MethodGet:
			return 0
		case r.Creates:
			return 1
		case r.Method == http.MethodDelete:
			return 4
		case r.Method == http.MethodPost:
			return 3
		}
		return 2
	}
	sorted := slices.Clone(table)
	slices.SortStableFunc(sorted, func(a, b api.Entry) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Count(b.Path, "/") - strings.Count(a.Path, "/") // what is inside goes before what holds it
	})
	return sorted
}

func judgeWorking(c cell, a harness.Answer) string {
	if want := expect(c); want != permitted {
		if a.Status != int(want) {
			return fmt.Sprintf("status %d, want %d: %.300s", a.Status, want, a.Body)
		}
		return ""
	}
	var p harness.Problem
	_ = json.Unmarshal(a.Body, &p) // no problem: no code
	switch {
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden && p.Code != "tenant_suspended":
	case a.Status >= 500 && p.Code != "paused":
	default:
		return ""
	}
	return fmt.Sprintf("status %d, want to be let in: %.300s", a.Status, a.Body)
}
