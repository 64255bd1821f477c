package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/larirun/lari/internal/platform/fault"
)

// Everyone is who sees all series.
const Everyone = ""

const tenantLabel = "tenant_id"

// exposition writes the metrics for callers of the API. Many tenants may ask at once: what was gathered
// serves all who come within a second.
type exposition struct {
	registry prometheus.Gatherer
	now      func() time.Time
	slots    chan struct{} // pages written at a time

	mu   sync.Mutex
	last *gathering
}

// gathering is the metrics at a time. It does not change once done is closed.
type gathering struct {
	until    time.Time
	done     chan struct{}
	err      error
	all      []*dto.MetricFamily
	byTenant map[string][]*dto.MetricFamily
}

func newExposition(registry prometheus.Gatherer, now func() time.Time) *exposition {
	return &exposition{registry: registry, now: now, slots: make(chan struct{}, maxScrapes)}
}

// Expose writes the series whose tenant_id is the tenant, or those of Everyone, in the form that the Accept
// header prefers: the text format of Prometheus or OpenMetrics. Series without a tenant are not shown to
// one.
//
// Errors: Unavailable when others ask so much that ctx ends before it is this caller's turn.
func (m *Metrics) Expose(ctx context.Context, tenant, accept string) (contentType string, page []byte, err error) {
	e := m.exposition
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return "", nil, busy(ctx)
	}
	defer func() { <-e.slots }()
	families, err := e.families(ctx, tenant)
	if err != nil {
		return "", nil, err
	}
	format := negotiate(accept)
	var out bytes.Buffer
	enc := expfmt.NewEncoder(&out, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return "", nil, fmt.Errorf("write the metric %s: %w", f.GetName(), err)
		}
		if ctx.Err() != nil {
			return "", nil, busy(ctx)
		}
	}
	if c, ok := enc.(expfmt.Closer); ok { // OpenMetrics ends with a line that says so
		if err := c.Close(); err != nil {
			return "", nil, fmt.Errorf("end the metrics: %w", err)
		}
	}
	return string(format), out.Bytes(), nil
}

func busy(ctx context.Context) error {
	return fault.Wrap(ctx.Err(), fault.Unavailable, "Too many callers ask for the metrics.").After(5 * time.Second)
}

// negotiate chooses between the two text forms; what asks for neither gets the first.
func negotiate(accept string) expfmt.Format {
	forms := []expfmt.Format{expfmt.NewFormat(expfmt.TypeTextPlain)}
	for _, version := range []string{expfmt.OpenMetricsVersion_1_0_0, expfmt.OpenMetricsVersion_0_0_1} {
		if format, err := expfmt.NewOpenMetricsFormat(version); err == nil {
			forms = append(forms, format)
		}
	}
	return expfmt.NegotiateAccept(http.Header{"Accept": {accept}}, forms...)
}

// families gives the metrics as they were at most a second ago.
func (e *exposition) families(ctx context.Context, tenant string) ([]*dto.MetricFamily, error) {
	e.mu.Lock()
	g := e.last
	mine := g == nil || e.now().After(g.until)
	if mine {
		g = &gathering{until: e.now().Add(freshFor), done: make(chan struct{})}
		e.last = g
	}
	e.mu.Unlock()
	if mine {
		g.gather(e.registry)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, busy(ctx)
	}
	if tenant == Everyone {
		return g.all, g.err
	}
	return g.byTenant[tenant], g.err
}

func (g *gathering) gather(registry prometheus.Gatherer) {
	defer close(g.done)
	all, err := registry.Gather()
	if err != nil && len(all) == 0 { // one broken collector must not hide the others
		g.err = fmt.Errorf("gather the metrics: %w", err)
		return
	}
	g.all, g.byTenant = all, map[string][]*dto.MetricFamily{}
	for _, f := range all {
		for _, metric := range f.GetMetric() {
			tenant, found := tenantOf(metric)
			if !found {
				continue
			}
			own := g.byTenant[tenant]
			if n := len(own); n == 0 || own[n-1].GetName() != f.GetName() {
				own = append(own, &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit})
				g.byTenant[tenant] = own
			}
			last := own[len(own)-1]
			last.Metric = append(last.Metric, metric)
		}
	}
}

func tenantOf(m *dto.Metric) (string, bool) {
	for _, l := range m.GetLabel() {
		if l.GetName() == tenantLabel {
			return l.GetValue(), true
		}
	}
	return "", false
}
