package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

func TestFields_PutsPiecesTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pieces []string // objects
		want   string
	}{
		"texts":                       {[]string{`{"reasoning":"a"}`, `{"reasoning":"b"}`, `{"reasoning":null}`, `{"reasoning":""}`}, `{"reasoning":"ab"}`},
		"a character in two pieces":   {[]string{`{"reasoning":"\ud83d"}`, `{"reasoning":"\ude00"}`}, `{"reasoning":"😀"}`},
		"half a character":            {[]string{`{"reasoning":"a\ud83d"}`}, `{"reasoning":"a` + "\uFFFD" + `"}`},
		"an object, the last counts":  {[]string{`{"x":{"s":"one","n":1}}`, `{"x":{"s":"two","m":{"k":[]}}}`}, `{"x":{"m":{"k":[]},"n":1,"s":"two"}}`},
		"items by index":              {[]string{`{"d":[{"index":0,"type":"t","text":"a"}]}`, `{"d":[{"index":1,"type":"t","text":"x"}]}`, `{"d":[{"index":0,"type":"t","text":"b"}]}`}, `{"d":[{"index":0,"text":"ab","type":"t"},{"index":1,"text":"x","type":"t"}]}`},
		"one index, another type":     {[]string{`{"d":[{"index":0,"type":"a","text":"a"}]}`, `{"d":[{"index":0,"type":"b","data":"x"}]}`}, `{"d":[{"index":0,"text":"a","type":"a"},{"data":"x","index":0,"type":"b"}]}`},
		"items without an index":      {[]string{`{"d":[{"type":"t","text":"a"}]}`, `{"d":[{"type":"t","text":"b","signature":"s"}]}`, `{"d":[{"type":"t","text":"c"}]}`}, `{"d":[{"signature":"s","text":"ab","type":"t"},{"text":"c","type":"t"}]}`},
		"a list in an item":           {[]string{`{"c":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}`, `{"c":[{"type":"thinking","thinking":[{"type":"text","text":"b"}]}]}`}, `{"c":[{"thinking":[{"text":"ab","type":"text"}],"type":"thinking"}]}`},
		"encrypted blocks stay apart": {[]string{`{"d":[{"type":"e","data":"x"}]}`, `{"d":[{"type":"e","data":"y"}]}`}, `{"d":[{"data":"x","type":"e"},{"data":"y","type":"e"}]}`},
		"scalars in a list":           {[]string{`{"d":["a",1]}`, `{"d":["b",true,null]}`}, `{"d":["a",1,"b",true,null]}`},
		"kinds that change":           {[]string{`{"d":"a"}`, `{"d":{"x":1}}`, `{"d":[1]}`}, `{"d":[1]}`},
		"an object as its type":       {[]string{`{"d":[{"type":{"a":1},"index":[1]}]}`, `{"d":[{"type":{"a":1},"index":[1]}]}`}, `{"d":[{"index":[1],"type":{"a":1}},{"index":[1],"type":{"a":1}}]}`},
		"an id that comes late":       {[]string{`{"d":[{"id":"","text":"a"}]}`, `{"d":[{"id":"x","text":"b"}]}`}, `{"d":[{"id":"","text":"a"},{"id":"x","text":"b"}]}`},
		"numbers keep their digits":   {[]string{`{"n":12345678901234567890.10}`}, `{"n":12345678901234567890.10}`},
	} {
		var f wire.Fields
		for _, piece := range c.pieces {
			gjson.Parse(piece).ForEach(func(name, v gjson.Result) bool {
				f.Add(name.Str, v)
				return true
			})
		}
		if got := string(f.JSON()); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	var none wire.Fields
	if none.JSON() != nil {
		t.Error("nothing gives an object")
	}
}

// A long thought comes in many pieces: putting them together must not take the square of them.
func TestFields_TakesLongThoughts(t *testing.T) {
	t.Parallel()
	var f wire.Fields
	piece := gjson.Parse(`[{"index":0,"type":"t","text":"` + strings.Repeat("x", 20) + `"}]`)
	for range 200_000 {
		f.Add("reasoning_details", piece)
	}
	if got := len(f.JSON()); got < 4_000_000 || f.Bytes() < 4_000_000 {
		t.Errorf("%d bytes", got)
	}
}

func TestIsProviderData_KnowsMembersOfAllServers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"reasoning", "reasoning_content", "reasoning_details", "reasoning_opaque", "thinking", "thinking_blocks", "thought_signature", "signature",
		"encrypted_content", "extra_content", "provider_specific_fields",
	} {
		if !wire.IsProviderData(name) {
			t.Errorf("%s does not come back", name)
		}
	}
	for _, name := range []string{"role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "name", "citations", "token_ids"} {
		if wire.IsProviderData(name) {
			t.Errorf("%s is sent back", name)
		}
	}
}

func TestConversation_ProviderDataGoesToItsOrigin(t *testing.T) {
	t.Parallel()
	messages := []llm.Message{
		{Role: llm.RoleUser, Content: "hello"},
		{
			Role: llm.RoleAssistant, ProviderData: json.RawMessage(`{"origin":"openai@a","data":{"reasoning":"x"}}`),
			ToolCalls: []llm.ToolCall{{ID: "1", Name: "one", Arguments: "{}", ProviderData: `{"thought_signature":"s"}`}},
		},
		{Role: llm.RoleTool, ToolCallID: "1", Content: "1"},
	}
	same := func(id string) string { return id }
	for origin, want := range map[string][2]string{"openai@a": {`{"reasoning":"x"}`, `{"thought_signature":"s"}`}, "openai@b": {"", ""}, "anthropic@a": {"", ""}} {
		turn := wire.Conversation(messages, origin, same)[1]
		if string(turn.ProviderData) != want[0] || turn.ToolCalls[0].ProviderData != want[1] {
			t.Errorf("%s is sent %s and %s", origin, turn.ProviderData, turn.ToolCalls[0].ProviderData)
		}
	}
	if messages[1].ToolCalls[0].ProviderData == "" {
		t.Error("the messages of the caller were changed")
	}
}

// FuzzFields adds the same pieces that a server might send, in any shape: the result is JSON, and a second merge of whole
// values does not break it.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{`{"a":"x"}`, `{"a":[{"index":0,"type":"t","text":"\ud83d"},[1,{"b":[{}]}]],"b":null}`, `{"a":{"type":[],"id":{}}}`, `{"":""}`} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		var fields wire.Fields
		for _, piece := range []string{first, second, first} {
			if !gjson.Valid(piece) || !strings.HasPrefix(strings.TrimSpace(piece), "{") {
				continue
			}
			gjson.Parse(piece).ForEach(func(name, v gjson.Result) bool {
				fields.Add(name.Str, v)
				return true
			})
		}
		if data := fields.JSON(); data != nil && !json.Valid(data) {
			t.Errorf("%q and %q give %q", first, second, data)
		}
	})
}
