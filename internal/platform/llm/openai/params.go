package openai

import (
	"encoding/json"
	"fmt"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

// params puts a request into Chat Completions words.
func (p *Provider) params(req llm.Request) (sdk.ChatCompletionNewParams, error) {
	params := sdk.ChatCompletionNewParams{
		Model:         req.Model,
		Messages:      messages(req),
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

func messages(req llm.Request) []sdk.ChatCompletionMessageParamUnion {
	out := make([]sdk.ChatCompletionMessageParamUnion, 0, len(req.Messages)+1)
	if req.System != "" {
		out = append(out, sdk.SystemMessage(req.System))
	}
	for _, m := range merged(wire.Conversation(req.Messages, sameID)) {
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

// merged joins what the same side said twice in a row: the chat templates of many local models refuse
// roles that do not alternate.
func merged(messages []llm.Message) []llm.Message {
	out := make([]llm.Message, 0, len(messages))
	for _, m := range messages {
		last := len(out) - 1
		isSpoken := m.Role == llm.RoleUser || m.Role == llm.RoleAssistant
		if last < 0 || !isSpoken || out[last].Role != m.Role || len(out[last].ToolCalls) > 0 {
			out = append(out, m)
			continue
		}
		if m.Content != "" {
			out[last].Content += "\n\n" + m.Content
		}
		out[last].ToolCalls = m.ToolCalls
	}
	return out
}

func assistant(m llm.Message) sdk.ChatCompletionMessageParamUnion {
	if len(m.ToolCalls) == 0 {
		return sdk.AssistantMessage(m.Content)
	}
	var param sdk.ChatCompletionAssistantMessageParam
	if m.Content != "" {
		param.Content.OfString = sdk.String(m.Content)
	}
	for _, call := range m.ToolCalls {
		arguments := call.Arguments
		// The servers' chat templates parse the arguments again: malformed ones, which the model was
		// told about in the tool's answer, would fail every later turn of the conversation.
		if !wire.IsObject(arguments) {
			arguments = "{}"
		}
		param.ToolCalls = append(param.ToolCalls, sdk.ChatCompletionMessageToolCallUnionParam{
			OfFunction: &sdk.ChatCompletionMessageFunctionToolCallParam{
				ID:       call.ID,
				Function: sdk.ChatCompletionMessageFunctionToolCallFunctionParam{Name: call.Name, Arguments: arguments},
			},
		})
	}
	return sdk.ChatCompletionMessageParamUnion{OfAssistant: &param}
}
