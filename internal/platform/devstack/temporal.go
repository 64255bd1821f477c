package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	temporalModule  = "github.com/temporalio/cli/cmd/temporal"
	temporalVersion = "v1.5.1"
	// temporalNamespace is the one that the dev server always makes.
	temporalNamespace = "default"
)

// searchAttributes are the keywords by which runs are found in Temporal's own UI and API.
func searchAttributes() []string { return []string{"TenantId", "AgentId", "RunStatus", "TriggerKind"} }

// temporalSettings turn a default dev server, which polls its single shard on a 50 ms grid and has
// fairness off, into one that is six times faster to the first activity. They suit one shard only.
func temporalSettings() []string {
	callbacks := `[{"Pattern":"127.0.0.1:*","AllowInsecure":true}]`
	return []string{
		"history.transferProcessorMaxPollRPS=2000", "history.timerProcessorMaxPollRPS=2000",
		"matching.numTaskqueueReadPartitions=1", "matching.numTaskqueueWritePartitions=1",
		"system.enableActivityEagerExecution=true", "matching.enableFairness=true",
		"component.callbacks.allowedAddresses=" + callbacks, // server 1.29
		"callback.allowedAddresses=" + callbacks,            // the same, as 1.32 calls it
	}
}

// temporalProgram gives a `temporal` on PATH, else the cached one, else builds it.
func temporalProgram(ctx context.Context, out *progress, store *cache) (string, error) {
	if found, err := exec.LookPath("temporal"); err == nil {
		return found, nil
	}
	tool := goTool{prefix: "temporal", module: temporalModule, version: temporalVersion, what: "building Temporal's dev server, once, about 3 minutes"}
	return tool.build(ctx, out, store)
}

// temporalEnvironment leaves out TEMPORAL_* of the caller, which may name another server.
func temporalEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "USER=" + os.Getenv("USER"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
}

// temporal starts the dev server and gives its child, address and UI URL ("" without one).
func (b *boot) temporal(ctx context.Context, withUI bool) (*child, string, string, error) {
	program, err := temporalProgram(ctx, b.out, b.cache)
	if err != nil {
		return nil, "", "", err
	}
	if err := endTemporalOrphan(ctx, b.out, b.state.get()); err != nil {
		return nil, "", "", err
	}
	for try := 1; ; try++ {
		port, uiPort, err := b.temporalPorts(withUI)
		if err != nil {
			return nil, "", "", err
		}
		spec := childSpec{
			name: "temporal", path: program, args: b.temporalArguments(port, uiPort),
			env: temporalEnvironment(), dir: b.dir, logDir: b.logDir, orphanSignal: syscall.SIGKILL, // safe: see databaseArguments
		}
		if !b.ephemeral {
			spec.stops = []stopStep{{syscall.SIGINT, 10 * time.Second}}
		}
		c, err := startChild(spec)
		if err != nil {
			return nil, "", "", trouble(err, "Temporal's dev server cannot be started from %s (%v): remove that file to have it built again.", program, cause(err))
		}
		address := loopback + ":" + strconv.Itoa(port)
		err = b.state.update(func(s *state) { s.TemporalPID = c.process.Pid })
		if err == nil {
			err = awaitTemporal(ctx, c, address)
		}
		if err == nil {
			err = b.hideDatabase()
		}
		if err == nil {
			return c, address, uiAddress(uiPort), nil
		}
		c.stop()
		if again, err := b.again(ctx, c, err, try); !again {
			return nil, "", "", err
		}
	}
}

func (b *boot) temporalPorts(withUI bool) (port, uiPort int, err error) {
	port, err = b.port("Temporal", firstTemporalPort, func(s *state) *int { return &s.TemporalPort })
	if err != nil || !withUI {
		return port, 0, err
	}
	uiPort, err = b.port("Temporal's UI", firstTemporalUIPort, func(s *state) *int { return &s.TemporalUIPort })
	return port, uiPort, err
}

func uiAddress(port int) string {
	if port == 0 {
		return ""
	}
	return "http://" + loopback + ":" + strconv.Itoa(port)
}

const temporalDatabase = "temporal.db"

func (b *boot) temporalArguments(port, uiPort int) []string {
	args := []string{"server", "start-dev", "--ip", loopback, "--port", strconv.Itoa(port), "--log-level", "warn"}
	if uiPort == 0 {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", strconv.Itoa(uiPort))
	}
	if !b.ephemeral {
		args = append(args, databaseArguments(filepath.Join(b.dir, temporalDatabase))...)
	}
	for _, setting := range temporalSettings() {
		args = append(args, "--dynamic-config-value", setting)
	}
	for _, name := range searchAttributes() {
		args = append(args, "--search-attribute", name+"=Keyword")
	}
	return args
}

// databaseArguments make the server keep its state in an SQLite file with a write-ahead log. Without them SQLite
// keeps a rollback journal, which costs several fsyncs per transaction: twice the latency of a run, and less than
// half of the throughput. With synchronous=normal only checkpoints are synced: a killed server loses nothing, a
// machine that loses power may lose its last transactions (https://sqlite.org/wal.html, "Performance Considerations").
func databaseArguments(file string) []string {
	return []string{"--db-filename", file, "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"}
}

// awaitTemporal waits until the frontend answers and knows the search attributes, at most a minute.
func awaitTemporal(ctx context.Context, c *child, address string) error {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(quickReconnect()))
	if err != nil {
		return fmt.Errorf("temporal client: %w", err)
	}
	defer func() { _ = conn.Close() }()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := temporalReady(ctx, conn)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for Temporal: %w", ctx.Err())
		case <-c.exited:
			return fmt.Errorf("it ended: %s", c.ending())
		case <-deadline.C:
			return fmt.Errorf("no answer after a minute: %w", err)
		case <-ticker.C:
		}
	}
}

func temporalReady(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := workflowservice.NewWorkflowServiceClient(conn).GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{}); err != nil {
		return fmt.Errorf("system info: %w", err)
	}
	known, err := operatorservice.NewOperatorServiceClient(conn).ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: temporalNamespace})
	if err != nil {
		return fmt.Errorf("search attributes: %w", err)
	}
	for _, name := range searchAttributes() {
		if _, ok := known.GetCustomAttributes()[name]; !ok {
			return fmt.Errorf("search attribute %s is not registered yet", name)
		}
	}
	return nil
}

// quickReconnect looks at a starting server often; gRPC's own first pause is a second.
func quickReconnect() grpc.ConnectParams {
	params := grpc.ConnectParams{MinConnectTimeout: time.Second}
	params.Backoff.BaseDelay, params.Backoff.Multiplier, params.Backoff.MaxDelay = 25*time.Millisecond, 1, 25*time.Millisecond
	return params
}
