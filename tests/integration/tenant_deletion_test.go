package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
	"github.com/larirun/lari/workflows"
)

func deletionOf(t *testing.T, operator, x *harness.Tenant) tenants.Deletion {
	t.Helper()
	var d tenants.Deletion
	operator.Do(t, "GET", "/v1/tenants/"+x.ID.String()+"/deletion", nil).Want(t, 200, &d)
	return d
}

// schedule makes a schedule of the tenant in Temporal, as the domain of schedules marks its own.
func schedule(t *testing.T, s *harness.System, x *harness.Tenant) {
	t.Helper()
	_, err := s.Temporal.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: x.ID.String() + "/schedule/nightly", Paused: true, Spec: client.ScheduleSpec{CronExpressions: []string{"0 3 * * *"}},
		Action:                &client.ScheduleWorkflowAction{ID: "nightly", Workflow: "Nothing", TaskQueue: "nowhere"},
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.TenantID.ValueSet(x.ID.String())),
	})
	must(t, err)
}

func schedules(ctx context.Context, t *testing.T, s *harness.System) (n int) {
	t.Helper()
	list, err := s.Temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{Query: "TenantId is not null"})
	must(t, err)
	for list.HasNext() {
		if _, err := list.Next(); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestDeleteATenantThatIsBusy deletes a tenant while it runs, waits and has a schedule; another one goes on.
func TestDeleteATenantThatIsBusy(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "long", Reply: endless()}, fakellm.Rule{Contains: "sum", Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression": "1+1"}`)})
	p := s.Start(t, harness.All)
	operator := platform(t, p)
	x, other := p.NewTenant(t, asking("calculator", 3600)), p.NewTenant(t, agents.Config{})
	long := x.StartRun(t, `{"input": "a long story"}`)
	x.Follow(t, long.ID, 0).Until(t, event.MessageDelta)
	waiting := x.StartRun(t, `{"input": "the sum"}`)
	x.Follow(t, waiting.ID, 0).Until(t, event.ApprovalRequested)
	theirs := other.StartRun(t, `{"input": "a long story"}`)
	schedule(t, s, x)
	schedule(t, s, other)
	harness.Eventually(t, within, "Temporal lists the schedules", func() bool { return schedules(t.Context(), t, s) == 2 })

	at := "/v1/tenants/" + x.ID.String()
	operator.Do(t, "DELETE", at+"?grace_seconds=-1", nil).WantProblem(t, 422, "validation_failed")
	operator.Do(t, "DELETE", at+"?grace_seconds=soon", nil).WantProblem(t, 400, "malformed_request")
	operator.Do(t, "GET", at+"/deletion", nil).WantProblem(t, 404, "not_found")
	var d tenants.Deletion
	asked := operator.Do(t, "DELETE", at+"?grace_seconds=0&reason=The+contract+ended.", nil, "X-Request-Id", "delete")
	asked.Want(t, 202, &d)
	if asked.Header.Get("Location") != at+"/deletion" || d.RequestedBy != "operator" || d.Slug != x.Slug {
		t.Errorf("asked for %+v", d)
	}
	harness.Eventually(t, 2*within, "the deletion is complete", func() bool { d = deletionOf(t, operator, x); return d.Phase.Over() })
	if d.Phase != tenants.Completed || d.Error != "" || d.RowsErased == 0 || d.RowsExported == 0 || d.Audit == nil || d.ManifestSHA256 == "" {
		t.Errorf("the deletion is %+v", d)
	}
	if _, err := os.Stat(filepath.Join(d.ExportPath, tenants.ManifestFile)); err != nil {
		t.Error(err)
	}
	harness.Eventually(t, within, "the tombstone of its audit log is signed", func() bool {
		end := deletionOf(t, operator, x).Audit
		return end != nil && end.Signature != nil && end.KeyID != nil && end.ErasedAt != nil
	})
	wantGone(t, s, x)
	if n := schedules(t.Context(), t, s); n != 1 {
		t.Errorf("%d schedules are left, want the other tenant's", n)
	}
	harness.Eventually(t, within, "no workflow of it is open", func() bool {
		open, err := s.Temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "TenantId = '" + x.ID.String() + "' AND WorkflowType = 'Nothing' AND ExecutionStatus = 'Running'",
		})
		return err == nil && len(open.GetExecutions()) == 0
	})
	x.Do(t, "GET", at, nil).WantProblem(t, 404, "not_found")
	x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`)
	operator.Do(t, "POST", at+"/deletion/cancel", nil).WantProblem(t, 409, "conflict")
	operator.Do(t, "DELETE", at, nil).WantProblem(t, 404, "not_found")
	if r := other.FindRun(t, theirs.ID); r.Status != "running" {
		t.Errorf("the other tenant's run is %s", r.Status)
	}
	other.Do(t, "POST", "/v1/runs/"+theirs.ID.String()+"/cancel?wait=true", `{"reason": "enough"}`).Want(t, 200)
	// The slug is free again.
	operator.Do(t, "POST", "/v1/tenants", `{"slug": "`+x.Slug+`"}`).Want(t, 201)
}

// wantGone demands that no table holds a row of the tenant, but for the record of its deletion.
func wantGone(t *testing.T, s *harness.System, x *harness.Tenant) {
	t.Helper()
	conn := s.Database.Conn(t)
	rows, err := conn.Query(t.Context(), `select table_name from information_schema.columns join information_schema.tables using (table_schema, table_name)
		where table_schema = 'public' and column_name = 'tenant_id' and table_type = 'BASE TABLE' and table_name not in ('tenant_deletions', 'audit_tombstones')`)
	must(t, err)
	var tables []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	must(t, rows.Err())
	if len(tables) < 20 {
		t.Fatalf("only the tables %v have a tenant", tables)
	}
	for _, name := range tables {
		var n int
		must(t, conn.QueryRow(t.Context(), `select count(*) from `+name+` where tenant_id = $1`, x.ID).Scan(&n))
		if n > 0 {
			t.Errorf("%s holds %d rows", name, n)
		}
	}
}

// A tenant has more open workflows than a page of Temporal's list, and the time in which they may stop is over. Nothing is
// erased before all of them have ended.
func TestDeletion_EndsEveryWorkflowBeforeItErases(t *testing.T) {
	t.Parallel()
	const open = 450 // two pages of Temporal's list, and a bit
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true}) // no worker: the test takes each step
	x := p.NewTenant(t, agents.Config{})
	var starts errgroup.Group
	starts.SetLimit(8)
	for i := range open {
		starts.Go(func() error {
			_, err := s.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: fmt.Sprintf("%s/open/%d", x.ID, i), TaskQueue: "nowhere",
				TypedSearchAttributes: temporal.NewSearchAttributes(workflows.TenantID.ValueSet(x.ID.String())),
			}, "Nothing")
			return err
		})
	}
	must(t, starts.Wait())
	running := func() int64 {
		n, err := s.Temporal.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Query: "TenantId = '" + x.ID.String() + "' AND ExecutionStatus = 'Running'",
		})
		must(t, err)
		return n.GetCount()
	}
	harness.Eventually(t, within, "Temporal lists the workflows", func() bool { return running() == open })
	deps := p.App.Deletion.DeletionDeps
	deps.StopWithin, deps.ExportDir = time.Nanosecond, t.TempDir()
	deletions := tenants.NewDeletions(deps)
	d, err := deletions.Request(x.Context(t.Context()), tenants.DeletionRequest{})
	must(t, err)
	for phase := d.Phase; phase == tenants.Waiting || phase == tenants.Stopping; {
		_, err := deletions.Advance(t.Context(), x.ID, d.ID)
		must(t, err)
		now, err := deletions.Find(x.Context(t.Context()))
		must(t, err)
		phase = now.Phase
	}
	var left atomic.Int64
	for i := range open { // each by itself: Temporal's list lags behind
		starts.Go(func() error {
			found, err := s.Temporal.DescribeWorkflowExecution(t.Context(), fmt.Sprintf("%s/open/%d", x.ID, i), "")
			if err == nil && found.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
				left.Add(1)
			}
			return err
		})
	}
	must(t, starts.Wait())
	if n := left.Load(); n > 0 {
		t.Errorf("%d workflows are open when the tenant is erased", n)
	}
}

func TestADeletionIsTakenBack(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	operator, x := platform(t, p), p.NewTenant(t, agents.Config{})
	at := "/v1/tenants/" + x.ID.String()
	operator.Do(t, "POST", at+"/deletion/cancel", nil).WantProblem(t, 404, "not_found")
	operator.Do(t, "DELETE", at, nil).Want(t, 202) // a day's grace, by default
	var d tenants.Deletion
	operator.Do(t, "DELETE", at+"?grace_seconds=0", nil).Want(t, 202, &d)
	if d.Phase != tenants.Waiting || time.Until(d.EraseAt.Time) < 23*time.Hour {
		t.Errorf("asked again: %+v", d)
	}
	var got tenants.Tenant
	x.Do(t, "GET", at, nil).Want(t, 200, &got)
	if got.Status != tenants.Deleting {
		t.Errorf("the tenant is %+v", got)
	}
	for range 2 {
		operator.Do(t, "POST", at+"/deletion/cancel", nil).Want(t, 200, &d)
	}
	if d.Phase != tenants.Cancelled || *d.CancelledBy != "operator" {
		t.Errorf("cancelled %+v", d)
	}
	// Its workflow does not sleep for a day.
	ctx, stop := context.WithTimeout(t.Context(), pace.Patience*within)
	defer stop()
	must(t, s.Temporal.GetWorkflow(ctx, workflows.DeletionWorkflowID(x.ID), "").Get(ctx, nil))
	x.Do(t, "GET", at, nil).Want(t, 200, &got)
	if got.Status != tenants.Active {
		t.Errorf("the tenant is %+v", got)
	}
	r := x.StartRun(t, `{"input": "hello"}`)
	x.Follow(t, r.ID, 0).Rest(t)
}
