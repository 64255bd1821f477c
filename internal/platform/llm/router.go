package llm

import (
	"slices"
	"strings"

	"github.com/larirun/lari/internal/platform/fault"
)

// DefaultModel is the name that stands for "whatever this installation is set up with".
const DefaultModel = "default"

// preference is the order in which "default" looks for a provider: a real model before the built-in.
var preference = []string{"openai", "anthropic", "builtin"}

// settings name what makes a well-known provider available.
var settings = map[string]string{
	"openai": "OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server", "anthropic": "ANTHROPIC_API_KEY",
}

// MissingSetting is the cause of Resolve's refusal of a well-known provider without a key. What is missing is the
// operator's affair: tenants are shown the refusal without it.
type MissingSetting struct {
	Provider string
	Setting  string // what the operator sets, in words
}

// Error returns the advice for the operator.
func (e *MissingSetting) Error() string {
	return "the provider " + e.Provider + " has no key: set " + e.Setting
}

// Configured is a provider that is ready to answer (its key is there), and the model it answers with
// when none is named.
type Configured struct {
	Provider     Provider
	DefaultModel string // as the provider names it
}

// Router picks the provider of a model by the model's name: "provider/model", "provider" for its
// default model, or "default". It never changes after NewRouter and is safe for concurrent use.
type Router struct {
	providers    []Configured // by preference
	defaultModel string
}

// NewRouter makes a router over the providers that are ready to answer. defaultModel is what
// "default" stands for; empty or "default": the first of openai, anthropic, builtin and then the
// others in the order given, with its own default model.
func NewRouter(defaultModel string, providers ...Configured) *Router {
	ordered := slices.Clone(providers)
	slices.SortStableFunc(ordered, func(a, b Configured) int { return rank(a) - rank(b) })
	if defaultModel == DefaultModel {
		defaultModel = ""
	}
	return &Router{providers: ordered, defaultModel: defaultModel}
}

func rank(c Configured) int {
	if i := slices.Index(preference, c.Provider.Name()); i >= 0 {
		return i
	}
	return len(preference)
}

// Resolve returns the provider of a model and the model's name as that provider knows it. The empty name means
// "default". It fails with fault.Invalid on field "model" when the name has no provider, or one that is unknown or
// without a key; the cause of the last is a *MissingSetting.
func (r *Router) Resolve(model string) (Provider, string, error) {
	model = strings.TrimSpace(model)
	if model == "" || model == DefaultModel {
		if r.defaultModel == "" {
			return r.first()
		}
		model = r.defaultModel
	}
	// A model's own name may hold slashes ("openai/meta-llama/Llama-3.3-70B"): only the first one counts.
	provider, name, _ := strings.Cut(model, "/")
	for _, c := range r.providers {
		if c.Provider.Name() != provider {
			continue
		}
		if name == "" {
			name = c.DefaultModel
		}
		return c.Provider, name, nil
	}
	if setting, known := settings[provider]; known {
		refusal := fault.Wrap(&MissingSetting{provider, setting}, fault.Invalid, "model %s", notConfigured(provider))
		refusal.Fields = []fault.Field{{Field: "model", Rule: "configured", Message: notConfigured(provider)}}
		return nil, "", refusal
	}
	return nil, "", fault.InvalidField("model", "provider",
		`must be "default" or "provider/model" with one of the providers %s`, strings.Join(r.Names(), ", "))
}

func notConfigured(provider string) string {
	return "is one of the provider " + provider + ", which is not available here: choose another model, or ask the operator of this installation"
}

func (r *Router) first() (Provider, string, error) {
	if len(r.providers) == 0 {
		return nil, "", fault.InvalidField("model", "configured", "cannot be resolved: no model provider is configured")
	}
	return r.providers[0].Provider, r.providers[0].DefaultModel, nil
}

// Names lists the configured providers, best first.
func (r *Router) Names() []string {
	names := make([]string, len(r.providers))
	for i, c := range r.providers {
		names[i] = c.Provider.Name()
	}
	return names
}
