package outage

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/harness"
)

// events is how many rows the tenant's largest table has: enough for a worker to die over.
const events = 150_000

// TestKilledWorkerOverADeletion kills the worker while it exports a tenant, and the next one while it erases
// it. The third finishes, and neither the export nor the counts show that anybody died.
func TestKilledWorkerOverADeletion(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x, other := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	token, err := auth.Mint([]byte(harness.Secret), auth.MintConfig{Role: auth.RoleService, Audience: "authenticated", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	operator := &harness.Tenant{URL: p.URL, Token: token}
	conn := s.Database.Conn(t)
	for _, tenant := range []*harness.Tenant{x, other} {
		for _, sql := range []string{
			`insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, finished_at)
				select lari.uuid_v7(), $1, a.id, 1, 'completed', '[]', 1, 1, 1, 'test', now(), now() from agents a, generate_series(1, 300) where a.tenant_id = $1`,
			`insert into run_events (tenant_id, run_id, seq, type, at, data)
				select $1, r.id, n, 'message_delta', now(), jsonb_build_object('text', 'word ' || n) from agent_runs r, generate_series(1, 500) n where r.tenant_id = $1`,
		} {
			if _, err := conn.Exec(t.Context(), sql, tenant.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := "/v1/tenants/" + x.ID.String()
	var d tenants.Deletion
	operator.Do(t, "DELETE", at+"?grace_seconds=0", nil).Want(t, 202, &d)
	look := func() tenants.Deletion {
		var d tenants.Deletion
		operator.Do(t, "GET", at+"/deletion", nil).Want(t, 200, &d)
		return d
	}
	of := func(d tenants.Deletion, table string) (c tenants.TableCount) {
		for _, c := range d.Tables {
			if c.Table == table {
				return c
			}
		}
		return c
	}
	file := filepath.Join(s.Config.ExportDir, x.ID.String(), d.ID.String(), "run_events.ndjson.gz")
	first := s.Spawn(t, program, "worker")
	harness.Eventually(t, time.Minute, "the export is under way", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 10_000
	})
	first.Kill()
	if d := look(); d.Phase != tenants.Exporting {
		t.Logf("the first worker died late, in the phase %s", d.Phase)
	}
	second := s.Spawn(t, program, "worker")
	harness.Eventually(t, 2*time.Minute, "the erasing is under way", func() bool { return of(look(), "run_events").Erased > 0 })
	second.Kill()
	left := look()
	if left.Phase != tenants.Erasing || of(left, "run_events").Erased == events {
		t.Logf("the second worker died late: %+v", left)
	}
	s.Spawn(t, program, "worker")
	harness.Eventually(t, 2*time.Minute, "the deletion is complete", func() bool { d = look(); return d.Phase == tenants.Completed })
	if c := of(d, "run_events"); c.Exported != events || c.Erased != events {
		t.Errorf("of %d events %d were exported and %d erased", events, c.Exported, c.Erased)
	}
	var own, theirs int
	if err := conn.QueryRow(t.Context(), `select count(*) filter (where tenant_id = $1), count(*) filter (where tenant_id = $2) from run_events`, x.ID, other.ID).Scan(&own, &theirs); err != nil {
		t.Fatal(err)
	}
	if own != 0 || theirs != events {
		t.Errorf("%d of its events are left, and %d of the other tenant's", own, theirs)
	}
	wantEvents(t, file, x.ID.String())
}

// wantEvents demands every event once, in order.
func wantEvents(t *testing.T, path, tenant string) {
	t.Helper()
	f, err := os.Open(path) //nolint:gosec // G304: the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines, n := json.NewDecoder(zip), 0
	var last, row struct {
		TenantID string `json:"tenant_id"`
		RunID    string `json:"run_id"`
		Seq      int    `json:"seq"`
	}
	for {
		err := lines.Decode(&row)
		if err == io.EOF { //nolint:errorlint // a decoder gives it as it is
			break
		}
		if err != nil {
			t.Fatalf("after %d rows: %v", n, err)
		}
		if row.TenantID != tenant || row.RunID < last.RunID || row.RunID == last.RunID && row.Seq != last.Seq+1 || row.RunID != last.RunID && row.Seq != 1 {
			t.Fatalf("%+v follows %+v", row, last)
		}
		last = row
		n++
	}
	if n != events {
		t.Errorf("the export holds %d events, want %d", n, events)
	}
}
