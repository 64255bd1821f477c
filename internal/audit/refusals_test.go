package audit_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// A caller who is refused over and over is in the log twice: with the first refusal, and with the number of the others.
func TestRefusals_AreAggregatedByCallerRouteAndCode(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	one, _ := db.Tenant(t, "one")
	other, _ := db.Tenant(t, "other")
	s := audit.NewService(db.DB, &counter{}, nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.RunAppender(ctx) })
	call := func(tenant context.Context, actor, operation string, code fault.Code, outcome string) {
		_, err := s.AddCall(tenant, audit.Call{
			Actor: actor, Operation: operation, Method: "POST", Route: "/v1/" + operation, ResourceType: "run", ResourceID: "r-1", RequestID: "req-1",
			ClientIP: netip.MustParseAddr("192.0.2.1"), Outcome: outcome, Status: 403, Code: code,
		}, false)
		if err != nil {
			t.Error(err)
		}
	}
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() {
			for range 125 {
				call(one, "eve", "createRun", fault.Forbidden, audit.Refused)
			}
		})
	}
	flood.Wait()
	call(one, "eve", "createRun", fault.QuotaExceeded, audit.Refused)
	call(one, "eve", "cancelRun", fault.Forbidden, audit.Refused)
	call(one, "mallory", "createRun", fault.Forbidden, audit.Refused)
	call(other, "eve", "createRun", fault.Forbidden, audit.Refused)
	for range 3 { // what broke may have changed something: each is an entry
		call(one, "eve", "createRun", fault.Unavailable, audit.Failure)
	}
	stop() // what is counted is written when the process ends
	running.Wait()
	found, err := s.FindAll(one, audit.Filter{}, page.Request{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	repeated := map[string]int{}
	for _, e := range found.Items {
		var data struct {
			Code     string `json:"code"`
			Repeated int    `json:"repeated"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if data.Repeated > 0 && (e.ResourceID != "" || e.RequestID != "" || e.Outcome != audit.Refused) {
			t.Errorf("an entry of many is %+v", e)
		}
		repeated[e.Actor+" "+e.Action+" "+data.Code] += max(data.Repeated, 1)
	}
	if len(found.Items) != 8 || repeated["eve createRun forbidden"] != 1000 || repeated["eve createRun unavailable"] != 3 ||
		repeated["eve createRun quota_exceeded"] != 1 || repeated["eve cancelRun forbidden"] != 1 || repeated["mallory createRun forbidden"] != 1 {
		t.Errorf("%d entries: %v", len(found.Items), repeated)
	}
	if found, err := s.FindAll(other, audit.Filter{}, page.Request{Limit: 200}); err != nil || len(found.Items) != 1 {
		t.Errorf("the other tenant has %d entries, error %v", len(found.Items), err)
	}
}
