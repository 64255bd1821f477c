package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Child is the program as a process of the operating system: it can be killed and sent signals.
type Child struct {
	URL string // of its API, "" without one

	cmd    *exec.Cmd
	exited chan struct{}
	mu     sync.Mutex
	log    strings.Builder
}

// WithProgram is a TestMain that builds the program once, says where it is, runs the tests and gives the
// exit status.
func WithProgram(m *testing.M, program *string) int {
	folder, err := os.MkdirTemp("", "lari-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	*program = filepath.Join(folder, "lari")
	build := exec.Command("go", "build", "-o", *program, "github.com/larirun/lari/cmd/lari") //nolint:gosec // the folder is the test's own
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		return 1
	}
	return m.Run()
}

// Spawn starts the program in a role (api, worker) on the system and returns when it works. env adds to
// and overrides the environment that the system's configuration makes. It is killed when the test ends.
func (s *System) Spawn(t testing.TB, program, role string, env ...string) *Child {
	t.Helper()
	c := &Child{cmd: exec.Command(program, role), exited: make(chan struct{})} //nolint:gosec // the test's own build; Kill ends it
	c.cmd.Env = append(os.Environ(),
		"LARI_ENV=development", "LARI_HTTP_ADDR=127.0.0.1:0", "LARI_ADMIN_ADDR=off", "LARI_SHUTDOWN_TIMEOUT=3s", "LARI_LOG_FORMAT=json", "LARI_RECONCILE_EVERY=0s",
		"DATABASE_URL="+s.Database.URL, "TEMPORAL_ADDRESS="+s.Config.Temporal.Address, "TEMPORAL_NAMESPACE="+s.Config.Temporal.Namespace,
		"SUPABASE_JWT_SECRET="+Secret, "OPENAI_API_KEY=test", "OPENAI_BASE_URL="+s.Model.OpenAIURL(),
		"LARI_EXPORT_DIR="+s.Config.ExportDir, "LARI_EGRESS_ALLOW=127.0.0.0/8", "LARI_EGRESS_ALLOW_HTTP=true")
	c.cmd.Env = append(c.cmd.Env, env...)
	out, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", role, err)
	}
	t.Cleanup(func() {
		c.Kill()
		if t.Failed() {
			t.Logf("lari %s logged:\n%s", role, c.Log())
		}
	})
	works := make(chan string, 1)
	go c.read(out, works)
	select {
	case addr := <-works:
		if addr != "" {
			c.URL = "http://" + addr
			nobody := &Tenant{URL: c.URL}
			Eventually(t, 30*time.Second, "lari "+role+" is ready", func() bool {
				a, err := nobody.Try(t.Context(), "GET", "/readyz", nil)
				return err == nil && a.Status == 200
			})
		}
	case <-c.exited:
		t.Fatalf("lari %s ended at its start:\n%s", role, c.Log())
	case <-time.After(time.Minute):
		t.Fatalf("lari %s does not work yet:\n%s", role, c.Log())
	}
	return c
}

// read keeps the log, tells once that the role works, and waits for the end.
func (c *Child) read(out io.Reader, works chan<- string) {
	defer close(c.exited)
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		c.mu.Lock()
		c.log.WriteString(line)
		c.mu.Unlock()
		var entry struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &entry) == nil && (entry.Msg == "the API accepts requests" || entry.Msg == "the worker takes tasks") {
			works <- entry.Addr
		}
	}
	_ = c.cmd.Wait()
}

// Log gives what it has logged.
func (c *Child) Log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// Kill ends it at once, as kill -9 does, and waits until it is gone.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
}

// Signal sends a signal.
func (c *Child) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatalf("send %s: %v", s, err)
	}
}

// Exit waits for its end and gives the exit code.
func (c *Child) Exit(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-c.exited:
	case <-time.After(within):
		t.Fatalf("the process still runs after %s:\n%s", within, c.Log())
	}
	return c.cmd.ProcessState.ExitCode()
}
