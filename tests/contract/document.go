// Package contract reads the API's description as its callers do, and holds answers to it. Whatever ranges
// over the description (the permission matrix, the request generator) covers a route once it is described.
package contract

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is an OpenAPI 3.1 description. It is safe for concurrent use.
type Document struct {
	Operations []*Operation // by path and method

	raw      map[string]any // as it was read
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by the place in the document
}

// Operation is one endpoint.
type Operation struct {
	Method, Path string
	ID           string
	Permission   string   // "": public
	Permissions  []string // all that it needs, Permission first
	Parameters   []Parameter
	Body         Schema // nil: it takes none
	BodyRequired bool
	Example      any // a request body as the description shows it; nil: none

	body      string // the place of its schema
	segments  []string
	responses map[string]response
}

// Parameter is a value of the path, the query or the headers.
type Parameter struct {
	Name     string
	In       string // path, query, header
	Required bool
	Schema   Schema
}

// Schema is a JSON Schema as it is written in the document; see Document.Resolve.
type Schema map[string]any

// response is what an operation may answer with one status.
type response struct {
	content map[string]media // by media type; empty: no body
}

type media struct {
	place string // of its schema in the document
	item  string // of the schema of each event's data; "": not a stream of known events
}

// Name is method and path template.
func (o *Operation) Name() string { return o.Method + " " + o.Path }

// Stream reports whether the operation answers with server-sent events.
func (o *Operation) Stream() bool {
	for _, r := range o.responses {
		if _, ok := r.content["text/event-stream"]; ok {
			return true
		}
	}
	return false
}

// Creates reports whether the operation honours Idempotency-Key.
func (o *Operation) Creates() bool {
	return slices.ContainsFunc(o.Parameters, func(p Parameter) bool { return p.In == "header" && p.Name == "Idempotency-Key" })
}

// PathParameters gives the names in the path, in their order.
func (o *Operation) PathParameters() []string {
	var names []string
	for _, s := range o.segments {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// Fill puts values, which are escaped already, into the path; one that is not named stays a place-holder.
func (o *Operation) Fill(values map[string]string) string {
	parts := slices.Clone(o.segments)
	for i, s := range parts {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			if v, known := values[strings.TrimSuffix(name, "}")]; known {
				parts[i] = v
			}
		}
	}
	return "/" + strings.Join(parts, "/")
}

const resource = "openapi.json"

// Parse reads a description. Objects that do not say whether they take further properties take none, as
// answers of ours never hold what is not described.
func Parse(text []byte) (*Document, error) {
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	strict, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	d := &Document{raw: object(plain), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	closeAll(object(strict))
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(resource, strict); err != nil {
		return nil, fmt.Errorf("add the description: %w", err)
	}
	for path, item := range object(d.raw["paths"]) {
		for method, op := range object(item) {
			o, err := d.operation(strings.ToUpper(method), path, object(op))
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			d.Operations = append(d.Operations, o)
		}
	}
	slices.SortFunc(d.Operations, func(a, b *Operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return d, nil
}

func (d *Document) operation(method, path string, op map[string]any) (*Operation, error) {
	o := &Operation{
		Method: method, Path: path, ID: text(op["operationId"]), Permission: text(op["x-permission"]),
		segments: strings.Split(strings.TrimPrefix(path, "/"), "/"), responses: map[string]response{},
	}
	if o.Permission != "" {
		o.Permissions = []string{o.Permission}
	}
	for i, p := range list(op["x-permissions"]) {
		if i > 0 {
			o.Permissions = append(o.Permissions, text(p))
		}
	}
	for _, p := range list(op["parameters"]) {
		p := d.follow(object(p))
		required, _ := p["required"].(bool)
		o.Parameters = append(o.Parameters, Parameter{Name: text(p["name"]), In: text(p["in"]), Required: required, Schema: object(p["schema"])})
	}
	if body := d.follow(object(op["requestBody"])); body != nil {
		content := object(object(body["content"])["application/json"])
		o.Body, o.Example = object(content["schema"]), content["example"]
		o.body = "#/paths/" + escape(path) + "/" + strings.ToLower(method) + "/requestBody/content/" + escape("application/json") + "/schema"
		o.BodyRequired, _ = body["required"].(bool)
		if o.Body == nil {
			return nil, fmt.Errorf("its body is not JSON")
		}
	}
	base := "#/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/"
	for status, r := range object(op["responses"]) {
		place := base + status
		if ref := text(object(r)["$ref"]); ref != "" {
			place = ref
		}
		answer := response{content: map[string]media{}}
		for kind, m := range object(d.follow(object(r))["content"]) {
			at := place + "/content/" + escape(kind)
			answer.content[kind] = media{place: at + "/schema"}
			if object(m)["x-item-schema"] != nil {
				answer.content[kind] = media{place: at + "/schema", item: at + "/x-item-schema"}
			}
		}
		o.responses[status] = answer
	}
	return o, nil
}

// Match finds the operation that answers a request for a path as it stands in the URL, nil when none does.
// HEAD is answered by what answers GET.
func (d *Document) Match(method, path string) *Operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var found *Operation
	for _, o := range d.Operations {
		if o.Method == method && o.fits(parts) && (found == nil || o.fixed() > found.fixed()) {
			found = o
		}
	}
	return found
}

func (o *Operation) fits(parts []string) bool {
	if len(parts) != len(o.segments) {
		return false
	}
	for i, s := range o.segments {
		if strings.HasPrefix(s, "{") && parts[i] != "" {
			continue
		}
		if s != parts[i] {
			return false
		}
	}
	return true
}

func (o *Operation) fixed() int { return len(o.segments) - len(o.PathParameters()) }

// Resolve gives the schema that a reference names, else the schema itself.
func (d *Document) Resolve(s Schema) Schema { return d.follow(s) }

func (d *Document) follow(m map[string]any) map[string]any {
	ref := text(m["$ref"])
	if ref == "" {
		return m
	}
	at := d.raw
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = object(at[unescape(part)])
	}
	return at
}

// schema compiles what stands at a place of the document, once.
func (d *Document) schema(place string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.schemas[place]; ok {
		return s, nil
	}
	s, err := d.compiler.Compile(resource + place)
	if err != nil {
		return nil, fmt.Errorf("compile the schema at %s: %w", place, err)
	}
	d.schemas[place] = s
	return s, nil
}

func escape(part string) string {
	part = strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(part)
}

func unescape(part string) string {
	part = strings.NewReplacer("%7B", "{", "%7D", "}").Replace(part)
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
