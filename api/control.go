package api

import (
	"context"

	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/platform/auth"
)

const tagControl = "control"

// ControlRoutes is the family of what executes runs, and whether they begin: for a tenant, and for all.
func ControlRoutes(service *control.Service) []Route {
	h := controlHandlers{service}
	return []Route{
		Handle("GET", "/v1/control/daemon", auth.AgentManage, Meta{
			ID: "getDaemon", Tag: tagControl, Summary: "See what executes the tenant's runs",
			Description: "Whether runs begin, how many have not ended, and what executes them: workers by build, task queues with their backlog, the reconciler, Temporal. " +
				"Never fails because Temporal is away: a part that cannot be had says so in `unavailable`. Figures of Temporal are up to two seconds old, backlogs up to seven.",
		}, h.daemon),
		Handle("POST", "/v1/control/daemon/pause", auth.AgentManage, Meta{
			ID: "pauseDaemon", Tag: tagControl, Summary: "Begin no more runs of the tenant",
			Description: "Runs that have begun go on. New ones are refused with 503 or, with `new_runs` `hold`, accepted and begun after the resume. Saying the same twice changes nothing.",
		}, h.pause),
		Handle("POST", "/v1/control/daemon/resume", auth.AgentManage, Meta{
			ID: "resumeDaemon", Tag: tagControl, Summary: "Begin runs of the tenant again",
			Description: "Ends the tenant's own pause or drain; what holds for the whole platform stays, and the answer says so.",
		}, h.resume),
		Handle("POST", "/v1/control/daemon/drain", auth.AgentManage, Meta{
			ID: "drainDaemon", Tag: tagControl, Summary: "Let the tenant's runs finish and begin no more",
			Description: "New runs are refused with 503. The state is `draining` while runs are under way, and `drained` once none is.",
		}, h.drain),
		Handle("GET", "/v1/control/platform", auth.PlatformManage, Meta{
			ID: "getPlatform", Tag: tagControl, Summary: "See what executes the runs of all tenants",
			Description: "As for a tenant, with the runs of all of them and every worker process by its name.",
		}, h.platform),
		Handle("POST", "/v1/control/platform/pause", auth.PlatformManage, Meta{
			ID: "pausePlatform", Tag: tagControl, Summary: "Begin no more runs of any tenant", Description: "As for a tenant.",
		}, h.pausePlatform),
		Handle("POST", "/v1/control/platform/resume", auth.PlatformManage, Meta{
			ID: "resumePlatform", Tag: tagControl, Summary: "Begin runs again", Description: "What a tenant has paused itself stays.",
		}, h.resumePlatform),
		Handle("POST", "/v1/control/platform/drain", auth.PlatformManage, Meta{
			ID: "drainPlatform", Tag: tagControl, Summary: "Let all runs finish and begin no more", Description: "As for a tenant.",
		}, h.drainPlatform),
	}
}

type controlHandlers struct{ service *control.Service }

type controlReason struct {
	Reason string `json:"reason,omitempty" validate:"max=500" description:"Is recorded, and shown to whoever is refused." example:"maintenance until 14:00"`
}

type controlPause struct {
	controlReason
	NewRuns control.NewRuns `json:"new_runs,omitempty" validate:"omitempty,oneof=refuse hold" enum:"refuse,hold" default:"refuse" description:"What becomes of runs that are asked for meanwhile."`
}

func (p controlPause) change() control.Change {
	return control.Change{Reason: p.Reason, NewRuns: p.NewRuns}
}

func (h controlHandlers) daemon(ctx context.Context, _ *None) (control.Daemon, error) {
	p := auth.From(ctx)
	return h.service.Daemon(ctx, p != nil && p.Service)
}

func (h controlHandlers) pause(ctx context.Context, in *controlPause) (control.Daemon, error) {
	return h.shown(ctx, h.service.Pause(ctx, in.change()))
}

func (h controlHandlers) resume(ctx context.Context, in *controlReason) (control.Daemon, error) {
	return h.shown(ctx, h.service.Resume(ctx, in.Reason))
}

func (h controlHandlers) drain(ctx context.Context, in *controlReason) (control.Daemon, error) {
	return h.shown(ctx, h.service.Drain(ctx, in.Reason))
}

// shown answers a change with the view that follows it.
func (h controlHandlers) shown(ctx context.Context, err error) (control.Daemon, error) {
	if err != nil {
		return control.Daemon{}, err
	}
	return h.daemon(ctx, nil)
}

func (h controlHandlers) platform(ctx context.Context, _ *None) (control.Platform, error) {
	return h.service.Platform(ctx)
}

func (h controlHandlers) pausePlatform(ctx context.Context, in *controlPause) (control.Platform, error) {
	return h.shownPlatform(ctx, h.service.PausePlatform(ctx, in.change()))
}

func (h controlHandlers) resumePlatform(ctx context.Context, in *controlReason) (control.Platform, error) {
	return h.shownPlatform(ctx, h.service.ResumePlatform(ctx, in.Reason))
}

func (h controlHandlers) drainPlatform(ctx context.Context, in *controlReason) (control.Platform, error) {
	return h.shownPlatform(ctx, h.service.DrainPlatform(ctx, in.Reason))
}

func (h controlHandlers) shownPlatform(ctx context.Context, err error) (control.Platform, error) {
	if err != nil {
		return control.Platform{}, err
	}
	return h.service.Platform(ctx)
}
