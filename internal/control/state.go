package control

import (
	"github.com/larirun/lari/internal/platform/clock"
)

// State is whether runs begin.
type State string

// The states.
const (
	Running  State = "running"  // runs begin
	Paused   State = "paused"   // none begins; new ones are refused or held
	Draining State = "draining" // none begins; those that have begun finish
	Drained  State = "drained"  // draining, and all have finished
)

// NewRuns is what becomes of a run that somebody wants to begin.
type NewRuns string

// What becomes of new runs.
const (
	Start  NewRuns = "start"
	Hold   NewRuns = "hold" // they are accepted, and begin once the pause is over
	Refuse NewRuns = "refuse"
)

// Scope is what a state is of.
type Scope string

// A tenant, or all of them.
const (
	ScopeTenant   Scope = "tenant"
	ScopePlatform Scope = "platform"
)

// Setting is what was decided for a scope. The zero Setting is running, which nobody had to decide.
type Setting struct {
	State     State
	NewRuns   NewRuns // of a pause
	Reason    string
	ChangedBy string
	ChangedAt *clock.Time
}

// becomes is what new runs meet under the setting alone.
func (s Setting) becomes() NewRuns {
	switch {
	case s.State == Draining, s.State == Paused && s.NewRuns != Hold:
		return Refuse
	case s.State == Paused:
		return Hold
	}
	return Start
}

// strictness orders settings by what they keep from happening.
func (s Setting) strictness() int {
	switch {
	case s.State == Draining:
		return 3
	case s.becomes() == Refuse:
		return 2
	case s.becomes() == Hold:
		return 1
	}
	return 0
}

// Standing is what holds for a tenant: the stricter of its own setting and the platform's.
type Standing struct {
	State     State       `json:"state" enum:"running,paused,draining,drained" description:"Drained is draining with no run left that has begun."`
	Scope     Scope       `json:"scope" enum:"tenant,platform" description:"Whose state this is: the stricter of the tenant's and the platform's holds."`
	NewRuns   NewRuns     `json:"new_runs" enum:"start,hold,refuse" description:"What becomes of a run that is asked for now. Held runs begin when this is over."`
	Reason    string      `json:"reason" description:"As whoever changed the state gave it."`
	ChangedBy string      `json:"changed_by" description:"Who changed the state; platform for the platform's operators; empty: nobody yet."`
	ChangedAt *clock.Time `json:"changed_at" description:"Null: the state was never changed."`
	// TenantStatus keeps new runs away too when it is not active.
	TenantStatus string `json:"tenant_status,omitempty" enum:"active,suspended,deleting" description:"A tenant that is suspended or being deleted begins no run, whatever the state is."`
}

// operators stands for the platform's operators where a tenant looks.
const operators = "platform"

const statusActive = "active"

// standing joins the two settings. Of two that are as strict, the platform's is the one that is named, as
// refusals do.
func standing(own, platform Setting, tenantStatus string) Standing {
	holds, scope, by := own, ScopeTenant, own.ChangedBy
	if platform.strictness() > 0 && platform.strictness() >= own.strictness() {
		holds, scope, by = platform, ScopePlatform, operators
	}
	s := of(holds, scope)
	s.ChangedBy, s.TenantStatus = by, tenantStatus
	if tenantStatus != statusActive {
		s.NewRuns = Refuse
	}
	return s
}

// of shows one setting.
func of(s Setting, scope Scope) Standing {
	state := s.State
	if state == "" {
		state = Running
	}
	return Standing{State: state, Scope: scope, NewRuns: s.becomes(), Reason: s.Reason, ChangedBy: s.ChangedBy, ChangedAt: s.ChangedAt}
}

// after gives the standing once it is known how many runs are under way.
func (s Standing) after(c Counts) Standing {
	if s.State == Draining && c.Active+c.Queued == 0 {
		s.State = Drained
	}
	return s
}

// Counts are runs that have not ended.
type Counts struct {
	Active int64 `json:"active" description:"Runs that have begun and not ended."`
	Queued int64 `json:"queued" description:"Runs that may begin and have not yet."`
	Held   int64 `json:"held" description:"Runs that wait for their time, their thread, a quota, or the end of a pause."`
}
