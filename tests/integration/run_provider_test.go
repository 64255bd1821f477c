package integration

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

// One request in ten fails, in five ways, while sixty runs go on at once.
func TestAnUnreliableProvider(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{
		Rules: []fakellm.Rule{
			{Turn: fakellm.FirstTurn, Reply: fakellm.Reply{Text: "Let me compute that.", ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"6*7"}`}}}},
			{Turn: fakellm.AfterTools, Reply: says("It is forty two, no more and no less.")},
		},
		Chaos: fakellm.Chaos{Rate: 0.1, Seed: 7, Replies: []fakellm.Reply{
			{Failure: &fakellm.Failure{Status: 503}},
			{Failure: &fakellm.Failure{Status: 500}},
			{Failure: fakellm.RateLimited("1")},
			{Text: "half of an ans", CutAfter: 2},
			{Text: "all of an answer", CutAtEnd: true},
			{Text: "and then", StreamError: `{"error":{"message":"overloaded","type":"server_error"}}`, FailAfter: 1},
		}},
	})
	x := s.Start(t, harness.All).NewTenant(t, withTools("calculator"))
	const n = 60
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			r := x.StartRun(t, `{"input": "compute"}`)
			events := wholeLog(t, x, r.ID)
			if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "It is forty two, no more and no less." {
				t.Errorf("the run is %s: %s", r.Status, last(events).Data)
				return
			}
			wantReadable(t, events)
			if done := len(only(events, event.ToolCallCompleted)); done != 1 {
				t.Errorf("%d tool calls", done)
			}
		})
	}
	all.Wait()
	if got := s.Model.Stats().Requests; got <= 2*n {
		t.Errorf("%d requests for %d runs of two steps: nothing failed", got, n)
	}
}

// wantReadable demands that a client that follows the rules has the text of every message: it collects
// deltas and discards those of a message when it is told to.
func wantReadable(t *testing.T, events []event.Event) {
	t.Helper()
	texts := map[string]string{}
	for _, e := range events {
		switch e.Type { //nolint:exhaustive // the others are not about text
		case event.MessageDelta:
			d := harness.Payload[event.Delta](t, e)
			texts[d.MessageID] += d.Text
		case event.AttemptRestarted:
			r := harness.Payload[event.Restarted](t, e)
			if texts[r.MessageID] == "" {
				t.Errorf("event %d takes back what nobody said", e.Seq)
			}
			texts[r.MessageID] = ""
		case event.MessageCompleted:
			m := harness.Payload[event.Message](t, e)
			if texts[m.MessageID] != m.Text {
				t.Errorf("the deltas make %q, the message is %q", texts[m.MessageID], m.Text)
			}
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Times: 1, Reply: fakellm.Reply{Failure: fakellm.RateLimited("3")}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	events := wholeLog(t, x, r.ID)
	records := s.Model.Records()
	if len(records) != 2 || last(events).Type != event.RunCompleted {
		t.Fatalf("%d requests, then %s", len(records), last(events).Data)
	}
	if pause := records[1].Started.Sub(records[0].Ended); pause < 3*time.Second || pause > 20*time.Second {
		t.Errorf("asked again after %s", pause)
	}
	if n := len(only(events, event.AttemptRestarted)); n != 0 {
		t.Error("an attempt that said nothing has nothing to take back")
	}
}

func TestWhatIsWrongWithARequestIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for status, detail := range map[int]string{400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Too Large"} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: status}}})
			x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
			r := x.StartRun(t, `{"input": "hello"}`)
			events := wholeLog(t, x, r.ID)
			failed := harness.Payload[event.Failed](t, last(events))
			if last(events).Type != event.RunError || failed.Code != event.ErrorModel || !strings.Contains(failed.Message, detail) {
				t.Errorf("the run ended with %s", last(events).Data)
			}
			if n := s.Model.Stats().Requests; n != 1 {
				t.Errorf("the model was asked %d times", n)
			}
			if r = x.FindRun(t, r.ID); r.Status != "failed" || r.Error == nil || r.Error.Code != event.ErrorModel || r.Error.Message != failed.Message {
				t.Errorf("the row is %+v", r)
			}
		})
	}
}

func TestAStreamThatBreaksIsBegunAgain(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Times: 1, Reply: fakellm.Reply{Text: "This is not what I", CutAfter: 3}},
		fakellm.Rule{Times: 1, Reply: fakellm.Reply{Text: "Nor is this", CutAtEnd: true}},
		fakellm.Rule{Reply: says("This is the answer.")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	events := wholeLog(t, x, r.ID)
	wantReadable(t, events)
	restarts := only(events, event.AttemptRestarted)
	if len(restarts) != 2 {
		t.Fatalf("%d restarts: %v", len(restarts), harness.Types(events))
	}
	for i, e := range restarts {
		if got := harness.Payload[event.Restarted](t, e); got.Attempt != i+2 || got.Step != 1 {
			t.Errorf("restart %d is %+v", i, got)
		}
	}
	messages := only(events, event.MessageCompleted)
	if len(messages) != 1 || harness.Payload[event.Message](t, messages[0]).Text != "This is the answer." {
		t.Errorf("the messages are %v", messages)
	}
	if r = x.FindRun(t, r.ID); *r.Output != "This is the answer." {
		t.Errorf("the output is %q", *r.Output)
	}
}

// A deploy in the middle of an answer: another worker begins it again, and does not wait for the heartbeats
// of the one that left to stay away (ten seconds).
func TestAWorkerThatLeavesInTheMiddleOfAnAnswer(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Times: 1, Reply: fakellm.Reply{Text: "This will never", HangAfter: 3}}, fakellm.Rule{Reply: says("This is the answer.")})
	cfg := s.Config
	cfg.Limits.ShutdownTimeout = time.Second
	p := s.Start(t, app.Options{API: true})
	w := s.StartWith(t, cfg, app.Options{Worker: true})
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	follower := x.Follow(t, r.ID, 0)
	follower.Until(t, event.MessageDelta)
	must(t, s.Model.WaitChunks(soon(t), 3))
	left := pace.Start(t)
	must(t, ignoreCancel(w.Stop()))
	s.Start(t, app.Options{Worker: true})
	follower.Rest(t)
	if took := left.Took(); took > 8*time.Second {
		t.Errorf("the answer came %s after the worker left", took)
	}
	events := wholeLog(t, x, r.ID)
	wantReadable(t, events)
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "This is the answer." || len(only(events, event.AttemptRestarted)) != 1 {
		t.Errorf("the run is %+v: %v", r, harness.Types(events))
	}
}

// What goes wrong with a tool is told to the model, which may do better.
func TestToolsThatFail(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visits.Add(1)
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = connection.(*net.TCPConn).SetLinger(0)
			_ = connection.Close()
		}
	}))
	t.Cleanup(away.Close)
	first := func(about string, reply fakellm.Reply) fakellm.Rule {
		return fakellm.Rule{Contains: about, Turn: fakellm.FirstTurn, Reply: reply}
	}
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Default: says("I see."), Rules: []fakellm.Rule{
		first("garbage", calls("calculator", `{"expression": 6*7`)),
		first("wrong type", calls("calculator", `{"expression": 42}`)),
		first("empty", calls("calculator", ``)),
		first("unknown", calls("teleport", `{"to":"Mars"}`)),
		first("not offered", calls("current_time", `{}`)),
		first("division", calls("calculator", `{"expression":"1/0"}`)),
		first("unreachable", calls("http_get", `{"url":"`+away.URL+`"}`)),
	}})
	x := s.Start(t, harness.All).NewTenant(t, withTools("calculator", "http_get"))
	for _, test := range []struct{ input, want string }{
		{"garbage", "arguments"},
		{"wrong type", "string"},
		{"empty", "expression"},
		{"unknown", "no tool named"},
		{"not offered", "no tool named"},
		{"division", "division"},
		{"unreachable", "reached"},
	} {
		t.Run(test.input, func(t *testing.T) {
			t.Parallel()
			r := x.StartRun(t, map[string]string{"input": test.input})
			events := wholeLog(t, x, r.ID)
			if last(events).Type != event.RunCompleted {
				t.Fatalf("the run ended with %s", last(events).Data)
			}
			ended := only(events, event.ToolCallCompleted)
			if len(ended) != 1 || len(only(events, event.ToolCallStarted)) != 1 {
				t.Fatalf("the log is %v", harness.Types(events))
			}
			done := harness.Payload[event.ToolCompleted](t, ended[0])
			if !strings.Contains(done.Error, test.want) || done.Result != "" {
				t.Errorf("the call ended with %+v, want an error with %q", done, test.want)
			}
			if shown := told(t, s, test.input); !strings.Contains(shown, done.Error) {
				t.Errorf("the model was shown\n%s", shown)
			}
			if n := visits.Load(); test.input == "unreachable" && n != 3 {
				t.Errorf("the server was tried %d times, want 3", n)
			}
		})
	}
}
