package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

func TestTemporalMetricsReachTheRegistry(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	handler, closer := m.Temporal(discard())
	tagged := handler.WithTags(map[string]string{"task_queue": "agents-v1"})
	tagged.Counter("temporal_workflow_completed").Inc(3)
	tagged.Gauge("temporal_worker_task_slots_available").Update(200)
	tagged.Timer("temporal_workflow_endtoend_latency").Record(300 * time.Millisecond)
	if err := closer.Close(); err != nil { // flushes
		t.Fatal(err)
	}
	for _, name := range []string{
		"temporal_workflow_completed_total", "temporal_worker_task_slots_available", "temporal_workflow_endtoend_latency_seconds",
	} {
		f := family(t, m, name)
		if f == nil || values(f, "task_queue")["agents_v1"] == nil {
			t.Errorf("%s is not in the registry: %v", name, f)
		}
	}
	if f := family(t, m, "tally_internal_counter_cardinality"); f != nil {
		t.Error("tally exports metrics about itself")
	}
	if got := family(t, m, "temporal_workflow_completed_total").GetMetric()[0].GetCounter().GetValue(); got != 3 {
		t.Errorf("counted %v, want 3", got)
	}
	histogram := family(t, m, "temporal_workflow_endtoend_latency_seconds").GetMetric()[0].GetHistogram()
	if histogram.GetSampleCount() != 1 || histogram.GetSampleSum() != 0.3 {
		t.Errorf("the histogram holds %v", histogram)
	}
}

// A real client against an address where nobody listens: its failed request is counted and logged.
func TestTemporalClientIsObserved(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	handler, closer := m.Temporal(discard())
	var lines bytes.Buffer
	c, err := client.NewLazyClient(client.Options{
		HostPort:       "127.0.0.1:1",
		MetricsHandler: handler,
		Logger:         TemporalLogger(NewLogger(&lines, slog.LevelDebug, "json")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CheckHealth(t.Context(), &client.CheckHealthRequest{}); err == nil {
		t.Fatal("somebody listens on port 1")
	}
	c.Close()
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "temporal_") {
			seen = append(seen, f.GetName())
		}
	}
	if len(seen) == 0 {
		t.Error("the client left no metric")
	}
}

func TestTemporalTwiceDoesNotPanic(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	var lines bytes.Buffer
	log := NewLogger(&lines, slog.LevelInfo, "json")
	for range 2 {
		handler, closer := m.Temporal(log)
		handler.Counter("temporal_request").Inc(1)
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(lines.String(), "is not exported") {
		t.Errorf("the second declaration went unnoticed: %s", lines.String())
	}
}

func TestTemporalLoggerRedacts(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	log := TemporalLogger(NewLogger(&lines, slog.LevelInfo, "json"))
	log.Warn("Activity error.", "Error", "Bearer abcdefghijkl", "ActivityType", "CallModel")
	log.Debug("not at this level")
	got := lines.String()
	if !strings.Contains(got, `"component":"temporal-sdk"`) || !strings.Contains(got, `"ActivityType":"CallModel"`) ||
		strings.Contains(got, "abcdefghijkl") || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %s", got)
	}
}

// The SDK says "Activity error." at level error for each activity that a user stopped.
func TestStoppedActivitiesAreNoErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err   error
		level string
	}{
		"stopped":          {temporal.NewCanceledError(), "DEBUG"},
		"stopped, wrapped": {fmt.Errorf("call: %w", temporal.NewCanceledError()), "DEBUG"},
		"failed":           {temporal.NewApplicationError("no", "model"), "ERROR"},
		"worker goes away": {context.Canceled, "ERROR"},
	} {
		var buffer bytes.Buffer
		log := TemporalLogger(NewLogger(&buffer, slog.LevelDebug, "json"))
		sdklog.With(log, "Namespace", "n").Error("Activity error.", "Attempt", 1, "Error", test.err)
		if line := decode(t, buffer.Bytes()); line["level"] != test.level || line["component"] != "temporal-sdk" || line["Namespace"] != "n" {
			t.Errorf("%s: logged %s, want level %s", name, buffer.String(), test.level)
		}
		buffer.Reset()
		TemporalLogger(NewLogger(&buffer, slog.LevelInfo, "json")).Error("Activity error.", "Error", test.err)
		if silent := buffer.Len() == 0; silent != (test.level == "DEBUG") {
			t.Errorf("%s: above debug it logs %q", name, buffer.String())
		}
	}
}
