package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/metadata"
)

// NewRun is a request to run an agent. Exactly one of Input and Messages is given.
type NewRun struct {
	ID             uuid.UUID                  `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	ScheduleID     *uuid.UUID                 `json:"-"` // the schedule whose firing it is
	Agent          string                     `json:"agent,omitempty" validate:"omitempty,max=64" description:"Id or slug of the agent." default:"assistant" example:"assistant"`
	Input          string                     `json:"input,omitempty" validate:"max=200000" description:"What the user says. Either this or messages." example:"What does Lari guarantee?"`
	Messages       []InputMessage             `json:"messages,omitempty" validate:"max=200,dive" description:"A conversation to begin with. Either this or input."`
	ThreadID       *uuid.UUID                 `json:"thread_id,omitempty" description:"Thread that the run continues; its messages come before the input."`
	WorkspaceID    *uuid.UUID                 `json:"workspace_id,omitempty" description:"Workspace that the run belongs to."`
	Metadata       map[string]json.RawMessage `json:"metadata,omitempty" description:"Anything of yours, up to 16 KiB of JSON; given back, never read."`
	TimeoutSeconds *int                       `json:"timeout_seconds,omitempty" validate:"omitempty,min=1,max=86400" description:"Time limit of the run. Default: the agent's."`
	Budget         *Budget                    `json:"budget,omitempty" description:"Limits of this run. Default: the agent's."`
	AfterSeconds   int                        `json:"after_seconds,omitempty" validate:"min=0,max=2592000" description:"Seconds to wait before the run begins, up to 30 days."`
	OnBusy         OnBusy                     `json:"on_busy,omitempty" validate:"omitempty,oneof=reject enqueue interrupt rollback" permission:"run:update" permission_if:"interrupt rollback" enum:"reject,enqueue,interrupt,rollback" default:"reject" description:"What to do when the thread has an active run: refuse this one (409), let it wait for its turn, stop the others and keep what they said, or stop them and take their messages from the thread."`
	WebhookURL     string                     `json:"webhook_url,omitempty" validate:"max=2048" permission:"run:read" description:"Is told how the run ended."`
}

// Budget bounds what a run may consume. What is absent falls back to the agent's limit.
type Budget struct {
	MaxTokens  *int64  `json:"max_tokens,omitempty" validate:"omitempty,min=1,max=1000000000" description:"Input and output tokens together."`
	MaxCostUSD *string `json:"max_cost_usd,omitempty" validate:"omitempty,max=24" description:"Decimal US dollars." example:"0.50"`
	MaxSteps   *int    `json:"max_steps,omitempty" validate:"omitempty,min=1,max=100" description:"Turns of think and act."`
}

// DefaultAgent is the slug of the agent of a run that names none.
const DefaultAgent = "assistant"

func (n NewRun) agent() string {
	if n.Agent == "" {
		return DefaultAgent
	}
	return n.Agent
}

func (n NewRun) build(agent AgentRef, at clock.Time) (Run, error) {
	input, err := n.messages()
	if err != nil {
		return Run{}, err
	}
	limits, err := n.limits(agent.Limits)
	if err != nil {
		return Run{}, err
	}
	stored, err := metadata.Encode(n.Metadata)
	if err != nil {
		return Run{}, err
	}
	id := n.ID
	if id == uuid.Nil {
		id = newID()
	}
	r := Run{
		ID: id, WorkspaceID: n.WorkspaceID, AgentID: agent.ID, AgentVersion: agent.Version, ThreadID: n.ThreadID, ScheduleID: n.ScheduleID,
		Status: Queued, Input: input, Metadata: stored, Limits: limits, WebhookURL: n.WebhookURL, CreatedAt: at,
		OnBusy: cmp.Or(n.OnBusy, BusyReject),
	}
	if n.AfterSeconds > 0 {
		due := at.Add(time.Duration(n.AfterSeconds) * time.Second)
		r.DueAt = &due
	}
	return r, nil
}

// webhookFault gives a refusal of the webhook's address the name that the caller knows the field by.
func webhookFault(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) == 0 {
		return err
	}
	return fault.InvalidField("webhook_url", f.Fields[0].Rule, "%s", f.Fields[0].Message)
}

func (n NewRun) messages() ([]InputMessage, error) {
	switch {
	case n.Input != "" && len(n.Messages) > 0:
		return nil, fault.InvalidField("messages", "excluded_with", "must not be given together with input")
	case n.Input != "":
		return []InputMessage{{Role: "user", Content: n.Input}}, nil
	case len(n.Messages) == 0:
		return nil, fault.InvalidField("input", "required", "is required, or messages in its place")
	case n.Messages[len(n.Messages)-1].Role != "user":
		return nil, fault.InvalidField("messages", "last_is_user", "must end with a message of the user")
	}
	return n.Messages, nil
}

func (n NewRun) limits(of Limits) (Limits, error) {
	if n.TimeoutSeconds != nil {
		of.Timeout = time.Duration(*n.TimeoutSeconds) * time.Second
	}
	if n.Budget == nil {
		return of, nil
	}
	if n.Budget.MaxSteps != nil {
		of.MaxSteps = *n.Budget.MaxSteps
	}
	if n.Budget.MaxTokens != nil {
		of.MaxTokens = n.Budget.MaxTokens
	}
	if n.Budget.MaxCostUSD != nil {
		cost, err := decimal.NewFromString(*n.Budget.MaxCostUSD)
		if err != nil || !cost.IsPositive() || cost.GreaterThan(decimal.NewFromInt(1_000_000)) || cost.Exponent() < -10 {
			return Limits{}, fault.InvalidField("budget.max_cost_usd", "decimal", "must be a positive decimal number of US dollars, with at most 10 places")
		}
		of.MaxCostUSD = &cost
	}
	return of, nil
}
