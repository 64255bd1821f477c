package runs

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

// QuotaWarning says that a quota of the tenant is nearly used up.
type QuotaWarning struct {
	Quota   string      `json:"quota"`
	Limit   json.Number `json:"limit"`
	Used    json.Number `json:"used"`
	FreesAt *time.Time  `json:"frees_at,omitempty"` // nil: when a run ends
}

// verdict is the database's answer to a run that wants to begin (lari.admit_run).
type verdict struct {
	Hold     Hold           `json:"hold"` // "": it begins now
	Refused  *refusal       `json:"refused"`
	Warnings []QuotaWarning `json:"warnings"`
}

type refusal struct {
	By     string `json:"by"`     // no_tenant, suspended, deleting, paused, draining, quota
	Scope  string `json:"scope"`  // of a pause: tenant or platform
	Reason string `json:"reason"` // as whoever suspended or paused gave it
	QuotaWarning
}

// The pauses that callers are asked to make before another try.
const (
	retryPaused = 30 * time.Second
	retrySlot   = 5 * time.Second // a run may end any moment
)

func (r refusal) fault(at time.Time) *fault.Error {
	why := ""
	if r.Reason != "" {
		why = " Reason: " + r.Reason
	}
	switch r.By {
	case "no_tenant":
		return fault.New(fault.NotFound, "There is no such tenant.")
	case "suspended":
		return fault.New(fault.TenantSuspended, "The tenant is suspended: it begins no new runs.%s", why)
	case "deleting":
		return fault.New(fault.TenantSuspended, "The tenant is being deleted: it begins no new runs.")
	case "paused", "draining":
		return fault.New(fault.Paused, "The %s is %s: no new runs are begun.%s", r.Scope, r.By, why).After(retryPaused)
	}
	detail := fmt.Sprintf("The quota %s is used up: %s of %s.", r.Quota, r.Used, r.Limit)
	if r.FreesAt == nil {
		return fault.New(fault.QuotaExceeded, "%s It frees when a run ends.", detail).After(retrySlot)
	}
	return fault.New(fault.QuotaExceeded, "%s It frees at %s.", detail, r.FreesAt.UTC().Format(time.RFC3339)).
		After(max(r.FreesAt.Sub(at), time.Second))
}
