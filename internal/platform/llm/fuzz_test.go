package llm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/tests/fakellm"
)

// transport answers every request with the same bytes, after a look at it.
type transport struct {
	body  []byte
	check func(body []byte) error
	found error
}

// RoundTrip answers.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if t.check != nil {
		t.found = t.check(sent)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(bytes.NewReader(t.body)), Request: r,
	}, nil
}

func speaking(format string, t *transport) llm.Provider {
	client := &http.Client{Transport: t}
	if format == "anthropic" {
		return anthropic.New(anthropic.Config{APIKey: zooKey, BaseURL: "http://localhost", HTTPClient: client})
	}
	return openai.New(openai.Config{APIKey: zooKey, BaseURL: "http://localhost/v1", HTTPClient: client})
}

// fuzzStream demands of any bytes that a provider may send what the port promises.
func fuzzStream(f *testing.F, format string) {
	f.Helper()
	for _, s := range fakellm.Zoo() {
		if s.Format == format && s.Reply.Wire != nil {
			f.Add([]byte(strings.Join(s.Reply.Wire.Body, "")))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { wantPromises(t, format, body) })
}

// wantPromises demands of a turn made of any bytes what the port promises.
func wantPromises(t *testing.T, format string, body []byte) {
	t.Helper()
	turn := llmtest.Collect(t.Context(), t, speaking(format, &transport{body: body}), llm.Request{Model: "m", Messages: []llm.Message{
		{Role: llm.RoleUser, Content: "q"}, {Role: llm.RoleAssistant, ToolCalls: []llm.ToolCall{{ID: "a", Name: "one"}}},
		{Role: llm.RoleTool, ToolCallID: "a"},
	}})
	if !utf8.ValidString(turn.Text) {
		t.Errorf("the text is not UTF-8: %q", turn.Text)
	}
	used, _ := llm.PartialUsage(turn.Err)
	if turn.Done != nil {
		used = turn.Done.Usage
	}
	if used.InputTokens < 0 || used.OutputTokens < 0 || used.InputTokens > 3e7 || used.OutputTokens > 3e7 {
		t.Errorf("usage %+v", used)
	}
	if turn.Err == nil {
		wantSound(t, turn)
		return
	}
	var failure *llm.Error
	if !errors.As(turn.Err, &failure) || failure.Detail == "" || len([]rune(failure.Detail)) > 500 || !utf8.ValidString(failure.Detail) {
		t.Errorf("failure %+v", turn.Err)
	}
}

var mutations = flag.Int("mutations", 3000, "how many changed answers TestZoo_MutationsKeepThePromises sends")

// Answers of the zoo with bytes changed, left out, repeated and put together keep the port's promises too. The fuzzer does
// this better, and much slower: it instruments the SDKs.
func TestZoo_MutationsKeepThePromises(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(1, 2))
	var zoo []fakellm.Scenario
	for _, s := range fakellm.Zoo() {
		if s.Reply.Wire != nil && len(s.Reply.Wire.Body) > 0 {
			zoo = append(zoo, s)
		}
	}
	const letters = "\"{}[]:,0-\\u\n\rd8\xff\x00"
	for i := range *mutations {
		one, two := zoo[draw.IntN(len(zoo))], zoo[draw.IntN(len(zoo))]
		body := []byte(strings.Join(one.Reply.Wire.Body, ""))
		other := []byte(strings.Join(two.Reply.Wire.Body, ""))
		for range 1 + draw.IntN(4) {
			at := draw.IntN(len(body) + 1)
			to := min(len(body), at+draw.IntN(40))
			switch draw.IntN(5) {
			case 0:
				body = slices.Delete(body, at, to)
			case 1:
				body = slices.Insert(body, at, letters[draw.IntN(len(letters))])
			case 2:
				body = slices.Insert(body, at, slices.Clone(body[at:to])...)
			case 3:
				body = append(body[:at:at], other[draw.IntN(len(other)):]...)
			case 4:
				if at < len(body) {
					body[at] = letters[draw.IntN(len(letters))]
				}
			}
		}
		if wantPromises(t, one.Format, body); t.Failed() {
			t.Fatalf("mutation %d: %q", i, body)
		}
	}
}

// wantSound demands that a turn that ended well can be stored and sent back.
func wantSound(t *testing.T, turn llmtest.Turn) {
	t.Helper()
	reason := string(turn.Done.Reason)
	if reason == "" || len([]rune(reason)) > 64 || strings.ContainsFunc(reason, unicode.IsControl) || !utf8.ValidString(reason) {
		t.Errorf("reason %q", reason)
	}
	calls := turn.Calls
	for _, c := range turn.Done.Unfinished {
		calls = append(calls, c.ToolCall)
	}
	ids := map[string]bool{"a": true}
	for _, c := range calls {
		if c.ID == "" || ids[c.ID] || !utf8.ValidString(c.ID+c.Name+c.Arguments) || c.Arguments == "" {
			t.Errorf("call %+v of %+v", c, calls)
		}
		ids[c.ID] = true
	}
	for _, c := range turn.Calls {
		if c.Name == "" {
			t.Errorf("a call without a name is to be run: %+v", c)
		}
	}
}

func FuzzOpenAIStream(f *testing.F) { fuzzStream(f, "openai") }

func FuzzAnthropicStream(f *testing.F) { fuzzStream(f, "anthropic") }

// FuzzConversation demands that a strict provider takes any history: the first byte of a line is the role, the rest its
// words; a call's line is id, name and arguments, a result's id and words, with a bar between them.
func FuzzConversation(f *testing.F) {
	f.Add("uq\nctext|\nca|one|{}\nra|1\nu more")
	f.Add("uq\nca|one|{}\nca|two|[1]\nra|1\nra|2\nca|one|{broken\na\nuq\nuq2")
	f.Add("a first\na  \nu \nuq\nrx|nobody asked\nc|bad name!|\nc||null\nsystem")
	f.Add("ua\nuhello\na:\xff\x00\nca:1|f|{}\nca_1|f|{}\nr|x\nsmore rules\nub")
	f.Fuzz(func(t *testing.T, script string) {
		request := llm.Request{Model: "m", Messages: append(history(script), llm.Message{Role: llm.RoleUser, Content: "Go on."})}
		for format, check := range map[string]func([]byte) error{"openai": fakellm.CheckOpenAI, "anthropic": fakellm.CheckAnthropic} {
			server := &transport{check: check, body: []byte("data: [DONE]\n\n")}
			for range speaking(format, server).Stream(t.Context(), request) { //nolint:revive // only what was sent counts
			}
			if server.found != nil {
				text, _ := json.Marshal(request.Messages)
				t.Errorf("%s refuses it: %v\n%s", format, server.found, text)
			}
		}
	})
}

func history(script string) []llm.Message {
	var messages []llm.Message
	for line := range strings.SplitSeq(script, "\n") {
		if line == "" {
			continue
		}
		kind, rest := line[0], line[1:]
		words := strings.SplitN(rest, "|", 3)
		for len(words) < 3 {
			words = append(words, "")
		}
		switch kind {
		case 'u':
			messages = append(messages, llm.Message{Role: llm.RoleUser, Content: rest})
		case 'a':
			messages = append(messages, llm.Message{Role: llm.RoleAssistant, Content: rest})
		case 'c':
			call := llm.ToolCall{ID: words[0], Name: words[1], Arguments: words[2]}
			if last := len(messages) - 1; last >= 0 && messages[last].Role == llm.RoleAssistant {
				messages[last].ToolCalls = append(messages[last].ToolCalls, call)
				continue
			}
			messages = append(messages, llm.Message{Role: llm.RoleAssistant, ToolCalls: []llm.ToolCall{call}})
		case 'r':
			messages = append(messages, llm.Message{Role: llm.RoleTool, ToolCallID: words[0], Content: words[1], IsError: words[1] == ""})
		}
	}
	return messages
}

// The same history makes the same request: what a provider has cached of it stays valid.
func TestConversation_IsDeterministic(t *testing.T) {
	t.Parallel()
	var sent [2][]byte
	for i := range sent {
		server := &transport{body: []byte("data: [DONE]\n\n"), check: func(body []byte) error { sent[i] = body; return nil }}
		request := llm.Request{Model: "m", Messages: history("uq\nca|one|{}\nca|two|{}\nra|1\nra|2\nca|one|{}")}
		for range speaking("openai", server).Stream(t.Context(), request) { //nolint:revive // only what was sent counts
		}
	}
	if !bytes.Equal(sent[0], sent[1]) || len(sent[0]) == 0 {
		t.Errorf("%s\n%s", sent[0], sent[1])
	}
	if !strings.Contains(string(sent[0]), "has no result") {
		t.Error(fmt.Errorf("the last call has no answer: %s", sent[0]))
	}
}
