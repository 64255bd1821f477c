package wire

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larirun/lari/internal/platform/llm"
)

// opening stands first when a conversation was shortened so that it begins with the assistant: strict
// providers want the user first.
const opening = "(The beginning of the conversation was left out.)"

// unanswered is the result of a call that has none.
const unanswered = "The call has no result."

// maxName bounds a tool's name; the formats allow letters, digits, "_" and "-".
const maxName = 64

// Conversation returns messages as strict providers take them, both formats alike: nothing is blank,
// ids of calls are unique over the whole conversation, every call has exactly one result, the results
// of a turn stand right behind it in the order of its calls, and the user speaks first. It is a pure
// function of the messages, so that what a provider has cached stays valid. id puts the id of a call
// into the format's alphabet. What a provider wants back stays with the turns that came from origin alone.
func Conversation(messages []llm.Message, origin string, id func(string) string) []llm.Message {
	c := conversation{id: id, used: map[string]bool{}}
	for _, m := range messages {
		switch {
		case m.Role == llm.RoleTool:
			c.answer(m)
		case m.Role == llm.RoleAssistant && (len(m.ToolCalls) > 0 || !blank(m.Content)):
			c.settle()
			c.speak(open(origin, m))
		case m.Role != llm.RoleAssistant && !blank(m.Content):
			c.waiting = append(c.waiting, m)
		}
	}
	c.settle()
	if len(c.out) == 0 {
		return messages // nothing but blanks: the provider says what it thinks of it
	}
	first := slices.IndexFunc(c.out, func(m llm.Message) bool { return m.Role != llm.RoleSystem })
	if first >= 0 && c.out[first].Role == llm.RoleAssistant {
		c.out = slices.Insert(c.out, first, llm.Message{Role: llm.RoleUser, Content: opening})
	}
	return c.out
}

type conversation struct {
	id      func(string) string
	used    map[string]bool
	out     []llm.Message
	open    []openAnswer  // of the last turn's calls
	waiting []llm.Message // said since then: they stand behind the results
}

type openAnswer struct {
	sent   string // the call's id before it was made unique
	result llm.Message
	given  bool
}

// speak appends a turn of the model.
func (c *conversation) speak(m llm.Message) {
	m.ToolCalls = slices.Clone(m.ToolCalls)
	for i := range m.ToolCalls {
		call := &m.ToolCalls[i]
		sent := call.ID
		call.ID, call.Name = c.unique(c.id(sent)), toolName(call.Name)
		c.open = append(c.open, openAnswer{sent: sent, result: llm.Message{
			Role: llm.RoleTool, Content: unanswered, ToolCallID: call.ID, ToolName: call.Name, IsError: true,
		}})
	}
	c.out = append(c.out, m)
}

// answer takes a result for the first call of its id that has none. One that belongs to no call is left
// out.
func (c *conversation) answer(m llm.Message) {
	i := slices.IndexFunc(c.open, func(o openAnswer) bool { return !o.given && o.sent == m.ToolCallID })
	if i < 0 {
		return
	}
	m.ToolCallID, m.ToolName = c.open[i].result.ToolCallID, c.open[i].result.ToolName
	c.open[i].result, c.open[i].given = m, true
}

// settle appends the results of the last turn, and what was said meanwhile.
func (c *conversation) settle() {
	for _, o := range c.open {
		c.out = append(c.out, o.result)
	}
	c.out = append(c.out, c.waiting...)
	c.open, c.waiting = nil, nil
}

func (c *conversation) unique(id string) string {
	if id == "" {
		id = "call"
	}
	free := id
	for n := 2; c.used[free]; n++ {
		free = fmt.Sprintf("%s_%d", id, n)
	}
	c.used[free] = true
	return free
}

// toolName keeps to the formats' alphabet: a model may have called a tool that does not exist.
func toolName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	if name == "" {
		return "unnamed"
	}
	return name[:min(len(name), maxName)]
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
