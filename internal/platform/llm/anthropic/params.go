package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"

	sdk "github.com/anthropics/anthropic-sdk-go"

	"github.com/larirun/lari/internal/platform/llm"
)

// params puts a request into the words of the Messages API.
func params(req llm.Request, origin string) (sdk.MessageNewParams, error) {
	system, messages := conversation(req, origin)
	if len(messages) == 0 {
		return sdk.MessageNewParams{}, errors.New("the conversation holds no text")
	}
	params := sdk.MessageNewParams{
		Model:     req.Model,
		MaxTokens: DefaultMaxTokens,
		System:    system,
		Messages:  messages,
	}
	if req.MaxTokens > 0 {
		params.MaxTokens = int64(req.MaxTokens)
	}
	if req.Temperature != nil {
		params.Temperature = sdk.Float(*req.Temperature)
	}
	for _, tool := range req.Tools {
		schema, err := inputSchema(tool)
		if err != nil {
			return params, err
		}
		param := sdk.ToolParam{Name: tool.Name, InputSchema: schema}
		if tool.Description != "" {
			param.Description = sdk.String(tool.Description)
		}
		params.Tools = append(params.Tools, sdk.ToolUnionParam{OfTool: &param})
	}
	return params, nil
}

// inputSchema takes a JSON Schema apart: the SDK has fields for three members and a map for the rest.
func inputSchema(tool llm.Tool) (sdk.ToolInputSchemaParam, error) {
	var (
		schema  sdk.ToolInputSchemaParam
		members map[string]json.RawMessage
	)
	if len(tool.Parameters) == 0 {
		return schema, nil
	}
	if err := json.Unmarshal(tool.Parameters, &members); err != nil {
		return schema, fmt.Errorf("the parameters of tool %s are not a JSON Schema object: %w", tool.Name, err)
	}
	for name, value := range members {
		switch name {
		case "type": // always "object"
		case "properties":
			schema.Properties = value
		case "required":
			if err := json.Unmarshal(value, &schema.Required); err != nil {
				return schema, fmt.Errorf("the required parameters of tool %s are not a list of names: %w", tool.Name, err)
			}
		default:
			if schema.ExtraFields == nil {
				schema.ExtraFields = map[string]any{}
			}
			schema.ExtraFields[name] = value
		}
	}
	return schema, nil
}
