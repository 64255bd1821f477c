// Package openai is the model provider for OpenAI and every server that speaks its Chat Completions
// format (https://platform.openai.com/docs/api-reference/chat/streaming): the widest supported one.
package openai

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/wire"
)

// Name is the provider's name in "openai/model".
const Name = "openai"

const ownHost = "api.openai.com"

// Config says where the models are and who asks.
type Config struct {
	APIKey      string        // empty: no Authorization header, as local servers want it
	BaseURL     string        // with the version path, "https://host/v1"; empty: OpenAI's own
	HTTPClient  *http.Client  // nil: one of its own
	IdleTimeout time.Duration // no byte for so long fails as timeout, only heartbeats for three times that; zero: 60 s
	FinishWait  time.Duration // how long the usage may be in coming after the answer; zero: 2 s
}

// Provider streams turns. It is safe for concurrent use and keeps no state between turns.
type Provider struct {
	client sdk.Client
	redact wire.Redactor
	limits wire.Limits
	own    bool // OpenAI itself, not a compatible server
	origin string
}

var _ llm.Provider = (*Provider)(nil)

// New makes a provider. It reads nothing from the environment. A base URL that cannot be parsed
// fails each turn as bad_request.
func New(cfg Config) *Provider {
	key := strings.TrimSpace(cfg.APIKey) // keys come from files, with a line end that no header takes
	options := []option.RequestOption{
		option.WithHTTPClient(wire.Client(cfg.HTTPClient)),
		option.WithEnvironmentProduction(),
		option.WithMaxRetries(0), // retries are Temporal's: two loops would multiply
		option.WithJSONSet("stream", true),
		option.WithHeader("Accept", "text/event-stream"),
	}
	if cfg.BaseURL != "" {
		options = append(options, option.WithBaseURL(strings.TrimRight(cfg.BaseURL, "/")))
	}
	if key != "" {
		options = append(options, option.WithAPIKey(key))
	}
	base, err := url.Parse(cfg.BaseURL)
	host := ownHost
	if err == nil && cfg.BaseURL != "" {
		host = base.Host
	}
	return &Provider{
		// The literal, not NewClient: that one reads a dozen variables from the environment.
		client: sdk.Client{Options: options},
		redact: wire.NewRedactor(key),
		limits: wire.Limits{Idle: cfg.IdleTimeout, Finish: cfg.FinishWait},
		own:    err == nil && (cfg.BaseURL == "" || base.Hostname() == ownHost),
		origin: Name + "@" + host,
	}
}

// Name is "openai", also for compatible servers.
func (p *Provider) Name() string { return Name }

// Stream streams one turn: see llm.Provider.
func (p *Provider) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		ctx, call := wire.Begin(ctx, Name, p.redact, p.limits.Within(req.Patience))
		defer call.End()
		call.From(p.origin)

		params, err := p.params(req)
		if err != nil {
			yield(llm.Chunk{}, call.BadRequest(err.Error()))
			return
		}
		var response *http.Response
		err = p.client.Post(ctx, "chat/completions", params, &response, option.WithMiddleware(call.Middleware))
		if err != nil {
			yield(llm.Chunk{}, call.Failure(err, llm.Usage{}))
			return
		}
		defer func() { _ = response.Body.Close() }() // the turn is over: an error here changes nothing
		wire.Stream(call, response.Body, &decoder{}, req, yield)
	}
}
