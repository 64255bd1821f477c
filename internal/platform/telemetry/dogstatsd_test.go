package telemetry

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larirun/lari/tests/pace"
)

// inbox is a real listener in the agent's place: it keeps what is sent to it, a metric per line.
type inbox struct {
	conn  net.PacketConn
	lines chan string
}

func listenAs(t *testing.T, network, address string) *inbox {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	i := &inbox{conn: conn, lines: make(chan string, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		datagram := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(datagram)
			if err != nil {
				return
			}
			for line := range strings.Lines(string(datagram[:n])) {
				i.lines <- strings.TrimSuffix(line, "\n")
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return i
}

// take waits for n lines and gives them in order of the alphabet, without the fields that Datadog's
// client adds by itself (the container's id).
func (i *inbox) take(t *testing.T, n int) []string {
	t.Helper()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	var got []string
	for len(got) < n {
		select {
		case line := <-i.lines:
			line, _, _ = strings.Cut(line, "|c:")
			got = append(got, line)
		case <-limit.C:
			t.Fatalf("the agent got %d lines, want %d: %q", len(got), n, got)
		}
	}
	slices.Sort(got)
	return got
}

func newDatadog(t *testing.T, o DogStatsDOptions) *DogStatsD {
	t.Helper()
	if o.Log == nil {
		o.Log = discard()
	}
	d, err := NewDogStatsD(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// tellAll calls every method once and gives the lines that must come of it.
func tellAll(d *DogStatsD) []string {
	d.RunStarted("acme", "", 1500*time.Millisecond)
	d.RunFinished("acme", "w1", "completed", 2*time.Second)
	d.RunStopped("acme", "w1", 30*time.Millisecond)
	d.FirstToken("acme", 400*time.Millisecond)
	d.ActiveRuns([]ActiveRun{{Tenant: "acme", ID: "r1"}})
	d.ModelSpent("acme", "openai", "gpt", 12, 34, 0.5)
	d.ModelAnswered("openai", "gpt", time.Second)
	d.ModelFailed("openai", "gpt", "overloaded")
	d.ToolCalled("http_get", "ok", 250*time.Millisecond)
	d.ConnectorAttempted("webhook", "onComplete", "failed")
	d.ConnectorDelivered("webhook", 3*time.Second)
	return []string{
		"lari.connector.attempts:1|c|#connector:webhook,hook:onComplete,outcome:failed",
		"lari.connector.lag_seconds:3|d|#connector:webhook",
		"lari.model.call_duration_seconds:1|d|#provider:openai,model:gpt",
		"lari.model.cost_usd:0.5|d|#tenant_id:acme,provider:openai,model:gpt",
		"lari.model.errors:1|c|#provider:openai,model:gpt,class:overloaded",
		"lari.model.tokens:12|c|#tenant_id:acme,provider:openai,model:gpt,direction:input",
		"lari.model.tokens:34|c|#tenant_id:acme,provider:openai,model:gpt,direction:output",
		"lari.run.cancel_to_stopped_seconds:0.03|d|#tenant_id:acme,workspace_id:w1",
		"lari.run.duration_seconds:2|d|#tenant_id:acme,workspace_id:w1,status:completed",
		"lari.run.queue_wait_seconds:1.5|d|#tenant_id:acme,workspace_id:_none",
		"lari.run.time_to_first_token_seconds:0.4|d|#tenant_id:acme",
		"lari.runs.active:1|g|#tenant_id:acme,workspace_id:_none,run_id:r1",
		"lari.runs.finished:1|c|#tenant_id:acme,workspace_id:w1,status:completed",
		"lari.runs.started:1|c|#tenant_id:acme,workspace_id:_none",
		"lari.tool.call_duration_seconds:0.25|d|#tool:http_get",
		"lari.tool.calls:1|c|#tool:http_get,outcome:ok",
	}
}

// Close sends what the two seconds of aggregation held back.
func TestDatadogIsToldEverythingBeforeClose(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func() (*inbox, DogStatsDOptions){
		"UDP": func() (*inbox, DogStatsDOptions) {
			i := listenAs(t, "udp", "127.0.0.1:0")
			return i, DogStatsDOptions{Network: "udp", Address: i.conn.LocalAddr().String()}
		},
		"a Unix socket": func() (*inbox, DogStatsDOptions) {
			path := filepath.Join(t.TempDir(), "s")
			return listenAs(t, "unixgram", path), DogStatsDOptions{Network: "unixgram", Address: path}
		},
	} {
		agent, options := listen()
		d := newDatadog(t, options)
		want := tellAll(d)
		if err := d.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := agent.take(t, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s: the agent got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		d.RunStarted("acme", "", 0) // too late, and no harm
		if err := d.Close(); err != nil {
			t.Errorf("%s: closed twice: %v", name, err)
		}
	}
}

func TestNoAgentNothingSent(t *testing.T) {
	t.Parallel()
	d := newDatadog(t, DogStatsDOptions{})
	if d != nil {
		t.Fatal("a client without an agent")
	}
	tellAll(d)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// Nobody listens, the name does not resolve, the socket is not there: each call is as quick as ever, the
// log says it once, and Close ends.
func TestAnAgentThatIsAwayCostsNothing(t *testing.T) {
	t.Parallel()
	free := listenAs(t, "udp", "127.0.0.1:0")
	nobody := free.conn.LocalAddr().String()
	_ = free.conn.Close()
	for name, o := range map[string]DogStatsDOptions{
		"nobody listens": {Network: "udp", Address: nobody},
		"no such host":   {Network: "udp", Address: "agent.invalid:8125"},
		"no such socket": {Network: "unixgram", Address: filepath.Join(t.TempDir(), "none")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out syncBuffer
			o.Log = slog.New(slog.NewTextHandler(&out, nil))
			d := newDatadog(t, o)
			began := pace.Start(t)
			for i := range 5000 {
				d.RunStarted("acme", fmt.Sprint(i), time.Second)
			}
			if took := began.Took(); took > 5*time.Second {
				t.Errorf("5000 calls took %s", took)
			}
			began = pace.Start(t)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			if took := began.Took(); took > 15*time.Second {
				t.Errorf("Close took %s", took)
			}
			if n := strings.Count(out.String(), "do not reach Datadog's agent"); n > 1 || n == 0 && name != "nobody listens" {
				t.Errorf("%d warnings:\n%s", n, out.String())
			}
		})
	}
}

// An agent that starts after us, or again, is found.
func TestAnAgentThatComesBackIsFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	var out syncBuffer
	a := newAgent("unixgram", path, slog.New(slog.NewTextHandler(&out, nil)))
	defer func() { _ = a.Close() }()
	if _, err := a.Write([]byte("one")); err == nil {
		t.Fatal("nobody listens, and the write succeeded")
	}
	agent := listenAs(t, "unixgram", path)
	if _, err := a.Write([]byte("two")); err == nil {
		t.Error("looked for again at once: each write of a busy process would look")
	}
	a.next = time.Time{} // the pause is over
	if _, err := a.Write([]byte("three")); err != nil {
		t.Fatal(err)
	}
	if got := agent.take(t, 1); got[0] != "three" {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(out.String(), "metrics reach Datadog's agent") {
		t.Errorf("the log does not say that it is over: %s", out.String())
	}
}

// What a tenant chooses cannot forge tags, and the number of series is bounded.
func TestTagsAreBoundedAndClean(t *testing.T) {
	t.Parallel()
	agent := listenAs(t, "udp", "127.0.0.1:0")
	d := newDatadog(t, DogStatsDOptions{Network: "udp", Address: agent.conn.LocalAddr().String(), MaxTenants: 2})
	for _, tenant := range []string{"a", "b", "c", "d"} {
		d.FirstToken(tenant, time.Second)
	}
	d.ModelFailed("openai", "gpt,admin:true|@0.1\nlari.forged:1|c", "x")
	var runs []ActiveRun
	for i := range maxTaggedRuns + 7 {
		runs = append(runs, ActiveRun{Tenant: "a", ID: fmt.Sprintf("run-%03d", i)})
	}
	d.ActiveRuns(runs)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	got := agent.take(t, 3+1+maxTaggedRuns+1)
	for _, want := range []string{
		"lari.run.time_to_first_token_seconds:1:1|d|#tenant_id:_other",
		"lari.model.errors:1|c|#provider:openai,model:gpt_admin:true_@0.1_lari.forged:1_c,class:x",
		"lari.runs.active:7|g|#tenant_id:a,workspace_id:_none,run_id:_other",
		"lari.runs.active:1|g|#tenant_id:a,workspace_id:_none,run_id:run-000",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q was not sent: %q", want, got)
		}
	}
}

func TestDatadogIsToldByMany(t *testing.T) {
	t.Parallel()
	agent := listenAs(t, "udp", "127.0.0.1:0")
	d := newDatadog(t, DogStatsDOptions{Network: "udp", Address: agent.conn.LocalAddr().String()})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 20 {
				d.ConnectorAttempted("webhook", "onStart", "delivered")
			}
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// The ticker may have flushed in between: the sum counts.
	sum := 0
	for sum < 1000 {
		var n int
		if _, err := fmt.Sscanf(agent.take(t, 1)[0], "lari.connector.attempts:%d|", &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != 1000 {
		t.Errorf("counted %d, want 1000", sum)
	}
}

// syncBuffer is a bytes.Buffer that the client's goroutine writes and the test reads.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
