package builtin

import (
	"strings"

	"github.com/larirun/lari/internal/platform/llm"
)

// answer is a whole turn before it is streamed.
type answer struct {
	text  string
	calls []llm.ToolCall
}

// identity stands under every answer.
const identity = "— Lari's built-in model: it extracts sentences and cites them, it is not a language model. " +
	"For a real one set OPENAI_API_KEY (with OPENAI_BASE_URL for any compatible server) or ANTHROPIC_API_KEY."

// compose decides the turn: a long text on demand, an answer from the tools' results, calls to the
// tools that fit, or an honest word that nothing fits. Tools are called once for each message of the
// user, so the tool loop always ends.
func compose(req llm.Request) answer {
	question, results := lastExchange(req.Messages)
	if question == "" {
		return answer{text: "There is no question to answer.\n\n" + identity}
	}
	if text, ok := onDemand(question); ok {
		return answer{text: text}
	}
	if len(results) > 0 {
		return answer{text: report(question, results) + "\n\n" + identity}
	}
	if calls := plan(question, req.Tools, len(req.Messages)); len(calls) > 0 {
		return answer{text: "Let me look that up.", calls: calls}
	}
	return answer{text: honest(question, req.Tools) + "\n\n" + identity}
}

// lastExchange gives the last message of the user that says something, and the tools' answers after it.
func lastExchange(messages []llm.Message) (string, []llm.Message) {
	var (
		question string
		results  []llm.Message
	)
	for _, m := range messages {
		text := strings.TrimSpace(m.Content)
		switch {
		case m.Role == llm.RoleUser && text != "":
			question, results = text, nil
		case m.Role == llm.RoleTool:
			results = append(results, m)
		}
	}
	return question, results
}

// honest says what could not be done and why.
func honest(question string, tools []llm.Tool) string {
	said := "You wrote: “" + shorten(question, 200) + "”. "
	if len(terms(question)) == 0 {
		said = "Hello. "
	}
	for _, tool := range tools {
		if tool.Name == searchTool {
			return said + "Ask me about something that this workspace's knowledge holds, and I search it."
		}
	}
	return said + "I cannot answer out of my own head: I need the tool " + searchTool + " to search this workspace's knowledge, and this agent does not have it. " +
		"I can stream text so that you can try the platform: say “write 200 words” or “count to 50”."
}

// shorten cuts text to so many characters.
func shorten(text string, limit int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= limit {
		return string(runes)
	}
	return strings.TrimSpace(string(runes[:limit-1])) + "…"
}
