package anthropic

import (
	"encoding/json"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/param"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

// conversation returns the system prompt and the messages as the API wants them: user and assistant
// alternate, all answers to a turn's tool calls stand together at the head of the next user message,
// and no text block is blank.
func conversation(req llm.Request, origin string) ([]sdk.TextBlockParam, []sdk.MessageParam) {
	var (
		system   []sdk.TextBlockParam
		messages []sdk.MessageParam
	)
	if !blank(req.System) {
		system = append(system, sdk.TextBlockParam{Text: req.System})
	}
	for _, m := range wire.Conversation(req.Messages, origin, callID) {
		switch m.Role {
		case llm.RoleSystem:
			if !blank(m.Content) {
				system = append(system, sdk.TextBlockParam{Text: m.Content})
			}
		case llm.RoleUser:
			messages = merge(messages, sdk.MessageParamRoleUser, text(m.Content))
		case llm.RoleAssistant:
			messages = merge(messages, sdk.MessageParamRoleAssistant, assistant(m))
		case llm.RoleTool:
			messages = merge(messages, sdk.MessageParamRoleUser, []sdk.ContentBlockParamUnion{toolResult(m)})
		}
	}
	return system, messages
}

// merge adds blocks to the last message when it has the same role, else as a new message.
func merge(messages []sdk.MessageParam, role sdk.MessageParamRole, blocks []sdk.ContentBlockParamUnion) []sdk.MessageParam {
	if len(blocks) == 0 {
		return messages
	}
	if last := len(messages) - 1; last >= 0 && messages[last].Role == role {
		messages[last].Content = append(messages[last].Content, blocks...)
		return messages
	}
	return append(messages, sdk.MessageParam{Role: role, Content: blocks})
}

func text(content string) []sdk.ContentBlockParamUnion {
	if blank(content) {
		return nil
	}
	return []sdk.ContentBlockParamUnion{sdk.NewTextBlock(content)}
}

// assistant returns a turn of the model. The blocks of what it thought stand where they stood, unchanged: the API
// refuses tool results without them.
func assistant(m llm.Message) []sdk.ContentBlockParamUnion {
	// The API refuses an assistant's text that ends in white space when it comes last.
	said := text(strings.TrimRight(m.Content, " \t\r\n"))
	var uses []sdk.ContentBlockParamUnion
	for _, call := range m.ToolCalls {
		uses = append(uses, sdk.NewToolUseBlock(call.ID, arguments(call.Arguments), call.Name))
	}
	var kept []json.RawMessage
	if len(m.ProviderData) > 0 && json.Unmarshal(m.ProviderData, &kept) != nil {
		kept = nil
	}
	var blocks []sdk.ContentBlockParamUnion
	for _, raw := range kept {
		var b struct {
			Type string `json:"type"`
		}
		switch _ = json.Unmarshal(raw, &b); {
		case b.Type == "text": // all of the text stands where the first of it stood
			blocks, said = append(blocks, said...), nil
		case b.Type == "tool_use" && len(uses) > 0:
			blocks, said = append(blocks, said...), nil
			blocks, uses = append(blocks, uses[0]), uses[1:]
		case b.Type == "thinking":
			block := param.Override[sdk.ThinkingBlockParam](raw)
			blocks = append(blocks, sdk.ContentBlockParamUnion{OfThinking: &block})
		case b.Type == "redacted_thinking":
			block := param.Override[sdk.RedactedThinkingBlockParam](raw)
			blocks = append(blocks, sdk.ContentBlockParamUnion{OfRedactedThinking: &block})
		}
	}
	return append(append(blocks, said...), uses...)
}

// arguments must be an object. Malformed ones, which the model was told about in the tool's answer,
// are shown to it as they were.
func arguments(written string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(written), &object) == nil && object != nil {
		return json.RawMessage(written)
	}
	if blank(written) {
		return json.RawMessage("{}")
	}
	wrapped, err := json.Marshal(map[string]string{"malformed_arguments": written})
	if err != nil {
		return json.RawMessage("{}")
	}
	return wrapped
}

func toolResult(m llm.Message) sdk.ContentBlockParamUnion {
	result := &sdk.ToolResultBlockParam{ToolUseID: m.ToolCallID}
	if m.IsError {
		result.IsError = sdk.Bool(true)
	}
	content := m.Content
	if blank(content) && m.IsError { // an empty result is fine, an empty error is refused
		content = "The tool failed without a message."
	}
	if !blank(content) {
		result.Content = []sdk.ToolResultBlockParamContentUnion{{OfText: &sdk.TextBlockParam{Text: content}}}
	}
	return sdk.ContentBlockParamUnion{OfToolResult: result}
}

// callID keeps to the API's alphabet: a conversation may have begun with another provider.
func callID(id string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			return c
		}
		return '_'
	}, id)
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
