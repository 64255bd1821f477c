package telemetry

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// factsFor is how long facts are exported that nobody has renewed: a number that the database has long
// corrected is worse than none.
const factsFor = 2 * time.Minute

// Facts are gauges of what the database knows, as somebody tells from time to time.
type Facts struct {
	tenants *labels
	budget  *budget
	now     func() time.Time
	descs   factDescs

	mu       sync.Mutex
	queue    RunQueue
	queueAt  time.Time
	queues   []TaskQueue
	queuesAt time.Time
	held     map[string]int64
	heldAt   time.Time
	backlog  DeliveryBacklog
	backAt   time.Time
	quotas   map[string]quotaFact // by the tenant's label

	schedules   map[outcomeKey]int64 // by the tenant's label and the state
	schedulesAt time.Time
	scheduling  map[string]bool // tenants whose schedules have come out of the budget
	admitted    map[string]bool // tenants whose quotas have come out of the budget
}

type factDescs struct {
	queued, waiting, tasks, wait, workers                   *prometheus.Desc
	held, disabled, pending, oldest, used, limit, schedules *prometheus.Desc
}

// RunQueue is the runs of every tenant that may begin and have not.
type RunQueue struct {
	Runs   int64
	Oldest time.Duration // how long the first of them could have begun
}

// TaskQueue is what waits for workers in a queue, and how many there are.
type TaskQueue struct {
	Name       string
	Tasks      int64
	OldestWait time.Duration
	Workers    int
}

// DeliveryBacklog is what waits to be delivered, of every tenant.
type DeliveryBacklog struct {
	DisabledEndpoints, Pending int64
	Oldest                     time.Duration // age of the oldest pending delivery
}

// Quota is what a tenant has used and may use; no limit: nil.
type Quota struct {
	Name  string
	Used  float64
	Limit *float64
}

type quotaFact struct {
	at  time.Time
	all []Quota
}

// maxQuotas is how many quotas a tenant can have here; each is two series.
const maxQuotas = 8

func newFacts(tenants *labels, b *budget, now func() time.Time) *Facts {
	return &Facts{tenants: tenants, budget: b, now: now, descs: newFactDescs(), quotas: map[string]quotaFact{}, admitted: map[string]bool{}, scheduling: map[string]bool{}}
}

// Queued says which runs may begin and have not.
func (f *Facts) Queued(q RunQueue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue, f.queueAt = q, f.now()
}

// TaskQueues says how the task queues fare. The caller must not change the list any more.
func (f *Facts) TaskQueues(all []TaskQueue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues, f.queuesAt = all, f.now()
}

// Held says how many runs are held, by reason. The caller must not change the map any more.
func (f *Facts) Held(byReason map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held, f.heldAt = byReason, f.now()
}

// Deliveries says what waits to be delivered.
func (f *Facts) Deliveries(b DeliveryBacklog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backlog, f.backAt = b, f.now()
}

// Quotas says what a tenant has used. That of a tenant without a label, or beyond the budget of series, is
// not exported: a sum of different tenants' quotas would say nothing.
func (f *Facts) Quotas(tenant string, all []Quota) {
	label, found := f.tenants.find(tenant)
	if !found || len(all) > maxQuotas {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.admitted[label] {
		if !f.budget.take(2*maxQuotas, f.budget.rest) {
			return
		}
		f.admitted[label] = true
	}
	f.quotas[label] = quotaFact{at: f.now(), all: all}
}

// Describe is part of prometheus.Collector.
func (f *Facts) Describe(out chan<- *prometheus.Desc) {
	d := f.descs
	for _, d := range []*prometheus.Desc{d.queued, d.waiting, d.tasks, d.wait, d.workers, d.held, d.disabled, d.pending, d.oldest, d.used, d.limit, d.schedules} {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (f *Facts) Collect(out chan<- prometheus.Metric) {
	for _, m := range f.snapshot() {
		out <- m
	}
}

func (f *Facts) snapshot() (all []prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label ...string) {
		all = append(all, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label...))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := f.now().Add(-factsFor)
	if f.queueAt.After(oldest) {
		gauge(f.descs.queued, float64(f.queue.Runs))
		gauge(f.descs.waiting, f.queue.Oldest.Seconds())
	}
	if f.queuesAt.After(oldest) {
		for _, q := range f.queues {
			gauge(f.descs.tasks, float64(q.Tasks), q.Name)
			gauge(f.descs.wait, q.OldestWait.Seconds(), q.Name)
			gauge(f.descs.workers, float64(q.Workers), q.Name)
		}
	}
	if f.heldAt.After(oldest) {
		for reason, n := range f.held {
			gauge(f.descs.held, float64(n), reason)
		}
	}
	if f.schedulesAt.After(oldest) {
		for k, n := range f.schedules {
			gauge(f.descs.schedules, float64(n), k.name, k.outcome)
		}
	}
	if f.backAt.After(oldest) {
		gauge(f.descs.disabled, float64(f.backlog.DisabledEndpoints))
		gauge(f.descs.pending, float64(f.backlog.Pending))
		gauge(f.descs.oldest, f.backlog.Oldest.Seconds())
	}
	for tenant, q := range f.quotas {
		if !q.at.After(oldest) {
			delete(f.quotas, tenant)
			continue
		}
		for _, quota := range q.all {
			gauge(f.descs.used, quota.Used, tenant, quota.Name)
			if quota.Limit != nil {
				gauge(f.descs.limit, *quota.Limit, tenant, quota.Name)
			}
		}
	}
	return all
}

// ActiveTenants gives the tenants with labels that did something within the window, in order.
func (m *Metrics) ActiveTenants() []string {
	w := m.window
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	since := w.since(now)
	requests := within(w.http, now, since, func(k httpKey) (string, bool) { return k.tenant, true })
	runs := within(w.run, now, since, func(k outcomeKey) (string, bool) { return k.name, true })
	return slices.DeleteFunc(m.tenants.all(), func(tenant string) bool {
		return requests[tenant].count() == 0 && runs[tenant].count() == 0
	})
}
