package activities

import (
	"context"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/quotas"
	"github.com/larirun/lari/internal/runs"
)

// boundedOutput bounds the answer of an agent without a limit of its own, in tokens, when the tenant has one:
// what has no bound cannot be reserved. Providers have about this default themselves.
const boundedOutput = 4096

// admit asks whether the tenant's quotas have room for the step. It may shorten the answer that the model is
// asked for. held names a quota without room for which the run is to wait; when it is to stop, the error is
// fault.QuotaExceeded.
func (a *Activities) admit(ctx context.Context, t runs.Turn, p *prompt, in ModelCall) (held string, err error) {
	if t.Limited {
		refused, err := a.reserve(ctx, p, in)
		switch {
		case err != nil:
			return "", err
		case refused != nil && refused.Then == quotas.Pause:
			if err := t.Opening.Wait(ctx); err != nil { // the step begins before it waits
				return "", err
			}
			return refused.Quota, a.Runs.WaitForQuota(ctx, in.RunID, in.Step)
		case refused != nil:
			return "", fault.New(fault.QuotaExceeded, "%s", refused.Detail)
		}
	}
	if t.Run.Status == runs.Waiting {
		return "", a.Runs.QuotaAllows(ctx, in.RunID, in.Step)
	}
	return "", nil
}

func (a *Activities) reserve(ctx context.Context, p *prompt, in ModelCall) (*quotas.Refusal, error) {
	r := &p.request
	if r.MaxTokens == 0 {
		r.MaxTokens = boundedOutput
	}
	input := llm.EstimateInput(*r)
	inputCost, _ := a.Prices.Cost(p.priced, llm.Usage{InputTokens: input})
	outputPrice, _ := a.Prices.Cost(p.priced, llm.Usage{OutputTokens: 1})
	granted, err := a.Quotas.Reserve(ctx, quotas.Demand{
		Run: in.RunID, Step: in.Step, InputTokens: input, OutputTokens: int64(r.MaxTokens), InputCost: inputCost, OutputPrice: outputPrice,
	})
	if err != nil || granted.Refused != nil {
		return granted.Refused, err
	}
	if int(granted.OutputTokens) < r.MaxTokens {
		r.MaxTokens, p.limitedBy = int(granted.OutputTokens), runs.CutByQuota
	}
	return nil, nil
}

// wasted counts what a failed attempt is billed for. It is no part of the run's own usage, which has only what
// led to something.
func (s *streaming) wasted(ctx context.Context, cause error) {
	used, ok := llm.PartialUsage(cause)
	if !ok && fault.Is(cause, fault.RunFinal) && s.done != nil { // the run ended while the model answered
		used, ok = s.done.Usage, true
	}
	if !ok {
		return
	}
	if err := s.activities.Quotas.Count(ctx, s.call.RunID, s.step(used, "").Usage); err != nil {
		s.activities.Logger.WarnContext(ctx, "the tokens of a failed attempt are not in the tenant's account", "run_id", s.call.RunID, "error", err)
	}
}
