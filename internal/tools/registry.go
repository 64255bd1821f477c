package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// Limits bound every call of a registry's tools.
type Limits struct {
	Timeout        time.Duration // of one call; zero: 30 s
	MaxResultBytes int           // of the text for the model, the note about a cut included; zero: 64 KiB
}

const (
	defaultTimeout        = 30 * time.Second
	defaultMaxResultBytes = 64 << 10
	minResultBytes        = 1 << 10
)

// validName is what every model provider takes as the name of a function.
var validName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// Registry holds tools by name. It never changes, so that many goroutines may use it at once.
type Registry struct {
	names []string // in the order of registration
	tools map[string]*guarded
}

// New makes a registry with the default limits. See NewWithLimits.
func New(list ...Tool) (*Registry, error) { return NewWithLimits(Limits{}, list...) }

// NewWithLimits makes a registry. A name that is not 1 to 64 letters, digits, _ or -, a name that is
// there twice, and a schema that cannot be compiled or does not describe an object are errors.
func NewWithLimits(limits Limits, list ...Tool) (*Registry, error) {
	limits.Timeout = cmp.Or(limits.Timeout, defaultTimeout)
	limits.MaxResultBytes = max(cmp.Or(limits.MaxResultBytes, defaultMaxResultBytes), minResultBytes)
	r := &Registry{tools: make(map[string]*guarded, len(list))}
	for i, tool := range list {
		if tool == nil {
			return nil, fmt.Errorf("tool %d is nil", i)
		}
		d := tool.Definition()
		if !validName.MatchString(d.Name) {
			return nil, fmt.Errorf("tool name %q does not match %s", d.Name, validName)
		}
		if r.tools[d.Name] != nil {
			return nil, fmt.Errorf("two tools are named %s", d.Name)
		}
		d.Parameters = slices.Clone(d.Parameters)
		s, err := compile(d.Parameters)
		if err != nil {
			return nil, fmt.Errorf("the parameters of tool %s: %w", d.Name, err)
		}
		r.tools[d.Name] = &guarded{tool: tool, definition: d, schema: s, limits: limits}
		r.names = append(r.names, d.Name)
	}
	return r, nil
}

// Names gives the names of all tools, in the order in which they were given to New.
func (r *Registry) Names() []string { return slices.Clone(r.names) }

// Get gives a tool whose Call checks the arguments, keeps the limits, contains panics and answers with
// valid UTF-8 without NUL. An unknown name is fault.NotFound, with a detail that a model can correct
// itself by.
func (r *Registry) Get(name string) (Tool, error) {
	if tool := r.tools[name]; tool != nil {
		return tool, nil
	}
	return nil, fault.New(fault.NotFound, "there is no tool named %s; the tools are: %s",
		bound(fmt.Sprintf("%q", name), 100), bound(strings.Join(r.names, ", "), 2000))
}

// Definitions gives the definitions of the named tools, in their order; none for no names. An unknown
// name is fault.NotFound.
func (r *Registry) Definitions(names ...string) ([]Definition, error) {
	out := make([]Definition, 0, len(names))
	for _, name := range names {
		tool, err := r.Get(name)
		if err != nil {
			return nil, err
		}
		out = append(out, tool.Definition())
	}
	return out, nil
}

// guarded is a tool behind the registry's checks: there is no other way to it.
type guarded struct {
	tool       Tool
	definition Definition
	schema     *schema
	limits     Limits
}

func (g *guarded) Definition() Definition {
	d := g.definition
	d.Parameters = slices.Clone(d.Parameters)
	return d
}

func (g *guarded) Call(ctx context.Context, arguments json.RawMessage) (string, error) {
	arguments, err := g.schema.check(g.definition.Name, arguments)
	if err != nil {
		return "", err
	}
	callCtx, cancel := context.WithTimeout(ctx, g.limits.Timeout)
	defer cancel()
	done := make(chan outcome, 1) // buffered: a tool that comes too late must not wait for a reader
	go func() { contain(done, func() (string, error) { return g.tool.Call(callCtx, arguments) }) }()
	select {
	case <-callCtx.Done():
		return "", g.ended(ctx)
	case out := <-done:
		if out.err != nil {
			return "", g.failure(ctx, callCtx, out.err)
		}
		return bound(storable.Text(out.text), g.limits.MaxResultBytes), nil
	}
}

// failure leaves a code that the tool chose, and gives every other error one.
func (g *guarded) failure(ctx, callCtx context.Context, err error) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case callCtx.Err() != nil:
		return g.ended(ctx)
	default:
		return fault.Wrap(err, fault.Internal, "the tool %s failed", g.definition.Name)
	}
}

// ended says why the call's context is over: the caller's wish, or time.
func (g *guarded) ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fault.Wrap(context.Cause(ctx), fault.Cancelled, "the call of %s was cancelled", g.definition.Name)
	}
	return fault.Wrap(context.DeadlineExceeded, fault.Timeout, "the tool %s did not finish in time", g.definition.Name)
}
