package devstack

import (
	"errors"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// It goes before the parallel ones: between its two starts one of them could take a port.
func TestStartTwiceKeepsDataAndAddresses(t *testing.T) { //nolint:paralleltest // see above
	cfg := Config{DataDir: openFolder(t), TemporalUI: true}
	begun := time.Now()
	first := start(t, cfg)
	t.Logf("first start: %s", time.Since(begun).Round(time.Millisecond))
	write(t, first.DatabaseURL, "first")
	startWorkflow(t, first.TemporalAddress)
	begun = time.Now()
	must(t, first.Close())
	t.Logf("close: %s", time.Since(begun).Round(time.Millisecond))
	if err, open := <-first.Done(); open {
		t.Fatalf("Done after Close: %v", err)
	}
	must(t, first.Close())

	begun = time.Now()
	second := start(t, cfg)
	t.Logf("second start: %s", time.Since(begun).Round(time.Millisecond))
	mustHold(t, second.DatabaseURL, "first")
	describeWorkflow(t, second.TemporalAddress)
	if first.DatabaseURL != second.DatabaseURL || first.TemporalAddress != second.TemporalAddress || first.TemporalUIURL != second.TemporalUIURL {
		t.Fatalf("addresses moved from %q, %q to %q, %q", first.TemporalAddress, first.TemporalUIURL, second.TemporalAddress, second.TemporalUIURL)
	}
	if got := query(t, second.DatabaseURL, "SELECT extversion FROM pg_extension WHERE extname = 'vector'"); got == "" {
		t.Fatal("no extension vector")
	}
}

func TestGivenAddressesAreUsedAsTheyAre(t *testing.T) {
	t.Parallel()
	s := start(t, Config{DataDir: "/nowhere", DatabaseURL: "postgres://db.example/x", TemporalAddress: "temporal.example:7233"})
	if s.DatabaseURL != "postgres://db.example/x" || s.TemporalAddress != "temporal.example:7233" || len(s.children) != 0 {
		t.Fatalf("got %+v", s)
	}
}

func TestOneStackPerStateFolder(t *testing.T) {
	t.Parallel()
	cfg := lasting(t)
	start(t, cfg)
	_, err := Start(t.Context(), cfg)
	mustExplain(t, err, "in use by another Lari")
}

func TestUnwritableStateFolder(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{DataDir: "/proc/lari", TemporalAddress: givenTemporal})
	mustExplain(t, err, "LARI_DATA_DIR")
}

// mustExplain demands a *Trouble whose sentence holds the words.
func mustExplain(t *testing.T, err error, words ...string) {
	t.Helper()
	var known *Trouble
	if !errors.As(err, &known) {
		t.Fatalf("want a *Trouble, got %v", err)
	}
	for _, word := range words {
		if !strings.Contains(known.Error(), word) {
			t.Errorf("%q lacks %q", known.Error(), word)
		}
	}
}

func frontend(t *testing.T, address string) workflowservice.WorkflowServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return workflowservice.NewWorkflowServiceClient(conn)
}

func startWorkflow(t *testing.T, address string) {
	t.Helper()
	_, err := frontend(t, address).StartWorkflowExecution(t.Context(), &workflowservice.StartWorkflowExecutionRequest{
		Namespace: temporalNamespace, WorkflowId: "kept", RequestId: "kept",
		WorkflowType: &commonpb.WorkflowType{Name: "any"}, TaskQueue: &taskqueuepb.TaskQueue{Name: "any"},
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{
			"TenantId": {Metadata: map[string][]byte{"encoding": []byte("json/plain"), "type": []byte("Keyword")}, Data: []byte(`"t"`)},
		}},
	})
	must(t, err)
}

func describeWorkflow(t *testing.T, address string) {
	t.Helper()
	_, err := frontend(t, address).DescribeWorkflowExecution(t.Context(), &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: temporalNamespace, Execution: &commonpb.WorkflowExecution{WorkflowId: "kept"},
	})
	must(t, err)
}
