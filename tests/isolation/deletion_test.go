package isolation

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
)

// idle is an engine and its runs where nothing runs: this package is about rows.
type idle struct{}

func (idle) StartDeletion(context.Context, uuid.UUID, uuid.UUID) error { return nil }
func (idle) HurryDeletion(context.Context, uuid.UUID) error            { return nil }
func (idle) EndSchedules(context.Context, uuid.UUID) error             { return nil }
func (idle) StopRuns(context.Context, time.Time, string) (int, error)  { return 0, nil }
func (idle) DeletionBegan(context.Context, tenants.Deletion) error     { return nil }
func (idle) LogErased(context.Context) error                           { return nil }
func (idle) EndWorkflows(context.Context, uuid.UUID, time.Time) (int, error) {
	return 0, nil
}

func newDeletions(d *pgtest.Database, folder string, batch int) *tenants.Deletions {
	return tenants.NewDeletions(tenants.DeletionDeps{
		DB: d.DB, Engine: idle{}, Runs: idle{}, Auditor: idle{}, ExportDir: folder, Logger: slog.New(slog.DiscardHandler), Batch: batch,
	})
}

func (f *fixture) acting(ctx context.Context) context.Context {
	return scope.With(ctx, scope.Scope{Tenant: f.tenant, Actor: "operator"})
}

// content is all that the database holds of a tenant, by table.
func content(t *testing.T, conn *pgx.Conn, tables []table, tenant uuid.UUID) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, tb := range tables {
		all[tb.name] = column1[string](t, conn, fmt.Sprintf(`select coalesce(string_agg(x::text, E'\n' order by x::text), '') from %s x where %s = $1`, tb.ident(), tb.tenantColumn), tenant)[0]
	}
	return all
}

// TestADeletedTenantLeavesNothing deletes a tenant that has a row in every table there is.
func TestADeletedTenantLeavesNothing(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	conn := d.Conn(t)
	tables := catalogue(t, conn)
	a, b := newFixture(t, conn, tables), newFixture(t, conn, tables)
	before, other := content(t, conn, tables, a.tenant), content(t, conn, tables, b.tenant)
	for name, rows := range before {
		if rows == "" {
			t.Fatalf("the fixture has no row of %s", name)
		}
	}
	folder := t.TempDir()
	s := newDeletions(d, folder, 2)
	asked, err := s.Request(a.acting(t.Context()), tenants.DeletionRequest{Export: true, Reason: "The contract ended."})
	if err != nil {
		t.Fatal(err)
	}
	// Each step is taken by another process, as after a crash.
	for n := 0; ; n++ {
		step, err := newDeletions(d, folder, 2).Advance(t.Context(), a.tenant, asked.ID)
		if err != nil || n > 50 {
			t.Fatalf("step %d: %v", n, err)
		}
		if step.Over {
			break
		}
	}
	done, err := s.Find(a.acting(t.Context()))
	if err != nil || done.Phase != tenants.Completed || done.FinishedAt == nil || done.Error != "" || done.Audit == nil || done.Audit.Position != 1 || len(done.Audit.Hash) != 64 {
		t.Fatalf("the deletion is %+v (%v)", done, err)
	}
	for name, rows := range content(t, conn, tables, a.tenant) {
		if rows != "" {
			t.Errorf("%s still holds %s", name, rows)
		}
	}
	for name, rows := range content(t, conn, tables, b.tenant) {
		if rows != other[name] {
			t.Errorf("%s of the other tenant was %s and is %s", name, other[name], rows)
		}
	}
	erased := map[string]int64{}
	for _, c := range done.Tables {
		erased[c.Table] = c.Erased
	}
	for _, tb := range tables {
		if erased[tb.name] != 1 {
			t.Errorf("%d rows of %s are said to be erased, want 1", erased[tb.name], tb.name)
		}
	}
	wantExport(t, done, before)
	if again, err := s.Advance(t.Context(), a.tenant, asked.ID); err != nil || !again.Over {
		t.Errorf("once more: %+v %v", again, err)
	}
	if _, err := s.Request(a.acting(t.Context()), tenants.DeletionRequest{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a tenant that is gone is deleted: %v", err)
	}
}

// wantExport reads an export as its owner will one day.
func wantExport(t *testing.T, d tenants.Deletion, before map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.ExportPath, tenants.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != d.ManifestSHA256 {
		t.Errorf("the manifest is not the one of the record")
	}
	var m tenants.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, tb := range m.Tables {
		told = append(told, tb.Table)
		path := filepath.Join(d.ExportPath, tb.File)
		raw, err := os.ReadFile(path) //nolint:gosec // G304: the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != tb.SHA256 || int64(len(raw)) != tb.Bytes || tb.Rows != 1 {
			t.Errorf("%s is not as the manifest says: %+v", tb.File, tb)
		}
		f, err := os.Open(path) //nolint:gosec // G304: as above
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		zip, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(zip)
		n := int64(0)
		for ; lines.Scan(); n++ {
			var row map[string]any
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
				t.Fatalf("%s: %v: %s", tb.File, err, lines.Bytes())
			}
			if id := row["tenant_id"]; tb.Table != "tenants" && id != d.TenantID.String() {
				t.Errorf("%s holds a row of the tenant %v", tb.File, id)
			}
			if _, hashed := row["hash"]; tb.Table == "api_keys" && hashed {
				t.Error("the export holds the hash of a key")
			}
		}
		if lines.Err() != nil || n != tb.Rows {
			t.Errorf("%s has %d rows (%v)", tb.File, n, lines.Err())
		}
	}
	for name := range before {
		if _, left := m.LeftOut[name]; !left && !slices.Contains(told, name) {
			t.Errorf("%s is neither in the export nor said to be left out", name)
		}
	}
	for _, name := range []string{"webhook_secrets", "webhook_headers"} {
		if m.LeftOut[name] == "" {
			t.Errorf("%s is in the export", name)
		}
	}
	if m.TenantID != d.TenantID.String() || m.DeletionID != d.ID.String() {
		t.Errorf("the manifest is of %s", m.TenantID)
	}
}

// TestACancelledDeletionLeavesAll takes a deletion back in its grace period.
func TestACancelledDeletionLeavesAll(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	conn := d.Conn(t)
	tables := catalogue(t, conn)
	f := newFixture(t, conn, tables)
	ctx := f.acting(t.Context())
	service := tenants.NewService(d.DB)
	if _, err := service.Suspend(ctx, "unpaid"); err != nil {
		t.Fatal(err)
	}
	before := content(t, conn, tables, f.tenant)
	delete(before, "tenants") // its updated_at moves
	_, plain, err := service.CreateKey(scope.With(t.Context(), scope.Scope{Tenant: f.tenant, Actor: "test"}), tenants.NewKey{Name: "k", Role: auth.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	before["api_keys"] = content(t, conn, tables, f.tenant)["api_keys"]
	authenticate := func() error {
		keys, err := auth.NewKeys(service)
		if err != nil {
			t.Fatal(err)
		}
		_, err = keys.Authenticate(t.Context(), plain)
		return err
	}
	s := newDeletions(d, t.TempDir(), 0)
	asked, err := s.Request(ctx, tenants.DeletionRequest{Grace: time.Hour, Export: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Request(ctx, tenants.DeletionRequest{}); err != nil || again.ID != asked.ID || again.EraseAt != asked.EraseAt {
		t.Errorf("asked again: %+v %v", again, err)
	}
	if step, err := s.Advance(t.Context(), f.tenant, asked.ID); err != nil || step.Over || step.Pause < 50*time.Minute {
		t.Errorf("in the grace period: %+v %v", step, err)
	}
	if found, err := service.Find(ctx); err != nil || found.Status != tenants.Deleting || !strings.Contains(found.StatusReason, "erased") {
		t.Errorf("the tenant is %+v (%v)", found, err)
	}
	if err := authenticate(); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key of a tenant that is being deleted: %v", err)
	}
	for what, act := range map[string]func(context.Context) (tenants.Tenant, error){
		"suspend": func(ctx context.Context) (tenants.Tenant, error) { return service.Suspend(ctx, "x") }, "resume": service.Resume,
	} {
		if _, err := act(ctx); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s while it is being deleted: %v", what, err)
		}
	}
	for range 2 {
		if c, err := s.Cancel(ctx); err != nil || c.Phase != tenants.Cancelled || *c.CancelledBy != "operator" {
			t.Fatalf("cancelled: %+v %v", c, err)
		}
	}
	if step, err := s.Advance(t.Context(), f.tenant, asked.ID); err != nil || !step.Over {
		t.Errorf("after it was cancelled: %+v %v", step, err)
	}
	if found, err := service.Find(ctx); err != nil || found.Status != tenants.Suspended || found.StatusReason != "unpaid" {
		t.Errorf("the tenant is %+v (%v), want it suspended as before", found, err)
	}
	if err := authenticate(); err != nil {
		t.Errorf("the key afterwards: %v", err)
	}
	after := content(t, conn, tables, f.tenant)
	for name, rows := range before {
		if after[name] != rows {
			t.Errorf("%s was %s and is %s", name, rows, after[name])
		}
	}
	if _, err := s.Request(ctx, tenants.DeletionRequest{}); err != nil {
		t.Errorf("deleted anew: %v", err)
	}
}

// Whoever cancels while the grace period ends is too late or was first, never both.
func TestCancelledAtTheLastMoment(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := newDeletions(d, t.TempDir(), 0)
	service := tenants.NewService(d.DB)
	for round := range 20 {
		ctx, tenant := d.Tenant(t, fmt.Sprint("t-", round))
		var all sync.WaitGroup
		var asked [4]tenants.Deletion
		for i := range asked { // asked for by several at once, it is one
			all.Go(func() {
				var err error
				if asked[i], err = s.Request(ctx, tenants.DeletionRequest{}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var cancelled error
		all.Go(func() { _, cancelled = s.Cancel(ctx) })
		all.Go(func() {
			if _, err := s.Advance(t.Context(), tenant, asked[0].ID); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		found, err := s.Find(ctx)
		of, err2 := service.Find(ctx)
		if err := errors.Join(err, err2); err != nil || found.ID != asked[0].ID || found.ID != asked[3].ID {
			t.Fatalf("found %s of %v (%v)", found.ID, asked, err)
		}
		switch {
		case found.Phase == tenants.Cancelled && cancelled == nil && of.Status == tenants.Active:
		case found.Phase == tenants.Stopping && fault.Is(cancelled, fault.Conflict) && of.Status == tenants.Deleting:
		default:
			t.Errorf("the deletion is %s, the tenant %s, the cancel gave %v", found.Phase, of.Status, cancelled)
		}
	}
}
