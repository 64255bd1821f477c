package telemetry

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// Three quarters of the places are for whoever comes first; nobody comes often enough for the others.
func TestTenantsAreBoundedUnderConcurrency(t *testing.T) {
	t.Parallel()
	const tenants, places, bound, workers = 5000, 1000, 750, 8
	m := New(Options{MaxTenants: places})
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
		if got := l.admit(step.value, 1); got != step.want {
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

// The last places go to those that come often within a window, and nobody loses one.
func TestActiveTenantsTakeTheLastPlaces(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	l := newLabels(8)
	l.gate = newGate(8, time.Minute, func() time.Time { return now })
	for i := range 6 {
		if got := l.label(fmt.Sprint("first-", i)); got == LabelOther {
			t.Errorf("the place %d was refused", i)
		}
	}
	crowd := 0
	comes := func(name string, times int) (label string) {
		for range times {
			label = l.label(name)
			for range 10 { // a crowd that comes once each, larger than what is watched
				if crowd++; l.label(fmt.Sprint("once-", crowd)) != LabelOther {
					t.Fatal("one that came once took a place")
				}
			}
		}
		return label
	}
	if got := comes("busy", activeEnough-1); got != LabelOther {
		t.Errorf("taken after %d times", activeEnough-1)
	}
	now = now.Add(2 * time.Minute)
	if got := comes("busy", activeEnough-1); got != LabelOther {
		t.Error("what came in another window counts")
	}
	if got := comes("busy", 1); got != "busy" {
		t.Error("not taken although it came often enough")
	}
	if got := comes("busier", activeEnough); got != "busier" {
		t.Error("the last place was refused")
	}
	if got := comes("late", 10*activeEnough); got != LabelOther {
		t.Error("more places than there are")
	}
	now = now.Add(time.Hour)
	for _, name := range []string{"first-0", "busy", "busier"} {
		if got := l.label(name); got != name {
			t.Errorf("%s lost its label", name)
		}
	}
}

func TestSketchNeverOverrates(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	s, truth := newSketch(16), map[string]uint32{}
	for range 20_000 {
		value := fmt.Sprint(int(rng.ExpFloat64() * 10))
		truth[value]++
		if got := s.add(value); got > truth[value] {
			t.Fatalf("%s was seen %d times, counted %d", value, truth[value], got)
		}
		if len(s.heap) > 16 || len(s.at) != len(s.heap) {
			t.Fatalf("%d values in a sketch of 16", len(s.heap))
		}
	}
	for i, x := range s.heap {
		if s.at[x.value] != i || i > 0 && s.heap[(i-1)/2].count > x.count {
			t.Fatal("the heap is out of order")
		}
	}
	if got := s.add("0"); got < truth["0"]/2 { // nearly one in ten
		t.Errorf("the most frequent was seen %d times, counted %d", truth["0"], got)
	}
	if s.forget(); s.add("0") != 1 {
		t.Error("it remembers what it forgot")
	}
}
