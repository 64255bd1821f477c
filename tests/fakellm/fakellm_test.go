package fakellm_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/tests/fakellm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start gives a server and a client that end with the test.
func start(t *testing.T, options fakellm.Options) (*fakellm.Server, *http.Client) {
	t.Helper()
	server := fakellm.Start(options)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	return server, &http.Client{Transport: transport}
}

func post(ctx context.Context, client *http.Client, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

func chat(text string) string {
	return fmt.Sprintf(`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":%q}]}`, text)
}

// read gives status, text and the error that the body ended with.
func read(t *testing.T, client *http.Client, url, body string) (int, string, error) {
	t.Helper()
	resp, err := post(t.Context(), client, url, body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestRulesAndTheToolLoop(t *testing.T) {
	t.Parallel()
	server, client := start(t, fakellm.Options{Rules: []fakellm.Rule{
		{Contains: "once", Times: 1, Reply: fakellm.Reply{Text: "FIRST"}},
		{Contains: "weather", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "look", Arguments: `{"at":"Ambon"}`}}}},
		{Contains: "weather", Turn: fakellm.AfterTools, Reply: fakellm.Reply{Text: "SUNNY"}},
		{Model: "special", Reply: fakellm.Reply{Text: "SPECIAL"}},
	}, Default: fakellm.Reply{Text: "OTHER"}})
	const openAI, anthropic = "/v1/chat/completions", "/v1/messages"
	for _, test := range []struct{ path, body, want string }{
		{openAI, chat("once"), "FIRST"},
		{openAI, chat("once"), "OTHER"},
		{openAI, chat("the weather"), `"finish_reason":"tool_calls"`},
		{openAI, `{"model":"m","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"weather"}]},{"role":"assistant","tool_calls":[]},{"role":"tool","content":"x"}]}`, "SUNNY"},
		{openAI, `{"model":"special","stream":true,"messages":[]}`, "SPECIAL"},
		{anthropic, chat("the weather"), `"stop_reason":"tool_use"`},
		{anthropic, `{"model":"m","stream":true,"messages":[{"role":"user","content":"weather"},{"role":"assistant","content":[]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]}]}`, "SUNNY"},
	} {
		if status, text, err := read(t, client, server.URL+test.path, test.body); err != nil || status != 200 || !strings.Contains(text, test.want) {
			t.Errorf("%s %s: %d, error %v, want %q in\n%s", test.path, test.body, status, err, test.want, text)
		}
	}
	if st := server.Stats(); st.Requests != 7 || st.Open != 0 || st.Disconnects != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestWireFormats(t *testing.T) {
	t.Parallel()
	server, client := start(t, fakellm.Options{Default: fakellm.Reply{Text: "a b", Usage: &fakellm.Usage{Input: 5, Output: 2}}})
	_, text, _ := read(t, client, server.URL+"/v1/chat/completions", chat("q"))
	for _, want := range []string{`"content":"a "`, `"content":"b"`, `"finish_reason":"stop"`, `"prompt_tokens":5`, "data: [DONE]\n\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("chat completions lack %q:\n%s", want, text)
		}
	}
	_, text, _ = read(t, client, server.URL+"/v1/messages", chat("q"))
	for _, want := range []string{"event: message_start\n", `"input_tokens":5`, "event: content_block_start\n", `"text":"a "`, "event: content_block_stop\n", `"stop_reason":"end_turn"`, "event: message_stop\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("messages lack %q:\n%s", want, text)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	server, client := start(t, fakellm.Options{APIKey: "", Rules: []fakellm.Rule{
		{Contains: "limit", Reply: fakellm.Reply{Failure: fakellm.RateLimited("3")}},
		{Contains: "cut", Reply: fakellm.Reply{Words: 5, CutAfter: 2}},
		{Contains: "wrong", Reply: fakellm.Reply{Words: 5, FailAfter: 2, StreamError: `{"error":{"message":"boom"}}`}},
	}})
	url := server.OpenAIURL() + "/chat/completions"
	resp, err := post(t.Context(), client, url, chat("limit"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "3" {
		t.Errorf("status %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if _, text, err := read(t, client, url, chat("cut")); err == nil || strings.Count(text, "word") != 2 {
		t.Errorf("cut after 2: error %v, text\n%s", err, text)
	}
	if _, text, err := read(t, client, url, chat("wrong")); err != nil || !strings.HasSuffix(text, `data: {"error":{"message":"boom"}}`+"\n\n") {
		t.Errorf("error in the stream: error %v, text\n%s", err, text)
	}
	if status, _, _ := read(t, client, url, `{"model":"m","messages":[]}`); status != 400 {
		t.Errorf("a request without stream got %d", status)
	}
	guarded, client := start(t, fakellm.Options{APIKey: "k"})
	if status, _, _ := read(t, client, guarded.URL+"/v1/messages", chat("q")); status != 401 {
		t.Errorf("a request without the key got %d", status)
	}
}

func TestTheGateAndTheCounters(t *testing.T) {
	t.Parallel()
	server, client := start(t, fakellm.Options{Default: fakellm.Reply{Words: 100, Gated: true}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	begun := make(chan struct{})
	group.Go(func() {
		defer close(begun) // also when there was no answer
		resp, err := post(ctx, client, server.OpenAIURL()+"/chat/completions", chat("q"))
		if err != nil {
			t.Error(err)
			return
		}
		begun <- struct{}{}
		_, _ = io.Copy(io.Discard, resp.Body) // ends with the cancel
		_ = resp.Body.Close()
	})
	if err := server.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	server.Release(4)
	if err := server.WaitChunks(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if st := server.Stats(); st.Chunks != 4 || st.Open != 1 {
		t.Errorf("stats %+v after four releases", st)
	}
	<-begun
	cancelled := time.Now()
	cancel()
	group.Wait()
	if err := server.WaitDisconnects(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	server.Release(10) // nobody is there to take them
	record := server.Records()[0]
	if record.Chunks != 4 || record.LastByte.After(cancelled) || record.Disconnected.Before(cancelled) || record.LastUser != "q" {
		t.Errorf("record %+v, cancelled at %s", record, cancelled)
	}
	if err := server.WaitIdle(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	server, _ := start(t, fakellm.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.WaitRequests(ctx, 1); err == nil || !strings.Contains(err.Error(), "1 requests") {
		t.Errorf("error %v", err)
	}
}

func TestCloseEndsHangingAnswers(t *testing.T) {
	t.Parallel()
	server, client := start(t, fakellm.Options{Default: fakellm.Reply{Hang: true}})
	var group sync.WaitGroup
	group.Go(func() {
		if resp, err := post(t.Context(), client, server.URL+"/v1/messages", chat("q")); err == nil {
			_ = resp.Body.Close()
			t.Error("a hanging answer came")
		}
	})
	if err := server.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	server.Close()
	group.Wait()
	if st := server.Stats(); st.Open != 0 || st.Disconnects != 0 {
		t.Errorf("stats %+v: the server left, not the client", st)
	}
}

// One error in ten, the same ones for the same seed.
func TestChaos(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (pattern string) {
		server, client := start(t, fakellm.Options{Chaos: fakellm.Chaos{Rate: 0.1, Seed: seed}})
		for range 500 {
			status, _, _ := read(t, client, server.OpenAIURL()+"/chat/completions", chat("q"))
			pattern += map[bool]string{true: ".", false: "x"}[status == 200]
		}
		return pattern
	}
	first, again, other := draw(7), draw(7), draw(8)
	if n := strings.Count(first, "x"); n < 30 || n > 75 {
		t.Errorf("%d of 500 failed, want about 50", n)
	}
	if first != again || first == other {
		t.Errorf("the pattern does not depend on the seed alone")
	}
}
