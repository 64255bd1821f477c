// Package builtin is the model that answers when no key is configured. It is no language model: it
// calls the tools that fit the question by plain rules, and composes its answer from sentences of
// what they found, with citations. It says so in every answer.
//
// It is a pure function of the request: the same request gives the same chunks, on every machine.
package builtin

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
)

// Name is the provider's name in "builtin/model".
const Name = "builtin"

// DefaultModel is the only model.
const DefaultModel = "extractive"

// DefaultTokensPerSecond is a pace at which people can read along.
const DefaultTokensPerSecond = 40

// Config sets the pace.
type Config struct {
	TokensPerSecond int // words a second; zero or less: no pause at all, as benchmarks want it
}

// Provider streams turns. It is safe for concurrent use.
type Provider struct {
	pause time.Duration // before each word
}

var _ llm.Provider = (*Provider)(nil)

// New makes a provider.
func New(cfg Config) *Provider {
	p := &Provider{}
	if cfg.TokensPerSecond > 0 {
		p.pause = time.Second / time.Duration(cfg.TokensPerSecond)
	}
	return p
}

// Name is "builtin".
func (p *Provider) Name() string { return Name }

// Stream streams one turn: see llm.Provider. Its only error is the context's. Usage is counted by
// llm.EstimateTokens and not marked as estimated: here that count is the definition of a token, not a
// guess at somebody else's.
func (p *Provider) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(llm.Chunk{}, &llm.Interrupted{Provider: Name, Cause: err})
			return
		}
		answer := compose(req)
		spent := llm.Usage{InputTokens: llm.EstimateInput(req)}
		clock := newClock(p.pause)
		defer clock.stop()

		var said strings.Builder
		for piece := range words(answer.text) {
			if err := clock.wait(ctx); err != nil {
				yield(llm.Chunk{}, &llm.Interrupted{Provider: Name, Usage: spent, Cause: err})
				return
			}
			said.WriteString(piece)
			total := llm.EstimateTokens(said.String())
			if req.MaxTokens > 0 && total > int64(req.MaxTokens) {
				yield(llm.Chunk{Done: &llm.Done{Reason: llm.FinishLength, Usage: spent, Model: DefaultModel}}, nil)
				return
			}
			spent.OutputTokens = total
			if !yield(llm.Chunk{Text: piece}, nil) {
				return
			}
		}
		reason := llm.FinishStop
		for i, call := range answer.calls {
			reason = llm.FinishToolCalls
			spent.OutputTokens += llm.EstimateTokens(call.Name) + llm.EstimateTokens(call.Arguments)
			if !yield(llm.Chunk{ToolCall: &answer.calls[i]}, nil) {
				return
			}
		}
		yield(llm.Chunk{Done: &llm.Done{Reason: reason, Usage: spent, Model: DefaultModel}}, nil)
	}
}

// words cuts text into words that keep the white space behind them.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			space := strings.IndexAny(text, " \n")
			end := len(text)
			if space >= 0 {
				rest := strings.TrimLeft(text[space:], " \n")
				end = len(text) - len(rest)
			}
			if !yield(text[:end]) {
				return
			}
			text = text[end:]
		}
	}
}

// clock paces the words.
type clock struct{ ticker *time.Ticker }

func newClock(pause time.Duration) clock {
	if pause <= 0 {
		return clock{}
	}
	return clock{ticker: time.NewTicker(pause)}
}

func (c clock) wait(ctx context.Context) error {
	if c.ticker == nil {
		return ctx.Err()
	}
	select {
	case <-c.ticker.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c clock) stop() {
	if c.ticker != nil {
		c.ticker.Stop()
	}
}
