package telemetry

// defaultMaxActiveRuns bounds the series of lari_runs_active that carry a run's id.
const defaultMaxActiveRuns = 2000

// Buckets are upper bounds in seconds, ascending and without +Inf, of the histograms that may be tuned (LARI_METRICS_BUCKETS_…).
// None: the default.
type Buckets struct {
	HTTP, RunDuration, QueueWait, FirstToken, Cancel, ModelCall, ToolCall, ConnectorLag, ScheduleLag []float64
}

func (b *Buckets) complete() {
	for bounds, fallback := range map[*[]float64][]float64{
		&b.HTTP:         {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		&b.RunDuration:  {.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400},
		&b.QueueWait:    {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		&b.FirstToken:   {.05, .1, .25, .5, 1, 2, 3, 5, 10, 30, 60},
		&b.Cancel:       {.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		&b.ModelCall:    {.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300},
		&b.ToolCall:     {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		&b.ConnectorLag: {.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 300, 3600, 21600},
		&b.ScheduleLag:  {.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600},
	} {
		if len(*bounds) == 0 {
			*bounds = fallback
		}
	}
}
