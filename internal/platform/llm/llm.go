// Package llm is the one port to language models. A Provider turns a Request into a stream of Chunks;
// providers never retry (Temporal does) and never hide a failure's class: see Error.
package llm

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// Role of a message's author.
type Role string

// The roles that every provider understands.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one entry of the conversation handed to a model.
type Message struct {
	Role       Role       `json:"role"`
	Content    string     `json:"content"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`   // RoleAssistant: what the model asked for
	ToolCallID string     `json:"tool_call_id,omitempty"` // RoleTool: which call this answers
	ToolName   string     `json:"tool_name,omitempty"`    // RoleTool: the tool that answered
	IsError    bool       `json:"is_error,omitempty"`     // RoleTool: the answer is a failure
	// ProviderData is what Done had of it when the turn was made: the provider wants it back. RoleAssistant only.
	ProviderData json.RawMessage `json:"provider_data,omitempty"`
}

// ToolCall is a model's wish to run a tool. Arguments is the JSON text as the model wrote it, which
// may be malformed: the caller validates it.
type ToolCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
	// ProviderData is opaque data of the provider that belongs to the call, as in Message, in JSON.
	ProviderData string `json:"provider_data,omitempty"`
}

// Tool describes one callable tool to the model. Parameters is a JSON Schema object.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage
}

// Request is one turn: everything the model sees. It is complete: providers keep no state.
type Request struct {
	Model       string // as the provider names it
	System      string // instructions; empty: none
	Messages    []Message
	Tools       []Tool
	MaxTokens   int      // upper bound of output tokens; zero: the provider's default
	Temperature *float64 // nil: the provider's default
	// Patience is how long the provider may take at most for the next piece of the answer; zero: as long
	// as it is configured to. Heartbeats are no piece of it.
	Patience time.Duration
}

// Usage is what the provider bills for, in tokens. Estimated is set when the stream was cut before
// the provider reported: then it was counted here, by EstimateTokens.
type Usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	Estimated    bool  `json:"estimated,omitempty"`
	// CachedTokens and CacheWriteTokens are the parts of InputTokens that the provider read from its cache and wrote to
	// it: they have prices of their own.
	CachedTokens     int64 `json:"cached_tokens,omitempty"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitempty"`
}

// FinishReason says why the model stopped: one of the neutral words below, or the provider's own word,
// on one line and of at most 64 characters.
type FinishReason string

// Why a model stopped. FinishFilter is a refusal too.
const (
	FinishStop      FinishReason = "stop"
	FinishToolCalls FinishReason = "tool_calls"
	FinishLength    FinishReason = "length"
	FinishFilter    FinishReason = "content_filter"
)

// Chunk is one piece of a streamed turn. Exactly one of its fields is set.
type Chunk struct {
	Text      string // a piece of the assistant's text, never empty when set
	Reasoning string // a piece of what the model thinks, which is no part of its answer; never empty when set
	// Working says that the model is at work on what is not shown yet, or never: the arguments of a tool call, blocks
	// that are encrypted.
	Working  bool
	ToolCall *ToolCall // a complete tool call (providers assemble the pieces)
	Done     *Done     // the last chunk of a turn that ended well
}

// Done closes a turn.
type Done struct {
	Reason FinishReason
	Usage  Usage
	Model  string // the model that really answered, as the provider reports it
	// Unfinished are calls that must not be run: the answer was cut off in the middle of them, say.
	Unfinished []UnfinishedCall
	// ProviderData is opaque data of the provider (thinking, signatures, encrypted blocks) that has to be in the
	// Message of this turn when the conversation goes on with the same model. It says where it came from: a provider
	// leaves out what is another one's. Nil: there is none. It may be large, and is never shown.
	ProviderData json.RawMessage
}

// UnfinishedCall is a tool call that must not be run, and why, in words for the model.
type UnfinishedCall struct {
	ToolCall
	Why string
}

// Provider streams one turn. The sequence yields chunks in order and ends with a Chunk whose Done is
// set, or with an error: an *Error, or an *Interrupted around the context's own error when the context
// ended. PartialUsage reads from either what the turn had used. Breaking out of the loop, or ending
// ctx, aborts the HTTP request to the provider at once.
type Provider interface {
	Name() string // "openai", "anthropic", "builtin"
	Stream(ctx context.Context, req Request) iter.Seq2[Chunk, error]
}

// EstimateTokens counts text in tokens by the usual rule of thumb of four bytes a token, rounded up.
func EstimateTokens(text string) int64 { return int64(len(text)+3) / 4 }
