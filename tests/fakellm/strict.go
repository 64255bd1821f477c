package fakellm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

var (
	strictName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	strictID   = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
)

// CheckOpenAI reports what a strict provider of Chat Completions would refuse of a request: fields that are missing,
// empty messages, roles out of order, tool calls without exactly one answer each right behind them, and ids that repeat.
// The rules are those of OpenAI, Mistral and the chat templates of local models together.
func CheckOpenAI(body []byte) error {
	var in struct {
		Model    string          `json:"model"`
		Messages []openAIMessage `json:"messages"`
		Tools    []struct {
			Type     string `json:"type"`
			Function struct {
				Name       string          `json:"name"`
				Parameters json.RawMessage `json:"parameters"`
			} `json:"function"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	if in.Model == "" || len(in.Messages) == 0 {
		return fmt.Errorf("model and messages are required")
	}
	for _, tool := range in.Tools {
		if tool.Type != "function" || !strictName.MatchString(tool.Function.Name) {
			return fmt.Errorf("tool %q is none", tool.Function.Name)
		}
	}
	c := openAIChecker{seen: map[string]bool{}}
	for i, m := range in.Messages {
		if err := c.take(i, m); err != nil {
			return fmt.Errorf("messages[%d]: %w", i, err)
		}
	}
	return c.end()
}

type openAIMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type openAIChecker struct {
	last string // role; "" before the first that is not the system's
	open []string
	seen map[string]bool
}

func (c *openAIChecker) take(i int, m openAIMessage) error {
	said := strings.TrimSpace(text(m.Content))
	if m.Role != "tool" && len(c.open) > 0 {
		return fmt.Errorf("the tool calls %q have no answer", c.open)
	}
	switch m.Role {
	case "system", "developer":
		if i > 0 || said == "" {
			return fmt.Errorf("a system message comes first and is not empty")
		}
		return nil
	case "user":
		if said == "" {
			return fmt.Errorf("an empty user message")
		}
	case "assistant":
		if c.last == "" || c.last == "assistant" {
			return fmt.Errorf("an assistant message where the user's is due")
		}
		if said == "" && len(m.ToolCalls) == 0 {
			return fmt.Errorf("an assistant message has either content or tool calls")
		}
		for _, call := range m.ToolCalls {
			switch {
			case call.ID == "" || call.Type != "function" || !strictName.MatchString(call.Function.Name):
				return fmt.Errorf("a tool call %q of %q", call.ID, call.Function.Name)
			case c.seen[call.ID]:
				return fmt.Errorf("the id %q twice", call.ID)
			case !isObject(call.Function.Arguments):
				return fmt.Errorf("the arguments %q are no object", call.Function.Arguments)
			}
			c.seen[call.ID] = true
			c.open = append(c.open, call.ID)
		}
	case "tool":
		if len(c.open) == 0 || c.open[0] != m.ToolCallID {
			return fmt.Errorf("an answer to %q, the open calls are %q", m.ToolCallID, c.open)
		}
		if len(m.Content) == 0 || string(m.Content) == "null" {
			return fmt.Errorf("an answer without content")
		}
		c.open = c.open[1:]
	default:
		return fmt.Errorf("the role %q", m.Role)
	}
	c.last = m.Role
	return nil
}

func (c *openAIChecker) end() error {
	if len(c.open) > 0 {
		return fmt.Errorf("the tool calls %q have no answer", c.open)
	}
	if c.last != "user" && c.last != "tool" {
		return fmt.Errorf("the last message is the role's %q", c.last)
	}
	return nil
}

// CheckAnthropic reports what Anthropic's Messages API refuses of a request.
func CheckAnthropic(body []byte) error {
	var in struct {
		Model     string `json:"model"`
		MaxTokens int    `json:"max_tokens"`
		System    []struct {
			Text string `json:"text"`
		} `json:"system"`
		Messages []struct {
			Role    string           `json:"role"`
			Content []anthropicBlock `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	if in.Model == "" || in.MaxTokens < 1 || len(in.Messages) == 0 {
		return fmt.Errorf("model, max_tokens and messages are required")
	}
	for _, s := range in.System {
		if strings.TrimSpace(s.Text) == "" {
			return fmt.Errorf("an empty system block")
		}
	}
	c := anthropicChecker{seen: map[string]bool{}}
	for i, m := range in.Messages {
		if want := []string{"user", "assistant"}[i%2]; m.Role != want {
			return fmt.Errorf("messages[%d]: the role %q, want %q", i, m.Role, want)
		}
		if err := c.take(m.Content); err != nil {
			return fmt.Errorf("messages[%d]: %w", i, err)
		}
	}
	if len(c.open) > 0 {
		return fmt.Errorf("the tool uses %v have no result", c.open)
	}
	return nil
}

type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	IsError   bool            `json:"is_error"`
	Content   []struct {
		Text string `json:"text"`
	} `json:"content"`
}

type anthropicChecker struct {
	open map[string]bool
	seen map[string]bool
}

func (c *anthropicChecker) take(blocks []anthropicBlock) error {
	if len(blocks) == 0 {
		return fmt.Errorf("an empty message")
	}
	due, uses := c.open, map[string]bool{}
	for _, b := range blocks {
		if b.Type != "tool_result" && len(due) > 0 {
			return fmt.Errorf("a %s block before the results of %v", b.Type, due)
		}
		switch b.Type {
		case "thinking", "redacted_thinking":
		case "text":
			if strings.TrimSpace(b.Text) == "" {
				return fmt.Errorf("a blank text block")
			}
		case "tool_use":
			if !strictID.MatchString(b.ID) || c.seen[b.ID] || !strictName.MatchString(b.Name) || !isObject(string(b.Input)) {
				return fmt.Errorf("the tool use %q of %q: its id repeats, or it is malformed", b.ID, b.Name)
			}
			c.seen[b.ID], uses[b.ID] = true, true
		case "tool_result":
			if !due[b.ToolUseID] {
				return fmt.Errorf("a result for %q, which is not open", b.ToolUseID)
			}
			if b.IsError && len(b.Content) == 0 {
				return fmt.Errorf("an error without content")
			}
			delete(due, b.ToolUseID)
		default:
			return fmt.Errorf("a block of the type %q", b.Type)
		}
	}
	if len(due) > 0 {
		return fmt.Errorf("the tool uses %v have no result", due)
	}
	c.open = uses
	return nil
}

func isObject(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), "{") && json.Valid([]byte(text))
}
