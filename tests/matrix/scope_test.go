package matrix

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/api"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/contract"
	"github.com/larirun/lari/tests/harness"
)

// causesRuns lists the operations after which a run may start that would not have started without them.
func causesRuns() []string {
	return []string{
		"createRun", "createRunAndWait", "createRunAndStream", "retryRun", "forkRun",
		"createSchedule", "updateSchedule", "resumeSchedule", "triggerSchedule", "backfillSchedule",
	}
}

// routesOutputs lists the operations that decide where outputs go, or show what was sent.
func routesOutputs() []string {
	return []string{"createWebhook", "updateWebhook", "enableWebhook", "testWebhook", "redeliver", "listDeliveries", "getDelivery"}
}

func TestTable_NeedsRunCreateToCauseRunsAndRunReadToRouteOutputs(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	byID := map[string]api.Entry{}
	for _, r := range st.table {
		byID[r.ID] = r
	}
	for needed, ids := range map[auth.Permission][]string{auth.RunCreate: causesRuns(), auth.RunRead: routesOutputs()} {
		for _, id := range ids {
			if r, ok := byID[id]; !ok || !slices.Contains(r.Permissions(), needed) {
				t.Errorf("%s needs %v, without %s", id, r.Permissions(), needed)
			}
		}
	}
	// A field that names a receiver needs run:read wherever it stands.
	for _, o := range st.doc.Operations {
		for _, place := range fieldsNamed(st.doc, o.Body, "webhook_url", "", 0) {
			r := byID[o.ID]
			guarded := slices.ContainsFunc(r.Fields, func(f api.GuardedField) bool {
				return f.Name == place && f.Permission == auth.RunRead && len(f.Values) == 0
			})
			if !guarded {
				t.Errorf("%s takes %s without %s", o.ID, place, auth.RunRead)
			}
		}
	}
}

// fieldsNamed gives the places of the properties with the name in a schema.
func fieldsNamed(doc *contract.Document, s contract.Schema, name, prefix string, depth int) (places []string) {
	s = doc.Resolve(s)
	properties, _ := s["properties"].(map[string]any)
	for property, inner := range properties {
		if property == name {
			places = append(places, prefix+name)
		}
		if sub, ok := inner.(map[string]any); ok && depth < 6 {
			places = append(places, fieldsNamed(doc, sub, name, prefix+property+".", depth+1)...)
		}
	}
	for _, either := range []string{"anyOf", "oneOf", "allOf"} {
		branches, _ := s[either].([]any)
		for _, b := range branches {
			if sub, ok := b.(map[string]any); ok && depth < 6 {
				places = append(places, fieldsNamed(doc, sub, name, prefix, depth+1)...)
			}
		}
	}
	return places
}

// TestGuardedFields_NeedTheirPermission sends each guarded field with keys that hold the route's permissions, without
// and with the field's own.
func TestGuardedFields_NeedTheirPermission(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.own = st.newEstate(t)
	conn, checked := st.system.Database.Conn(t), 0
	key := func(scopes ...auth.Permission) string {
		plain, prefix, hash, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `insert into api_keys (id, tenant_id, name, prefix, hash, role, scopes, created_by)
			values ($1, $2, 'guard', $3, $4, 'owner', $5, 'test')`, uuid.New(), st.own.ID, prefix, hash, scopes); err != nil {
			t.Fatal(err)
		}
		return plain
	}
	for _, r := range st.table {
		for _, f := range r.Fields {
			if slices.Contains(r.Permissions(), f.Permission) {
				t.Errorf("%s: the route needs the permission of %s anyway", r.ID, f.Name)
			}
			values := f.Values
			if len(values) == 0 {
				values = []string{"https://example.com/hook"}
			}
			o := st.operation(r)
			without, with := key(r.Permissions()...), key(append(r.Permissions(), f.Permission)...)
			send := func(key string, body any) harness.Answer {
				req, err := st.client.Request(t.Context(), r.Method, o.Fill(st.own.ids), harness.Reachable(body, "http://127.0.0.1:9"), "X-Api-Key", key)
				if err != nil {
					t.Fatal(err)
				}
				a, err := st.client.Peek(req)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			for _, v := range values {
				body := withField(t, o.Example, f.Name, v)
				if a := send(without, body); a.Status != 403 {
					t.Errorf("%s with %s %q and without %s: status %d: %.200s", r.ID, f.Name, v, f.Permission, a.Status, a.Body)
				}
				if a := send(with, body); a.Status == 403 || a.Status == 401 {
					t.Errorf("%s with %s %q and with %s: status %d: %.200s", r.ID, f.Name, v, f.Permission, a.Status, a.Body)
				}
				checked++
			}
			if a := send(without, withField(t, o.Example, f.Name, nil)); a.Status == 403 {
				t.Errorf("%s without %s needs %s: %.200s", r.ID, f.Name, f.Permission, a.Body)
			}
		}
	}
	if checked == 0 {
		t.Error("no field was checked")
	}
}

// withField gives the example with the field set, or without it for nil.
func withField(t *testing.T, example any, name string, value any) any {
	t.Helper()
	text, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{}
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatal(err)
	}
	at := body
	for before, after, more := strings.Cut(name, "."); ; before, after, more = strings.Cut(after, ".") {
		if !more {
			if delete(at, before); value != nil {
				at[before] = value
			}
			return body
		}
		inner, ok := at[before].(map[string]any)
		if !ok {
			inner = map[string]any{"input": "hello"} // of the template of a schedule's runs
			at[before] = inner
		}
		at = inner
	}
}
