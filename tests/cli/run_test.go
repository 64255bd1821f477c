package cli

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// stalled is a text after which the model of the tests says a few words and then nothing more.
const stalled = "talk and stall"

func environment(x *harness.Tenant) []string {
	return []string{"LARI_API_URL=" + x.URL, "LARI_TOKEN=" + x.Token}
}

func newTenant(t *testing.T, s *harness.System) *harness.Tenant {
	t.Helper()
	return s.Start(t, app.Options{API: true, Worker: true}).NewTenant(t, agents.Config{})
}

func system(t *testing.T) *harness.System {
	t.Helper()
	return harness.NewSystem(t,
		fakellm.Rule{Contains: stalled, Reply: fakellm.Reply{Text: "one two three four", HangAfter: 3}},
		fakellm.Rule{Contains: "break", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}},
		fakellm.Rule{Reply: fakellm.Reply{Text: "Good day."}})
}

func TestRun_TakesFlagsAfterItsText(t *testing.T) {
	t.Parallel()
	x := newTenant(t, system(t))
	r := lari(t, environment(x), "run", "say", "hello", "--agent", "assistant").mustExit(t, 0)
	if r.out != "Good day.\n" {
		t.Errorf("stdout %q", r.out)
	}
	if r := lari(t, environment(x), "run", "hello", "--agent", "nobody").mustExit(t, 1); !strings.Contains(r.err, "names no agent") {
		t.Errorf("an unknown agent after the text: %q", r.err)
	}
	if r := lari(t, environment(x), "run", "--", "--help").mustExit(t, 0); r.out != "Good day.\n" {
		t.Errorf("text behind --: %q", r.out)
	}
}

func TestRun_ExitsWithOneForARunThatFails(t *testing.T) {
	t.Parallel()
	x := newTenant(t, system(t))
	r := lari(t, environment(x), "run", "break").mustExit(t, 1)
	if strings.Count(r.err, "the run failed") != 1 {
		t.Errorf("stderr %q", r.err)
	}
}

func TestRun_StopsTheRunWhenItsReaderLeaves(t *testing.T) {
	t.Parallel()
	x := newTenant(t, system(t))
	cmd := command(t, environment(x), "run", stalled)
	notes, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	text, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(notes).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(text, make([]byte, len("one"))); err != nil {
		t.Fatal(err)
	}
	_ = text.Close() // the model says nothing more, so that no write tells the program
	id, err := uuid.Parse(strings.TrimSpace(strings.TrimPrefix(first, "run ")))
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, "the run is cancelled", func() bool {
		return x.FindRun(t, id).Status == "cancelled"
	})
	_, _ = io.Copy(io.Discard, notes)
	if err := cmd.Wait(); err != nil {
		t.Errorf("lari run: %v", err)
	}
}

func TestRunWatch_LeavesTheRunAloneWhenItsReaderLeaves(t *testing.T) {
	t.Parallel()
	x := newTenant(t, system(t))
	run := x.StartRun(t, map[string]any{"input": stalled})
	cmd := command(t, environment(x), "run", "--watch", run.ID.String())
	text, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(text, make([]byte, len("one"))); err != nil {
		t.Fatal(err)
	}
	_ = text.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("lari run --watch: %v", err)
	}
	if status := x.FindRun(t, run.ID).Status; status != "running" {
		t.Errorf("the run is %s", status)
	}
	x.Do(t, "POST", "/v1/runs/"+run.ID.String()+"/cancel?wait=true", map[string]any{}).Want(t, 200)
}
