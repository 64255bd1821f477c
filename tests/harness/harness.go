// Package harness runs the real program in tests: real Postgres, real Temporal, real HTTP. Only the
// model provider is a fake, and that one speaks the providers' wire format over HTTP.
package harness

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/pace"
)

// TemporalVariable names the address of the Temporal server that tests use.
const TemporalVariable = "LARI_TEST_TEMPORAL_ADDRESS"

// Secret signs the tokens of tests.
const Secret = "the secret of the tests, 32 bytes or more"

// System is a database, a Temporal namespace and a model server, on which any number of processes run.
// Tests of one system are apart by tenant.
type System struct {
	Config   config.Config // what a process is started with; copy and change it
	Database *pgtest.Database
	Model    *fakellm.Server
	Temporal client.Client
	Log      *slog.Logger // of every process; nil: nothing is logged

	contract description
}

// NewSystem makes a system of its own for a test; it is gone when the test ends.
func NewSystem(t testing.TB, rules ...fakellm.Rule) *System {
	t.Helper()
	return NewSystemWith(t, fakellm.Options{Rules: rules, Default: fakellm.Reply{Text: "Hello there."}})
}

// NewSystemWith is NewSystem with a model server of the test's choice.
func NewSystemWith(t testing.TB, model fakellm.Options) *System {
	t.Helper()
	address := os.Getenv(TemporalVariable)
	if address == "" {
		t.Fatalf("%s is not set: run make test, or go run ./tests/stack -- go test …", TemporalVariable)
	}
	cfg, err := config.Load(map[string]string{
		"LARI_ENV": "development", "LARI_HTTP_ADDR": "127.0.0.1:0", "LARI_ADMIN_ADDR": "off", "LARI_EGRESS_ALLOW_HTTP": "true",
		"LARI_SHUTDOWN_TIMEOUT": "3s", "LARI_RECONCILE_EVERY": "0s", "LARI_HSTS_MAX_AGE": "8760h",
	})
	if err != nil {
		t.Fatalf("the configuration of the tests: %v", err)
	}
	s := &System{Database: pgtest.New(t), Model: fakellm.Start(model)}
	t.Cleanup(s.Model.Close)
	cfg.DatabaseURL, cfg.DatabaseDirectURL = config.NewURL(s.Database.URL), config.NewURL(s.Database.URL)
	cfg.ExportDir = t.TempDir()
	cfg.Auth.JWTSecret, cfg.Audit.SigningKey = config.NewSecret(Secret), config.NewSecret(Secret)
	cfg.EgressAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Models.OpenAIKey, cfg.Models.OpenAIBaseURL = config.NewSecret("test"), s.Model.OpenAIURL()
	cfg.Models.Prices = llm.PriceTable{}
	cfg.Temporal.Address, cfg.Temporal.Namespace = address, "test-"+uuid.NewString()
	s.Config = cfg
	s.Temporal = dial(t, cfg)
	return s
}

// dial registers the namespace and returns when it can be used.
func dial(t testing.TB, cfg config.Config) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: cfg.Temporal.Address, Namespace: cfg.Temporal.Namespace, Logger: telemetry.TemporalLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatalf("reach Temporal: %v", err)
	}
	t.Cleanup(c.Close)
	_, err = c.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: cfg.Temporal.Namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		t.Fatalf("register the namespace: %v", err)
	}
	Eventually(t, 20*time.Second, "the namespace can be used", func() bool {
		_, err := c.DescribeWorkflowExecution(t.Context(), "none", "")
		return err != nil && !isNamespaceMissing(err)
	})
	return c
}

// Process is one running process of the program.
type Process struct {
	App *app.App
	URL string // of its API, "" without one

	contract *description
	stop     context.CancelFunc
	done     chan error
	once     sync.Once
	err      error
}

// Start starts a process of the system; it is stopped when the test ends, if not before.
func (s *System) Start(t testing.TB, o app.Options) *Process {
	t.Helper()
	return s.StartWith(t, s.Config, o)
}

// StartWith starts a process with a configuration of its own; tune changes its parts before they run.
func (s *System) StartWith(t testing.TB, cfg config.Config, o app.Options, tune ...func(*app.App)) *Process {
	t.Helper()
	p := s.Launch(t, cfg, o, tune...)
	if p.URL != "" {
		Eventually(t, 20*time.Second, "the process is ready", func() bool { return p.App.Ready(t.Context()) == nil })
	}
	return p
}

// Launch is StartWith for a process that may never become ready: it does not wait for that.
func (s *System) Launch(t testing.TB, cfg config.Config, o app.Options, tune ...func(*app.App)) *Process {
	t.Helper()
	log := cmp.Or(s.Log, slog.New(slog.DiscardHandler))
	if testing.Verbose() && os.Getenv("LARI_TEST_LOG") != "" {
		log = telemetry.NewLogger(os.Stderr, slog.LevelDebug, "text")
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, o, log)
	if err != nil {
		stop()
		t.Fatalf("put the process together: %v", err)
	}
	for _, f := range tune {
		f(a)
	}
	p := &Process{App: a, contract: &s.contract, stop: stop, done: make(chan error, 1)}
	ready := make(chan string, 1)
	go func() { p.done <- a.Run(ctx, func(url string) { ready <- url }) }()
	select {
	case p.URL = <-ready:
	case err := <-p.done:
		stop()
		a.Close()
		t.Fatalf("the process ended at its start: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the process ended with %v", err)
		}
	})
	return p
}

// Stop stops the process as a signal would and gives how it ended. It may be called twice.
func (p *Process) Stop() error {
	p.once.Do(func() {
		p.stop()
		p.err = <-p.done
		p.App.Close()
	})
	return p.err
}

// All is a process with every role.
var All = app.Options{API: true, Worker: true}

// Eventually asks until the answer is yes. It is for what happens elsewhere and gives no signal; wait on
// the signal where there is one. within is for an idle machine: it waits pace.Patience times as long before it fails.
func Eventually(t testing.TB, within time.Duration, what string, yes func() bool) {
	t.Helper()
	deadline := time.NewTimer(pace.Patience * within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %d times %s: %s", pace.Patience, within, what)
		case <-tick.C:
		}
	}
}

func isNamespaceMissing(err error) bool {
	var missing *serviceerror.NamespaceNotFound
	return errors.As(err, &missing)
}
