package app

import (
	"fmt"
	"os"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/telemetry"
)

func newMetrics(c config.Metrics) *telemetry.Metrics {
	b := c.Buckets
	return telemetry.New(telemetry.Options{
		Off: !c.On, MaxTenants: c.MaxTenants, MaxSeries: c.MaxSeries, Window: c.Window,
		Native: c.Native, NativeFactor: c.NativeFactor, NativeBuckets: c.NativeBuckets,
		MaxModels: c.MaxModels, MaxTools: c.MaxTools, MaxActiveRuns: &c.MaxActiveRuns,
		Buckets: telemetry.Buckets{
			HTTP: b.HTTP.Seconds(), RunDuration: b.RunDuration.Seconds(), QueueWait: b.QueueWait.Seconds(), FirstToken: b.FirstToken.Seconds(),
			Cancel: b.Cancel.Seconds(), ModelCall: b.ModelCall.Seconds(), ToolCall: b.ToolCall.Seconds(), ConnectorLag: b.ConnectorLag.Seconds(),
			ScheduleLag: b.ScheduleLag.Seconds(),
		},
	})
}

// processName is how the process calls itself to those who ask what it measured.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}
