package devstack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// helperVariable makes this test binary a parent process that starts a stack, reports it and waits to be
// killed.
const helperVariable = "LARI_DEVSTACK_HELPER"

// givenTemporal stands for an address that the caller brought: tests of Postgres alone start no Temporal.
const givenTemporal = "127.0.0.1:1"

type report struct {
	PIDs        []int
	DatabaseURL string
	Failure     string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(helperVariable); text != "" {
		helper(text)
		return
	}
	goleak.VerifyTestMain(m)
}

func helper(text string) {
	var cfg Config
	var answer report
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		answer.Failure = err.Error()
	} else if s, err := Start(context.Background(), cfg); err != nil {
		answer.Failure = err.Error()
	} else {
		answer.DatabaseURL = s.DatabaseURL
		for _, c := range s.children {
			answer.PIDs = append(answer.PIDs, c.process.Pid)
		}
	}
	line, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the test closes our input or kills us
}

// startHelper runs the helper and waits for its report.
func startHelper(t *testing.T, cfg Config, change func(*exec.Cmd)) (*exec.Cmd, report) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"DataDir": cfg.DataDir, "TemporalAddress": cfg.TemporalAddress, "Ephemeral": cfg.Ephemeral})
	must(t, err)
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), helperVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	input, err := cmd.StdinPipe()
	must(t, err)
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = input.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(output).ReadBytes('\n')
	must(t, err)
	var answer report
	must(t, json.Unmarshal(line, &answer))
	if answer.Failure != "" {
		t.Fatalf("helper: %s", answer.Failure)
	}
	return cmd, answer
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines collects progress lines; a Stack writes them from several goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts a stack that is closed with the test.
func start(t *testing.T, cfg Config) *Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := Start(ctx, cfg)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// query gives one text value.
func query(t *testing.T, address, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var value string
	must(t, conn.QueryRow(t.Context(), statement).Scan(&value))
	return value
}

func write(t *testing.T, address, value string) {
	t.Helper()
	must(t, execute(t.Context(), address, "CREATE TABLE IF NOT EXISTS kept (value text)", ""))
	must(t, execute(t.Context(), address, "INSERT INTO kept VALUES ('"+value+"')", ""))
}

func mustHold(t *testing.T, address, value string) {
	t.Helper()
	if got := query(t, address, "SELECT string_agg(value, ',' ORDER BY value) FROM kept"); got != value {
		t.Fatalf("table holds %q, want %q", got, value)
	}
}

// goneWithin waits until the processes are gone (a zombie counts as gone).
func goneWithin(t *testing.T, limit time.Duration, pids []int) {
	t.Helper()
	alive := func() bool {
		for _, pid := range pids {
			if commandLine(pid) != "" {
				return true
			}
		}
		return false
	}
	must(t, waitUntil(t.Context(), limit, func() bool { return !alive() }))
	if alive() {
		t.Fatalf("processes %v still run after %s", pids, limit)
	}
}

// lasting is a closed cluster with one row, and its state folder.
func lasting(t *testing.T) Config {
	t.Helper()
	cfg := Config{DataDir: filepath.Join(openFolder(t), "state"), TemporalAddress: givenTemporal}
	s := start(t, cfg)
	write(t, s.DatabaseURL, "first")
	must(t, s.Close())
	return cfg
}

// openFolder is a temporary folder that the server's user can enter; t.TempDir's parent is closed.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // that is its purpose
	return dir
}

// ownPorts makes a state folder remember ports that the system chose: those of the parallel tests of this package would
// otherwise all begin with the same ones, and a server that another test has just started answers for ours.
func ownPorts(t *testing.T, dir string) string {
	t.Helper()
	postgres, err := systemPort()
	must(t, err)
	temporal, err := systemPort()
	must(t, err)
	text, err := json.Marshal(state{PostgresPort: postgres, TemporalPort: temporal})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "devstack.json"), text, 0o600))
	return dir
}

func asUser(uid uint32) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
}
