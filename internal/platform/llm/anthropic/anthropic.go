// Package anthropic is the model provider for Anthropic's Messages API
// (https://docs.anthropic.com/en/api/messages-streaming).
package anthropic

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

// Name is the provider's name in "anthropic/model".
const Name = "anthropic"

// DefaultMaxTokens bounds the output when the request does not: the API demands a bound.
const DefaultMaxTokens = 4096

// Config says where the models are and who asks.
type Config struct {
	APIKey      string
	BaseURL     string        // without the version path; empty: Anthropic's own
	HTTPClient  *http.Client  // nil: one of its own
	IdleTimeout time.Duration // no byte for so long fails as timeout, only heartbeats for three times that; zero: 60 s
	FinishWait  time.Duration // how long the end may be in coming after the answer; zero: 2 s
}

// Provider streams turns. It is safe for concurrent use and keeps no state between turns.
type Provider struct {
	client sdk.Client
	redact wire.Redactor
	limits wire.Limits
	origin string
}

var _ llm.Provider = (*Provider)(nil)

// New makes a provider. It reads nothing from the environment. A base URL that cannot be parsed
// fails each turn.
func New(cfg Config) *Provider {
	key := strings.TrimSpace(cfg.APIKey) // keys come from files, with a line end that no header takes
	options := []option.RequestOption{
		option.WithHTTPClient(wire.Client(cfg.HTTPClient)),
		option.WithEnvironmentProduction(),
		option.WithMaxRetries(0), // retries are Temporal's: two loops would multiply
		option.WithJSONSet("stream", true),
		option.WithAPIKey(key),
		// The SDK would raise spans of its own under every turn and send trace headers to the provider.
		option.WithoutOpenTelemetry(),
	}
	host := "api.anthropic.com"
	if cfg.BaseURL != "" {
		if base, err := url.Parse(cfg.BaseURL); err == nil {
			host = base.Host
		}
		options = append(options, option.WithBaseURL(cfg.BaseURL))
	}
	return &Provider{
		// The literal, not NewClient: that one looks for credentials in the environment and in files.
		client: sdk.Client{Options: options},
		redact: wire.NewRedactor(key),
		limits: wire.Limits{Idle: cfg.IdleTimeout, Finish: cfg.FinishWait},
		origin: Name + "@" + host,
	}
}

// Name is "anthropic".
func (p *Provider) Name() string { return Name }

// Stream streams one turn: see llm.Provider.
func (p *Provider) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		ctx, call := wire.Begin(ctx, Name, p.redact, p.limits.Within(req.Patience))
		defer call.End()
		call.From(p.origin)

		params, err := params(req, p.origin)
		if err != nil {
			yield(llm.Chunk{}, call.BadRequest(err.Error()))
			return
		}
		var response *http.Response
		err = p.client.Post(ctx, "v1/messages", params, &response, option.WithMiddleware(call.Middleware))
		if err != nil {
			yield(llm.Chunk{}, call.Failure(err, llm.Usage{}))
			return
		}
		defer func() { _ = response.Body.Close() }() // the turn is over: an error here changes nothing
		wire.Stream(call, response.Body, newDecoder(), req, yield)
	}
}
