package builtin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/larirun/lari/internal/platform/llm"
)

// The tools that the model knows how to use.
const (
	searchTool     = "knowledge_search"
	calculatorTool = "calculator"
	clockTool      = "current_time"
)

// plan gives the calls that a question asks for, all to run at once.
func plan(question string, tools []llm.Tool, turn int) []llm.ToolCall {
	var calls []llm.ToolCall
	add := func(tool llm.Tool, arguments map[string]string) {
		text, err := json.Marshal(arguments)
		if err != nil {
			return // strings always marshal
		}
		calls = append(calls, llm.ToolCall{ID: callID(question, tool.Name, turn), Name: tool.Name, Arguments: string(text)})
	}
	rest := question
	expression, without, calculates := arithmetic(question)
	if tool, ok := find(tools, calculatorTool); ok && calculates {
		add(tool, map[string]string{argument(tool, "expression"): expression})
		rest = without
	}
	if without, asks := asksTime(rest); asks {
		if tool, ok := find(tools, clockTool); ok {
			add(tool, map[string]string{})
			rest = without
		}
	}
	// What is left of the question after the sum and the clock is looked up, if it says anything.
	if tool, ok := find(tools, searchTool); ok && len(terms(rest)) > 0 {
		add(tool, map[string]string{argument(tool, "query"): shorten(question, 400)})
	}
	return calls
}

func find(tools []llm.Tool, name string) (llm.Tool, bool) {
	i := slices.IndexFunc(tools, func(t llm.Tool) bool { return t.Name == name })
	if i < 0 {
		return llm.Tool{}, false
	}
	return tools[i], true
}

// argument gives the name of a tool's text argument: the usual one, unless the schema has another.
func argument(tool llm.Tool, usual string) string {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if json.Unmarshal(tool.Parameters, &schema) != nil || len(schema.Required) == 0 {
		return usual
	}
	if _, ok := schema.Properties[usual]; ok {
		return usual
	}
	return schema.Required[0]
}

// callID is the same for the same request, and another one for each tool and turn of a conversation.
func callID(question, tool string, turn int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(turn) + "\x00" + tool + "\x00" + question))
	return "call_" + hex.EncodeToString(sum[:12])
}
