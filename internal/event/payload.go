package event

import (
	"encoding/json"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
)

// Usage is what a run or step consumed. Cost is decimal USD.
type Usage struct {
	InputTokens  int64           `json:"input_tokens"`
	OutputTokens int64           `json:"output_tokens"`
	CostUSD      decimal.Decimal `json:"cost_usd"`
	Estimated    bool            `json:"estimated,omitempty"` // part of it was counted here: the provider did not report
}

// Add sums two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		InputTokens: u.InputTokens + v.InputTokens, OutputTokens: u.OutputTokens + v.OutputTokens,
		CostUSD: u.CostUSD.Add(v.CostUSD), Estimated: u.Estimated || v.Estimated,
	}
}

// Tokens is input and output together.
func (u Usage) Tokens() int64 { return u.InputTokens + u.OutputTokens }

// Started is the payload of run_started.
type Started struct {
	AgentID      uuid.UUID  `json:"agent_id"`
	AgentVersion int        `json:"agent_version"`
	ThreadID     *uuid.UUID `json:"thread_id,omitempty"`
	QueuedMS     int64      `json:"queued_ms"` // from created to started
}

// Phase says which part of a run a progress event speaks of.
type Phase string

// The phases of a run.
const (
	PhaseStep     Phase = "step"
	PhaseToolCall Phase = "tool_call"
	PhaseWait     Phase = "wait"
	PhaseQuota    Phase = "quota" // not a part of the run: of the tenant's quotas
)

// Detail says whether a phase begins or ends, or what there is to know.
type Detail string

// A phase begins or ends; a quota is nearly used up.
const (
	DetailBegin     Detail = "begin"
	DetailEnd       Detail = "end"
	DetailSoftLimit Detail = "soft_limit" // the step made the month's use pass the quota's soft limit
)

// Progress is the payload of run_progress.
type Progress struct {
	Phase  Phase  `json:"phase"`
	Step   int    `json:"step"`
	Detail Detail `json:"detail"`
	Name   string `json:"name,omitempty"` // the tool's name; what a wait waits for; the quota
	Usage  *Usage `json:"usage,omitempty"`
	// FinishReason is why the model stopped, at the end of a step: stop, length, content_filter, tool_calls, or
	// the provider's own word.
	FinishReason string `json:"finish_reason,omitempty"`
}

// Completed is the payload of run_completed.
type Completed struct {
	Output       string `json:"output"`
	FinishReason string `json:"finish_reason,omitempty"` // of the last step: length says that the answer is not whole
	Usage        Usage  `json:"usage"`
	Steps        int    `json:"steps"`
	DurationMS   int64  `json:"duration_ms"` // from started to finished
}

// ErrorCode says why a run failed. The list is closed.
type ErrorCode string

// Why a run failed.
const (
	ErrorModel      ErrorCode = "model_error"
	ErrorNoAnswer   ErrorCode = "no_answer" // the model stopped for another reason than being done, and had said nothing
	ErrorTool       ErrorCode = "tool_error"
	ErrorTimeout    ErrorCode = "timeout"
	ErrorBudget     ErrorCode = "budget_exceeded"
	ErrorQuota      ErrorCode = "quota_exceeded" // a quota of the tenant, not the run's own budget
	ErrorTerminated ErrorCode = "terminated"
	ErrorNotStarted ErrorCode = "not_started" // accepted, but could not be handed to the engine
	ErrorInternal   ErrorCode = "internal"
)

// ErrorCodes lists every code.
func ErrorCodes() []ErrorCode {
	return []ErrorCode{
		ErrorModel, ErrorNoAnswer, ErrorTool, ErrorTimeout, ErrorBudget, ErrorQuota, ErrorTerminated, ErrorNotStarted, ErrorInternal,
	}
}

// Failed is the payload of run_error.
type Failed struct {
	Code         ErrorCode `json:"code"`
	Message      string    `json:"message"`
	FinishReason string    `json:"finish_reason,omitempty"` // of the last step, if the run failed for how that ended
	Usage        Usage     `json:"usage"`
	Steps        int       `json:"steps"`
	DurationMS   int64     `json:"duration_ms"`
}

// Cancelled is the payload of run_cancelled.
type Cancelled struct {
	By         string     `json:"by"`
	Reason     string     `json:"reason"`
	AskedAt    clock.Time `json:"asked_at"`
	StoppedMS  int64      `json:"stopped_ms"` // from asked to stopped
	Usage      Usage      `json:"usage"`      // billed until then
	Steps      int        `json:"steps"`
	DurationMS int64      `json:"duration_ms"`
}

// Delta is the payload of message_delta and reasoning_delta.
type Delta struct {
	MessageID string `json:"message_id"`
	Step      int    `json:"step"`
	Attempt   int    `json:"attempt"`
	Text      string `json:"text"`
}

// Message is the payload of message_completed.
type Message struct {
	MessageID    string `json:"message_id"`
	Step         int    `json:"step"`
	Text         string `json:"text"`
	Partial      bool   `json:"partial,omitempty"`       // the run was stopped in the middle of it
	FinishReason string `json:"finish_reason,omitempty"` // why the model stopped; absent on a partial message
	Usage        Usage  `json:"usage"`
}

// ToolStarted is the payload of tool_call_started.
type ToolStarted struct {
	ToolCallID uuid.UUID       `json:"tool_call_id"`
	Step       int             `json:"step"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments"`
}

// ToolCompleted is the payload of tool_call_completed; exactly one of Result and Error is set.
type ToolCompleted struct {
	ToolCallID uuid.UUID `json:"tool_call_id"`
	Step       int       `json:"step"`
	Name       string    `json:"name"`
	Result     string    `json:"result,omitempty"`
	Error      string    `json:"error,omitempty"`
	DurationMS int64     `json:"duration_ms"`
}

// ApprovalAsked is the payload of approval_requested.
type ApprovalAsked struct {
	ApprovalID uuid.UUID       `json:"approval_id"`
	ToolCallID uuid.UUID       `json:"tool_call_id"`
	Step       int             `json:"step"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments"`
	ExpiresAt  clock.Time      `json:"expires_at"`
}

// ApprovalAnswer is the payload of approval_resolved.
type ApprovalAnswer struct {
	ApprovalID uuid.UUID       `json:"approval_id"`
	ToolCallID uuid.UUID       `json:"tool_call_id"`
	Decision   string          `json:"decision"` // approved, rejected, expired
	By         string          `json:"by"`
	Reason     string          `json:"reason,omitempty"`
	Arguments  json.RawMessage `json:"arguments,omitempty"` // set when the human edited them
}

// Received is the payload of message_received.
type Received struct {
	MessageID uuid.UUID `json:"message_id"`
	Text      string    `json:"text"`
	By        string    `json:"by"`
}

// Restarted is the payload of attempt_restarted.
type Restarted struct {
	MessageID string `json:"message_id"`
	Step      int    `json:"step"`
	Attempt   int    `json:"attempt"` // the attempt that begins now
}
