package devstack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKilledPostgresIsReportedAndRecovers(t *testing.T) {
	t.Parallel()
	cfg := lasting(t)
	s := start(t, cfg)
	write(t, s.DatabaseURL, "second")
	must(t, syscall.Kill(s.children[0].process.Pid, syscall.SIGKILL))
	select {
	case err := <-s.Done():
		mustExplain(t, err, "postgres ended by itself", "killed")
	case <-t.Context().Done():
		t.Fatal("Done says nothing")
	}
	must(t, s.Close())
	mustHold(t, start(t, cfg).DatabaseURL, "first,second")
}

func TestChildrenDieWithAKilledParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux signals orphans")
	}
	cfg := Config{DataDir: ownPorts(t, openFolder(t))}
	parent, told := startHelper(t, cfg, nil)
	if len(told.PIDs) != 2 {
		t.Fatalf("helper reports %d children, want 2", len(told.PIDs))
	}
	write(t, told.DatabaseURL, "first")
	must(t, parent.Process.Kill())
	begun := time.Now()
	goneWithin(t, 20*time.Second, told.PIDs)
	t.Logf("gone after %s", time.Since(begun).Round(time.Millisecond))
	mustHold(t, start(t, cfg).DatabaseURL, "first")
}

func TestTemporal_KilledKeepsItsWorkflow(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: ownPorts(t, openFolder(t))}
	first := start(t, cfg)
	startWorkflow(t, first.TemporalAddress)
	temporal := first.children[len(first.children)-1]
	must(t, syscall.Kill(temporal.process.Pid, syscall.SIGKILL))
	<-temporal.exited
	must(t, first.Close())

	// Bytes 18 and 19 are the versions of the file format: 2 is a write-ahead log (https://sqlite.org/fileformat2.html, 1.3).
	header, err := os.ReadFile(filepath.Join(cfg.DataDir, "temporal.db"))
	must(t, err)
	if len(header) < 20 || header[18] != 2 || header[19] != 2 {
		t.Errorf("temporal.db has no write-ahead log: versions %v", header[18:20])
	}
	describeWorkflow(t, start(t, cfg).TemporalAddress)
}

func TestEphemeralLeavesNothing(t *testing.T) {
	t.Parallel()
	parent := openFolder(t)
	cfg := Config{DataDir: parent, TemporalAddress: givenTemporal, Ephemeral: true}
	killed, told := startHelper(t, cfg, nil)
	must(t, killed.Process.Kill())
	goneWithin(t, 20*time.Second, told.PIDs)
	if left := entries(t, parent); len(left) != 2 {
		t.Fatalf("a killed parent leaves %v, want a folder and its lock", left)
	}
	s := start(t, cfg) // sweeps
	if left := entries(t, parent); len(left) != 2 {
		t.Fatalf("while one runs: %v", left)
	}
	must(t, s.Close())
	if left := entries(t, parent); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

// Where no kernel signals orphans, a server of a killed parent still runs when the next start comes.
func TestOrphanIsTakenOver(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: ownPorts(t, openFolder(t))}
	first := start(t, cfg)
	write(t, first.DatabaseURL, "first")
	first.boot.lock.release(false) // as the kernel does for a dead parent
	var said lines
	cfg.Out = &said
	second := start(t, cfg)
	mustHold(t, second.DatabaseURL, "first")
	for _, c := range first.children {
		<-c.exited
	}
	for _, words := range []string{"stopping a Postgres", "stopping a Temporal"} {
		if !strings.Contains(said.String(), words) {
			t.Errorf("progress lacks %q: %s", words, said.String())
		}
	}
	if log := lastLines(first.children[1].logPath+".1", 40); !strings.Contains(log, "database system is shut down") {
		t.Errorf("the orphan was not shut down cleanly:\n%s", log)
	}
}

func TestStalePidFile(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "600")
	who, err := serverAccount()
	must(t, err)
	bystander.SysProcAttr = &syscall.SysProcAttr{Credential: who.credential()}
	must(t, bystander.Start())
	t.Cleanup(func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	})
	dead := exec.Command("true")
	must(t, dead.Run())
	for name, pid := range map[string]int{"recycled": bystander.Process.Pid, "dead": dead.Process.Pid} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := lasting(t)
			dir := filepath.Join(cfg.DataDir, "postgres")
			text := strconv.Itoa(pid) + "\n" + dir + "\n1600000000\n15432\n\n127.0.0.1\n"
			file := filepath.Join(dir, "postmaster.pid")
			must(t, os.WriteFile(file, []byte(text), 0o600))
			must(t, who.own(file))
			mustHold(t, start(t, cfg).DatabaseURL, "first")
		})
	}
	t.Cleanup(func() {
		if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the process with the recycled pid was ended: %v", err)
		}
	})
}

func TestCancelledStartLeavesNoChild(t *testing.T) {
	t.Parallel()
	cfg := lasting(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, cfg); err == nil {
		_ = s.Close()
		t.Fatal("a cancelled start succeeds")
	}
	if left := serversIn(filepath.Join(cfg.DataDir, "postgres"), 0); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
	mustHold(t, start(t, cfg).DatabaseURL, "first")
}
