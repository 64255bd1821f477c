package integration

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/tests/harness"
)

// TestAuditLog_IsHeldAgainstItsAnchor anchors the log of a tenant in a file while the program runs, and verifies it over HTTP before
// and after somebody with the database has rewritten it with its head.
func TestAuditLog_IsHeldAgainstItsAnchor(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.Audit.AnchorFile, cfg.Audit.AnchorEvery = filepath.Join(t.TempDir(), "anchors.ndjson"), time.Second
	x := s.StartWith(t, cfg, harness.All).NewTenant(t, agents.Config{})
	x.Do(t, "POST", "/v1/runs/wait", `{"input": "Hello"}`).Want(t, 200)
	verify := func() (v audit.Verdict) {
		x.Do(t, "GET", "/v1/audit-logs/verify", nil).Want(t, 200, &v)
		return v
	}
	harness.Eventually(t, time.Minute, "the log is anchored", func() bool { v := verify(); return v.Valid && v.Anchor != nil })
	anchored := verify().Anchor
	tx, err := s.Database.Conn(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`set local session_replication_role = replica`, `delete from audit_logs`, `update audit_heads set position = 0, hash = decode(repeat('00', 32), 'hex')`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := verify(); v.Valid || v.Broken.Fault != audit.FaultAnchor || v.Anchor.Position < anchored.Position {
		t.Errorf("judged %+v, broken %+v", v, v.Broken)
	}
}
