package app

import (
	"fmt"
	"os"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/telemetry"
)

func newMetrics(c config.Metrics) *telemetry.Metrics {
	return telemetry.New(telemetry.Options{MaxTenants: c.MaxTenants, MaxSeries: c.MaxSeries, Window: c.Window, Native: c.Native})
}

// processName is how the process calls itself to those who ask what it measured.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}
