package openai

import (
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

// params puts a request into Chat Completions words.
func (p *Provider) params(req llm.Request) (sdk.ChatCompletionNewParams, error) {
	params := sdk.ChatCompletionNewParams{
		Model:         req.Model,
		Messages:      messages(req, p.origin),
		StreamOptions: sdk.ChatCompletionStreamOptionsParam{IncludeUsage: sdk.Bool(true)},
	}
	if req.MaxTokens > 0 {
		// OpenAI's reasoning models refuse max_tokens; many compatible servers know only that.
		if p.own {
			params.MaxCompletionTokens = sdk.Int(int64(req.MaxTokens))
		} else {
			params.MaxTokens = sdk.Int(int64(req.MaxTokens))
		}
	}
	if req.Temperature != nil {
		params.Temperature = sdk.Float(*req.Temperature)
	}
	for _, tool := range req.Tools {
		definition := shared.FunctionDefinitionParam{Name: tool.Name}
		if tool.Description != "" {
			definition.Description = sdk.String(tool.Description)
		}
		if len(tool.Parameters) > 0 {
			if err := json.Unmarshal(tool.Parameters, &definition.Parameters); err != nil {
				return params, fmt.Errorf("the parameters of tool %s are not a JSON Schema object: %w", tool.Name, err)
			}
		}
		params.Tools = append(params.Tools, sdk.ChatCompletionFunctionTool(definition))
	}
	return params, nil
}

func messages(req llm.Request, origin string) []sdk.ChatCompletionMessageParamUnion {
	out := make([]sdk.ChatCompletionMessageParamUnion, 0, len(req.Messages)+1)
	if req.System != "" {
		out = append(out, sdk.SystemMessage(req.System))
	}
	for _, m := range merged(wire.Conversation(req.Messages, origin, sameID)) {
		switch m.Role {
		case llm.RoleSystem:
			out = append(out, sdk.SystemMessage(m.Content))
		case llm.RoleUser:
			out = append(out, sdk.UserMessage(m.Content))
		case llm.RoleAssistant:
			out = append(out, assistant(m))
		case llm.RoleTool:
			content := m.Content
			if m.IsError { // the format has no mark for it, so the text must say it
				content = "Error: " + content
			}
			out = append(out, sdk.ToolMessage(content, m.ToolCallID))
		}
	}
	return out
}

func sameID(id string) string { return id }

// merged joins what the assistant said twice in a row: strict servers refuse a second answer without a question between
// them. What users said stays apart: the model is to see that it was said in turn.
func merged(messages []llm.Message) []llm.Message {
	out := make([]llm.Message, 0, len(messages))
	for _, m := range messages {
		last := len(out) - 1
		if last < 0 || m.Role != llm.RoleAssistant || out[last].Role != m.Role || len(out[last].ToolCalls) > 0 {
			out = append(out, m)
			continue
		}
		if m.Content != "" {
			out[last].Content += "\n\n" + m.Content
		}
		out[last].ToolCalls = m.ToolCalls
		if len(m.ProviderData) > 0 || len(m.ToolCalls) > 0 {
			out[last].ProviderData = m.ProviderData
		}
	}
	return out
}

func assistant(m llm.Message) sdk.ChatCompletionMessageParamUnion {
	var param sdk.ChatCompletionAssistantMessageParam
	if m.Content != "" || len(m.ToolCalls) == 0 {
		param.Content.OfString = sdk.String(m.Content)
	}
	if extra := members(m); len(extra) > 0 {
		param.SetExtraFields(extra)
	}
	for _, call := range m.ToolCalls {
		arguments := call.Arguments
		// The servers' chat templates parse the arguments again: malformed ones, which the model was
		// told about in the tool's answer, would fail every later turn of the conversation.
		if !wire.IsObject(arguments) {
			arguments = "{}"
		}
		param.ToolCalls = append(param.ToolCalls, sdk.ChatCompletionMessageToolCallUnionParam{OfFunction: toolCall(call, arguments)})
	}
	return sdk.ChatCompletionMessageParamUnion{OfAssistant: &param}
}

func toolCall(call llm.ToolCall, arguments string) *sdk.ChatCompletionMessageFunctionToolCallParam {
	param := &sdk.ChatCompletionMessageFunctionToolCallParam{
		ID:       call.ID,
		Function: sdk.ChatCompletionMessageFunctionToolCallFunctionParam{Name: call.Name, Arguments: arguments},
	}
	outer, inner := map[string]any{}, map[string]any{}
	for name, value := range objectOf(json.RawMessage(call.ProviderData)) {
		if name, ok := strings.CutPrefix(name, inFunction); ok {
			inner[name] = value
		} else {
			outer[name] = value
		}
	}
	if len(outer) > 0 {
		param.SetExtraFields(outer)
	}
	if len(inner) > 0 {
		param.Function.SetExtraFields(inner)
	}
	return param
}

// members returns what the server that made the turn wants back in its message.
func members(m llm.Message) map[string]any {
	extra := map[string]any{}
	for name, value := range objectOf(m.ProviderData) {
		switch {
		case name == reasoningContent && len(m.ToolCalls) == 0:
			// DeepSeek wants it with tool calls, and of its reasoning models some refuse it without.
		case name == "content":
			extra[name] = contentParts(value, m.Content)
		default:
			extra[name] = value
		}
	}
	return extra
}

// contentParts puts the parts of the content that are thinking before the answer, as Mistral sends them.
func contentParts(thinking json.RawMessage, text string) []any {
	var parts []any
	if json.Unmarshal(thinking, &parts) != nil {
		parts = nil
	}
	if text != "" || len(parts) == 0 {
		parts = append(parts, map[string]string{"type": "text", "text": text})
	}
	return parts
}

func objectOf(data json.RawMessage) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if len(data) == 0 || json.Unmarshal(data, &object) != nil {
		return nil
	}
	return object
}
