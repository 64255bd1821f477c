package builtin_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/builtin"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func tools(names ...string) []llm.Tool {
	out := make([]llm.Tool, 0, len(names))
	for _, name := range names {
		out = append(out, llm.Tool{Name: name, Parameters: json.RawMessage(`{"type":"object"}`)})
	}
	return out
}

func ask(question string, toolNames ...string) llm.Request {
	return llm.Request{
		Model: builtin.DefaultModel, Messages: []llm.Message{{Role: llm.RoleUser, Content: question}}, Tools: tools(toolNames...),
	}
}

// after adds a turn of the tool loop: the calls and what the tools answered, by tool name.
func after(req llm.Request, results map[string]string, order ...string) llm.Request {
	calling := llm.Message{Role: llm.RoleAssistant}
	answers := make([]llm.Message, 0, len(order))
	for _, name := range order {
		calling.ToolCalls = append(calling.ToolCalls, llm.ToolCall{ID: "id-" + name, Name: name, Arguments: "{}"})
		answers = append(answers, llm.Message{Role: llm.RoleTool, ToolCallID: "id-" + name, ToolName: name, Content: results[name]})
	}
	req.Messages = append(append(req.Messages, calling), answers...)
	return req
}

func TestConformance(t *testing.T) {
	llmtest.Run(t, llmtest.Subject{
		Short: func(*testing.T) (llm.Provider, llm.Request, string) {
			return builtin.New(builtin.Config{}), ask("count to 7"), "1 2 3 4 5 6 7"
		},
		Long: func(*testing.T) (llm.Provider, llm.Request) {
			return builtin.New(builtin.Config{TokensPerSecond: 500}), ask("write 5000 words about the sea")
		},
		ToolCalls: func(*testing.T) (llm.Provider, llm.Request, []llm.ToolCall) {
			return builtin.New(builtin.Config{}), ask("What is 12 * 7, and how do refunds work?", "knowledge_search", "calculator"), []llm.ToolCall{
				{Name: "calculator", Arguments: `{"expression":"12 * 7"}`},
				{Name: "knowledge_search", Arguments: `{"query":"What is 12 * 7, and how do refunds work?"}`},
			}
		},
	})
}

func TestWhichToolsAreCalled(t *testing.T) {
	t.Parallel()
	all := []string{"knowledge_search", "calculator", "current_time"}
	tests := []struct {
		question string
		tools    []string
		want     map[string]string // arguments by tool
	}{
		{"How long do refunds take?", all, map[string]string{"knowledge_search": `{"query":"How long do refunds take?"}`}},
		{"Apa syarat pengembalian barang?", all, map[string]string{"knowledge_search": `{"query":"Apa syarat pengembalian barang?"}`}},
		{"what is 12*7?", all, map[string]string{"calculator": `{"expression":"12*7"}`}},
		{"Calculate 1,200 / 4 please", all, map[string]string{"calculator": `{"expression":"1200 / 4"}`}},
		{"What is (3 + 4) × 2 ÷ 7?", all, map[string]string{"calculator": `{"expression":"(3 + 4) * 2 / 7"}`}},
		{"15% of 240", all, map[string]string{"calculator": `{"expression":"15 / 100 * 240"}`}},
		{"berapa 12 kali 3 ditambah 4?", all, map[string]string{"calculator": `{"expression":"12 * 3 + 4"}`}},
		{"what is 100-1?", all, map[string]string{"calculator": `{"expression":"100-1"}`}},
		{"what is 2 ** 10", all, map[string]string{"calculator": `{"expression":"2 ** 10"}`}},
		{"What happened on 2026-03-01?", all, map[string]string{"knowledge_search": `{"query":"What happened on 2026-03-01?"}`}},
		{"Is support open 24/7?", all, map[string]string{"knowledge_search": `{"query":"Is support open 24/7?"}`}},
		{"Summarise pages 10-20", all, map[string]string{"knowledge_search": `{"query":"Summarise pages 10-20"}`}},
		{"price of RTX-4090-2", all, map[string]string{"knowledge_search": `{"query":"price of RTX-4090-2"}`}},
		{"What time is it now?", all, map[string]string{"current_time": `{}`}},
		{"What's today's date?", all, map[string]string{"current_time": `{}`}},
		{"jam berapa sekarang?", all, map[string]string{"current_time": `{}`}},
		{"What time does the shop open?", all, map[string]string{"knowledge_search": `{"query":"What time does the shop open?"}`}},
		{"What time is it, what is 2+2, and who is the founder?", all, map[string]string{
			"current_time": `{}`, "calculator": `{"expression":"2+2"}`,
			"knowledge_search": `{"query":"What time is it, what is 2+2, and who is the founder?"}`,
		}},
		{"what is 12*7?", []string{"knowledge_search"}, map[string]string{"knowledge_search": `{"query":"what is 12*7?"}`}},
		{"Hello!", all, nil},
		{"How long do refunds take?", []string{"send_mail"}, nil},
		{"How long do refunds take?", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.question, func(t *testing.T) {
			t.Parallel()
			turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), ask(test.question, test.tools...))
			got := map[string]string{}
			for _, call := range turn.Calls {
				got[call.Name] = call.Arguments
			}
			if len(got) != len(turn.Calls) || (len(got) > 0 || len(test.want) > 0) && !reflect.DeepEqual(got, test.want) {
				t.Errorf("calls %v, want %v", turn.Calls, test.want)
			}
			if len(test.want) == 0 && !strings.Contains(turn.Text, "built-in model") {
				t.Errorf("it does not say what it is: %q", turn.Text)
			}
		})
	}
}

func TestTheSchemaNamesTheArgument(t *testing.T) {
	t.Parallel()
	req := ask("refund policy")
	req.Tools = []llm.Tool{{Name: "knowledge_search", Parameters: json.RawMessage(
		`{"type":"object","properties":{"q":{"type":"string"},"limit":{"type":"integer"}},"required":["q"]}`)}}
	turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), req)
	if len(turn.Calls) != 1 || turn.Calls[0].Arguments != `{"q":"refund policy"}` {
		t.Errorf("calls %+v", turn.Calls)
	}
}

const found = `{"results":[
 {"title":"Refund policy","uri":"https://shop.example/refunds","score":0.9,
  "content":"# Refunds\n\nOur shop opened in 2019. Refunds are paid within **14 days** after the parcel came back, e.g. by bank transfer. Gift cards are not refunded."},
 {"title":"Refund policy","uri":"https://shop.example/refunds","score":0.8,
  "content":"Refunds are paid within 14 days after the parcel came back, e.g. by bank transfer. The colour of the box does not matter."},
 {"title":"Shipping","uri":"https://shop.example/shipping","score":0.3,"snippet":"Parcels travel three <b>days</b>. We never ship on Sundays.","content":""}
]}`

func TestTheAnswerIsExtractedAndCited(t *testing.T) {
	t.Parallel()
	req := after(ask("How many days until refunds are paid?", "knowledge_search"), map[string]string{"knowledge_search": found}, "knowledge_search")
	turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), req)
	for _, want := range []string{
		"Refunds are paid within 14 days after the parcel came back, e.g. by bank transfer. [1]",
		"Parcels travel three days. [2]",
		"[1] Refund policy (https://shop.example/refunds)\n[2] Shipping (https://shop.example/shipping)",
		"not a language model", "OPENAI_API_KEY", "ANTHROPIC_API_KEY",
	} {
		if !strings.Contains(turn.Text, want) {
			t.Errorf("the answer lacks %q:\n%s", want, turn.Text)
		}
	}
	if n := strings.Count(turn.Text, "14 days"); n != 1 {
		t.Errorf("the same sentence stands there %d times:\n%s", n, turn.Text)
	}
	if strings.Contains(turn.Text, "Sundays") || strings.Contains(turn.Text, "2019") || len(turn.Calls) > 0 {
		t.Errorf("calls %v, text:\n%s", turn.Calls, turn.Text)
	}
}

func TestAnswersFromResults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		question string
		results  map[string]string
		order    []string
		want     []string
	}{
		"nothing found": {"refunds?", map[string]string{"knowledge_search": `{"results":[]}`}, []string{"knowledge_search"}, []string{"found nothing"}},
		"found by meaning only": {
			"refunds?",
			map[string]string{"knowledge_search": `{"results":[{"title":"Money","content":"You get your cash back soon. Just ask the desk."}]}`},
			[]string{"knowledge_search"},
			[]string{"nearest one says", "You get your cash back soon. [1]", "[1] Money"},
		},
		"not JSON":          {"refunds?", map[string]string{"knowledge_search": "All refunds take a week."}, []string{"knowledge_search"}, []string{"All refunds take a week. [1]"}},
		"calculator text":   {"12*7", map[string]string{"calculator": "84"}, []string{"calculator"}, []string{"The calculator says: 84."}},
		"calculator JSON":   {"12*7", map[string]string{"calculator": `{"result":1234567}`}, []string{"calculator"}, []string{"The calculator says: 1234567."}},
		"clock and unknown": {"time", map[string]string{"current_time": `{"time":"2026-11-22T10:00:00Z"}`, "weather": "sunny"}, []string{"current_time", "weather"}, []string{"The clock says: 2026-11-22T10:00:00Z.", "The tool weather answered: sunny"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := after(ask(test.question, "knowledge_search"), test.results, test.order...)
			turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), req)
			for _, want := range append(test.want, "built-in model") {
				if !strings.Contains(turn.Text, want) {
					t.Errorf("the answer lacks %q:\n%s", want, turn.Text)
				}
			}
		})
	}
	t.Run("a tool that failed", func(t *testing.T) {
		t.Parallel()
		req := after(ask("refunds?"), map[string]string{"knowledge_search": "the index is away"}, "knowledge_search")
		req.Messages[2].IsError = true
		turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), req)
		if !strings.Contains(turn.Text, "knowledge_search failed: the index is away") {
			t.Errorf("text %q", turn.Text)
		}
	})
}

// A new question after an answer is looked up again, with call ids of its own.
func TestTheNextQuestionIsSearchedAgain(t *testing.T) {
	t.Parallel()
	p := builtin.New(builtin.Config{})
	req := ask("refund policy", "knowledge_search")
	first := llmtest.Collect(t.Context(), t, p, req)
	req = after(req, map[string]string{"knowledge_search": found}, "knowledge_search")
	req.Messages = append(req.Messages, llm.Message{Role: llm.RoleAssistant, Content: "…"}, llm.Message{Role: llm.RoleUser, Content: "refund policy"})
	second := llmtest.Collect(t.Context(), t, p, req)
	if len(first.Calls) != 1 || len(second.Calls) != 1 || first.Calls[0].ID == second.Calls[0].ID {
		t.Errorf("calls %+v, then %+v; want one each, with different ids", first.Calls, second.Calls)
	}
	again := llmtest.Collect(t.Context(), t, p, req)
	if !reflect.DeepEqual(second, again) {
		t.Errorf("the same request gave %+v, then %+v", second, again)
	}
}

func TestTextOnDemand(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]int{
		"write 300 words about rain": 300, "Please write me a 1,000-word essay": 1000, "tulis 25 kata": 25,
		"count to 40": 40, "Count from 1 to 12": 12, "hitung sampai 9": 9, "count to 99999999999999999999": 5000, "write 20000 words": 5000,
	} {
		t.Run(question, func(t *testing.T) {
			t.Parallel()
			turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), ask(question, "knowledge_search"))
			if got := len(strings.Fields(turn.Text)); got != want || turn.Chunks != want || len(turn.Calls) > 0 {
				t.Errorf("%d words in %d chunks, %d calls; want %d words", got, turn.Chunks, len(turn.Calls), want)
			}
		})
	}
}

func TestTheTokenLimitHolds(t *testing.T) {
	t.Parallel()
	req := ask("write 500 words")
	req.MaxTokens = 20
	turn := llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{}), req)
	if turn.Done.Reason != llm.FinishLength || turn.Done.Usage.OutputTokens > 20 || turn.Done.Usage.OutputTokens < 15 {
		t.Errorf("done %+v, want the reason length and nearly 20 tokens", turn.Done)
	}
	if turn.Done.Usage.OutputTokens != llm.EstimateTokens(turn.Text) || turn.Done.Usage.Estimated {
		t.Errorf("usage %+v for %q", turn.Done.Usage, turn.Text)
	}
}

func TestThePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		llmtest.Collect(t.Context(), t, builtin.New(builtin.Config{TokensPerSecond: 40}), ask("count to 80"))
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("80 words at 40 a second took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 510*time.Millisecond)
		defer cancel()
		turn := llmtest.Collect(ctx, t, builtin.New(builtin.Config{TokensPerSecond: 40}), ask("count to 80"))
		if !errors.Is(turn.Err, context.DeadlineExceeded) || turn.Chunks != 20 {
			t.Errorf("%d words and the error %v after 0.51 s", turn.Chunks, turn.Err)
		}

		start = time.Now() // a slow pace does not delay a stop
		ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		llmtest.Collect(ctx, t, builtin.New(builtin.Config{TokensPerSecond: 1}), ask("count to 80"))
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("it stopped after %s", took)
		}
	})
}
