package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"github.com/DataDog/datadog-go/v5/statsd"
)

// Bounds of the memory that metrics on their way to the agent may take.
const (
	agentPayloads = 128  // of 1432 bytes, full and waiting to be written; more are dropped
	agentSamples  = 2000 // of one series between two flushes (2 s); the client samples what is above
	agentWorkers  = 2
)

// DogStatsDOptions say where Datadog's agent listens.
type DogStatsDOptions struct {
	Network    string // udp or unixgram; "": there is no agent
	Address    string // host:port, or the path of the socket
	MaxTenants int    // tenants with tags of their own; zero: 1000
	Log        *slog.Logger
}

// DogStatsD sends metrics to Datadog's agent. All methods are safe for concurrent use, on nil too (which
// sends nothing), touch memory only and never fail: an agent that is away costs its metrics and nothing
// else. What is sent is declared in dogstatsd_metrics.go.
type DogStatsD struct {
	client     *statsd.Client
	tenants    *labels
	workspaces *labels
	models     *labels
	words      *labels
}

// NewDogStatsD starts a client, nil when the options name no agent. Close ends it.
func NewDogStatsD(o DogStatsDOptions) (*DogStatsD, error) {
	if o.Network == "" {
		return nil, nil //nolint:nilnil // nil is the one that sends nothing
	}
	if o.MaxTenants <= 0 {
		o.MaxTenants = defaultMaxTenants
	}
	// Not the client's channel mode: its Close loses what is still in the channels. Aggregated on this
	// side, a figure is added up under a lock in memory; only the client's own goroutine writes.
	client, err := statsd.NewWithWriter(newAgent(o.Network, o.Address, o.Log),
		statsd.WithExtendedClientSideAggregation(), statsd.WithMaxSamplesPerContext(agentSamples), statsd.WithWorkersCount(agentWorkers),
		statsd.WithSenderQueueSize(agentPayloads), statsd.WithBufferPoolSize(agentPayloads), statsd.WithoutTelemetry(),
		statsd.WithErrorHandler(func(err error) {
			o.Log.DebugContext(context.Background(), "metrics did not reach Datadog's agent", "error", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("prepare the metrics for Datadog: %w", err)
	}
	return &DogStatsD{
		client: client, tenants: newLabels(o.MaxTenants), workspaces: newLabels(maxWorkspaces), models: newLabels(defaultMaxModels), words: newLabels(maxWords + defaultMaxTools),
	}, nil
}

// Close sends what there is, as far as the agent takes it at once, and ends the client.
func (d *DogStatsD) Close() error {
	if d == nil {
		return nil
	}
	if err := d.client.Close(); err != nil {
		return fmt.Errorf("close the metrics for Datadog: %w", err)
	}
	return nil
}

// The client gives errors for a closed client only.

func (d *DogStatsD) count(name string, n int64, tags ...string) {
	_ = d.client.Count(name, n, tags, 1)
}

func (d *DogStatsD) observe(name string, value float64, tags ...string) {
	_ = d.client.Distribution(name, value, tags, 1)
}

func (d *DogStatsD) gauge(name string, value float64, tags ...string) {
	_ = d.client.Gauge(name, value, tags, 1)
}

// tag writes a tag of the wire format, in which a comma ends it and a bar ends all tags.
func tag(key, value string) string {
	return key + ":" + strings.Map(func(r rune) rune {
		if r == ',' || r == '|' || r == unicode.ReplacementChar || unicode.IsControl(r) {
			return '_'
		}
		return r
	}, value)
}

func (d *DogStatsD) owner(tenant, workspace string) []string {
	return []string{tag("tenant_id", d.tenants.label(tenant)), tag("workspace_id", d.workspaces.label(workspace))}
}
