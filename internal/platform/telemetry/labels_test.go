package telemetry

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

func TestTenantsAreBoundedUnderConcurrency(t *testing.T) {
	t.Parallel()
	const tenants, bound, workers = 5000, 1000, 8
	m := New(Options{MaxTenants: bound})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range tenants { // each begins elsewhere, so that they race for the last places
				tenant := fmt.Sprintf("tenant-%d", (i+w*tenants/workers)%tenants)
				m.HTTP.Observe(tenant, "/v1/runs", http.MethodGet, http.StatusOK, time.Millisecond)
				m.Runs.Started(tenant, "", time.Millisecond)
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"lari_http_request_duration_seconds", "lari_runs_started_total"} {
		series := values(family(t, m, name), "tenant_id")
		if len(series) != bound+1 {
			t.Errorf("%s has %d tenants, want %d and _other", name, len(series), bound)
		}
	}
	var total, other uint64
	for tenant, metric := range values(family(t, m, "lari_http_request_duration_seconds"), "tenant_id") {
		n := metric.GetHistogram().GetSampleCount()
		total += n
		switch {
		case tenant == LabelOther:
			other = n
		case n != workers: // a label that changed hands would hold more or fewer
			t.Errorf("%s has %d requests, want %d", tenant, n, workers)
		}
	}
	if total != tenants*workers || other != (tenants-bound)*workers {
		t.Errorf("%d requests, %d of them under _other", total, other)
	}
}

func TestLabelsAreStable(t *testing.T) {
	t.Parallel()
	l := newLabels(2)
	for _, step := range []struct{ value, want string }{
		{"a", "a"},
		{"", LabelNone},
		{"\xff", LabelOther},
		{strings.Repeat("x", 201), LabelOther},
		{"b", "b"},
		{"c", LabelOther},
		{"a", "a"},
		{"b", "b"},
		{"c", LabelOther},
	} {
		if got := l.label(step.value); got != step.want {
			t.Errorf("label(%q) = %q, want %q", step.value, got, step.want)
		}
	}
}

// Those who found room under the read lock may find none when they come to take it.
func TestLabelsAdmitLosersOfARace(t *testing.T) {
	t.Parallel()
	l := newLabels(1)
	for _, step := range []struct{ value, want string }{{"a", "a"}, {"a", "a"}, {"b", LabelOther}} {
		if got := l.admit(step.value); got != step.want {
			t.Errorf("admit(%q) = %q, want %q", step.value, got, step.want)
		}
	}
}

// Web frameworks reuse the memory behind the strings of a request.
func TestLabelsOwnTheirMemory(t *testing.T) {
	t.Parallel()
	l := newLabels(2)
	buffer := []byte("acme")
	label := l.label(unsafe.String(&buffer[0], len(buffer))) //nolint:gosec // G103: what a framework without copies hands out
	copy(buffer, "evil")
	if label != "acme" || l.label("acme") != "acme" {
		t.Errorf("the label became %q", label)
	}
}
