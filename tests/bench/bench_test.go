// Package bench measures the figures that the project promises, each as a ratio to a bare SDK program
// on the same server in the same run. It runs by make bench only.
package bench

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

var figures = flag.Bool("figures", false, "measure; without it nothing is run")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*figures {
		fmt.Println("the figures are measured by make bench")
		return
	}
	m.Run()
}

const (
	rounds      = 5
	perRound    = 40
	concurrency = 50
	loadRuns    = 600
)

// bare is the least that a program on Temporal does: a workflow with one activity.
type bare struct {
	client  client.Client
	entered chan time.Time
}

func newBare(t *testing.T, s *harness.System) *bare {
	t.Helper()
	log := telemetry.TemporalLogger(slog.New(slog.DiscardHandler))
	c, err := client.Dial(client.Options{HostPort: s.Config.Temporal.Address, Namespace: s.Config.Temporal.Namespace, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	b := &bare{client: c, entered: make(chan time.Time, concurrency)}
	w := worker.New(c, "bare", worker.Options{})
	w.RegisterWorkflow(BareWorkflow)
	w.RegisterActivity(b)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return b
}

// Touch notes when it was entered, if somebody waits for that.
func (b *bare) Touch(context.Context) error {
	select {
	case b.entered <- time.Now():
	default:
	}
	return nil
}

// BareWorkflow runs one activity.
func BareWorkflow(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var b *bare
	return workflow.ExecuteActivity(ctx, b.Touch).Get(ctx, nil)
}

func (b *bare) run(ctx context.Context) (toActivity, toEnd time.Duration, err error) {
	began := time.Now()
	run, err := b.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: "bare"}, BareWorkflow)
	if err != nil {
		return 0, 0, err
	}
	toActivity = (<-b.entered).Sub(began)
	err = run.Get(ctx, nil)
	return toActivity, time.Since(began), err
}

// lari starts a run and watches it: the times until its first event and its end reach the client.
func lari(t *testing.T, x *harness.Tenant) (run uuid.UUID, toFirst, toEnd time.Duration) {
	t.Helper()
	began := time.Now()
	s := x.OpenRun(t, `{"input": "hello"}`)
	defer s.Close()
	for {
		e, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq == 1 {
			toFirst = time.Since(began)
		}
		if e.Type == event.RunCompleted {
			return e.RunID, toFirst, time.Since(began)
		}
		if e.Final() {
			t.Fatalf("the run ended with %s", e.Data)
		}
	}
}

// closed waits until Temporal has closed the run's workflow, which is after the client has heard of its end: so
// runs come one at a time, as the bare ones do.
func closed(t *testing.T, s *harness.System, x *harness.Tenant, run uuid.UUID) {
	t.Helper()
	if err := s.Temporal.GetWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, run), "").Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestLatency(t *testing.T) {
	s := harness.NewSystem(t)
	p, _ := s.StartCalledBack(t) // as make run does
	x := p.NewTenant(t, agents.Config{})
	b := newBare(t, s)
	var bareActivity, bareEnd, first, end, hurried []time.Duration
	for round := range rounds + 1 {
		for range perRound {
			d, e, err := b.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			bareActivity, bareEnd = append(bareActivity, d), append(bareEnd, e)
		}
		for range perRound {
			run, d, e := lari(t, x)
			first, end = append(first, d), append(end, e)
			closed(t, s, x, run)
		}
		for range perRound { // each on the heels of the one before
			_, _, e := lari(t, x)
			hurried = append(hurried, e)
		}
		if round == 0 { // warm-up
			bareActivity, bareEnd, first, end, hurried = nil, nil, nil, nil, nil
		}
	}
	report("bare: start to first activity", bareActivity)
	report("bare: start to end", bareEnd)
	report("lari: POST to first event", first)
	report("lari: POST to run_completed", end)
	report("lari: the same, on the heels of the run before", hurried)
	base := quantile(bareActivity, .5)
	ratio("POST to first event / bare start to activity, p50", quantile(first, .5), base, 1.5)
	ratio("POST to run_completed / bare start to activity, p50", quantile(end, .5), base, 3)
}

func TestThroughput(t *testing.T) {
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	b := newBare(t, s)
	bareRun := func() error {
		run, err := b.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "bare"}, BareWorkflow)
		if err != nil {
			return err
		}
		return run.Get(t.Context(), nil)
	}
	lariRun := func() error {
		a, err := x.Try(t.Context(), "POST", "/v1/runs/wait", `{"input": "hello"}`)
		if err == nil && a.Status != 200 {
			err = fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		return err
	}
	load(t, bareRun, 100)
	load(t, lariRun, 100)
	var bareRate, lariRate []float64
	for range 3 {
		rate, took := load(t, bareRun, loadRuns)
		bareRate = append(bareRate, rate)
		report("bare: start to end, 50 at once", took)
		rate, took = load(t, lariRun, loadRuns)
		lariRate = append(lariRate, rate)
		report("lari: POST to end, 50 at once", took)
	}
	slices.Sort(bareRate)
	slices.Sort(lariRate)
	fmt.Printf("bare %.1f runs/s, lari %.1f runs/s (medians)\nRATIO lari/bare throughput, 50 at once: %.2f (at least 0.50)\n", bareRate[1], lariRate[1], lariRate[1]/bareRate[1])
}

func load(t *testing.T, once func() error, n int) (perSecond float64, took []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	began := time.Now()
	for range concurrency {
		all.Go(func() {
			for range work {
				at := time.Now()
				err := once()
				mu.Lock()
				took = append(took, time.Since(at))
				mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds(), took
}

func TestCancel(t *testing.T) {
	s := harness.NewSystem(t, fakellm.Rule{Contains: "long", Reply: fakellm.Reply{Words: 5000, Delay: 10 * time.Millisecond}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	var took []time.Duration
	for range 100 {
		r := x.StartRun(t, `{"input": "a long one"}`)
		stream := x.Follow(t, r.ID, 0)
		stream.Until(t, event.MessageDelta)
		began := time.Now()
		x.Do(t, "POST", "/v1/runs/"+r.ID.String()+"/cancel", `{}`).Want(t, 202)
		stream.Rest(t)
		took = append(took, time.Since(began))
		stream.Close()
	}
	report("cancel to final event of a streaming run (p50 300 ms, p99 1.5 s at most)", took)
	before := s.Model.Stats()
	<-time.After(time.Second) // the promise is about what happens within one
	after := s.Model.Stats()
	fmt.Printf("tokens sent by the provider in the second after the last cancel: %d (0); requests still open: %d (0)\n", after.Chunks-before.Chunks, after.Open)
}

func quantile(d []time.Duration, q float64) time.Duration {
	s := slices.Clone(d)
	slices.Sort(s)
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

func report(what string, d []time.Duration) {
	fmt.Printf("%-60s n=%d  p50 %6.1f ms  p95 %6.1f ms  p99 %6.1f ms\n", what, len(d), ms(quantile(d, .5)), ms(quantile(d, .95)), ms(quantile(d, .99)))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ratio(what string, a, b time.Duration, target float64) {
	fmt.Printf("RATIO %s: %.2f (at most %.2f)\n", what, float64(a)/float64(b), target)
}
