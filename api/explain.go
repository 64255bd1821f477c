package api

import (
	"context"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/runs"
)

// ExplainRoutes is the one route that says why a run does not move.
func ExplainRoutes(service *runs.Service) []Route {
	return []Route{
		Handle("GET", "/v1/runs/{run_id}/explain", auth.RunRead, Meta{
			ID: "explainRun", Tag: tagRuns, Summary: "Learn why a run does not move",
			Description: "The reasons by a closed list of codes, each with a sentence and facts, and what happens next. When Temporal cannot be asked the answer says so (`engine_away`) and gives what is known without it.",
		}, func(ctx context.Context, in *runPath) (runs.Explanation, error) {
			return service.Explain(ctx, in.RunID)
		}),
	}
}
