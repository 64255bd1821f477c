package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Answer is a response to a request. Body is whole, but for streams, whose frames are checked one by one
// (see Document.CheckEvent).
type Answer struct {
	Method string
	Path   string // as it stood in the URL, without the query
	Status int
	Header http.Header
	Body   []byte
}

const problemMedia = "application/problem+json"

// Check says how an answer deviates from the description, nil when it does not.
func (d *Document) Check(a Answer) error {
	o := d.Match(a.Method, a.Path)
	if err := d.check(o, a); err != nil {
		name := "a path that is not described"
		if o != nil {
			name = o.Name()
		}
		return fmt.Errorf("the answer %d to %s %s (%s) is not as described: %w", a.Status, a.Method, a.Path, name, err)
	}
	return nil
}

func (d *Document) check(o *Operation, a Answer) error {
	if a.Header.Get("X-Request-Id") == "" {
		return errors.New("it has no X-Request-Id")
	}
	if a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests {
		if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 {
			return fmt.Errorf("its Retry-After is %q", a.Header.Get("Retry-After"))
		}
	}
	switch {
	case a.Method == http.MethodOptions && a.Status == http.StatusNoContent:
		return empty(a)
	case o == nil || beforeTheRoute(a.Status):
		return d.checkOutside(o, a)
	}
	r, ok := o.responses[strconv.Itoa(a.Status)]
	if !ok {
		return fmt.Errorf("the status is not described: %.500s", a.Body)
	}
	if a.Method == http.MethodHead || len(r.content) == 0 {
		return empty(a)
	}
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("its Content-Type is %q", a.Header.Get("Content-Type"))
	}
	m, ok := r.content[kind]
	if !ok {
		return fmt.Errorf("the type %s is not described", kind)
	}
	if !strings.HasSuffix(kind, "json") || kind == "application/x-ndjson" { // its schema only says that it is text
		return nil
	}
	if err := d.valid(m.place, a.Body); err != nil {
		return err
	}
	return sameStatus(kind, a)
}

// beforeTheRoute tells refusals that are given before it is known which route is asked for: any request can
// meet them, so no operation lists them.
func beforeTheRoute(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusRequestEntityTooLarge || status == http.StatusRequestHeaderFieldsTooLarge
}

func (d *Document) checkOutside(o *Operation, a Answer) error {
	switch {
	case a.Status >= 400 && a.Method == http.MethodHead:
		return empty(a)
	case a.Status >= 400:
		if kind := a.Header.Get("Content-Type"); kind != problemMedia {
			return fmt.Errorf("its Content-Type is %q", kind)
		}
		if err := d.valid("#/components/schemas/Problem", a.Body); err != nil {
			return err
		}
		return sameStatus(problemMedia, a)
	case o == nil && aboutTheAPI(a.Path):
		return nil
	}
	return errors.New("nothing is described there that could succeed")
}

// aboutTheAPI tells the description itself and the pages that show it, which are not part of it.
func aboutTheAPI(path string) bool {
	return path == "/" || path == "/v1/openapi.json" || path == "/docs" || strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, "/problems/")
}

func sameStatus(kind string, a Answer) error {
	if kind != problemMedia {
		return nil
	}
	var p struct{ Status int }
	if err := json.Unmarshal(a.Body, &p); err != nil || p.Status != a.Status {
		return fmt.Errorf("the problem says %d", p.Status)
	}
	return nil
}

func empty(a Answer) error {
	if len(a.Body) > 0 {
		return fmt.Errorf("it has a body: %.200s", a.Body)
	}
	return nil
}

// CheckBody says how a request body deviates from the description of the operation, nil when it does not.
func (d *Document) CheckBody(o *Operation, body []byte) error { return d.valid(o.body, body) }

// valid holds a JSON text to the schema at a place.
func (d *Document) valid(place string, body []byte) error {
	s, err := d.schema(place)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w: %.500s", err, body)
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("%w\nin %.2000s", err, body)
	}
	return nil
}

// Event is one server-sent event as a client reads it.
type Event struct {
	ID, Type string
	Data     []byte
}

// CheckEvent holds an event of a stream to the description.
func (d *Document) CheckEvent(method, path string, e Event) error {
	o := d.Match(method, path)
	if o == nil || !o.Stream() {
		return fmt.Errorf("%s %s is not described as a stream", method, path)
	}
	item := o.responses["200"].content["text/event-stream"].item
	if item == "" {
		return nil
	}
	var envelope struct {
		Seq  int64
		Type string
	}
	if err := json.Unmarshal(e.Data, &envelope); err != nil || strconv.FormatInt(envelope.Seq, 10) != e.ID || envelope.Type != e.Type {
		return fmt.Errorf("the frame %s of type %s of %s holds %.200s", e.ID, e.Type, o.Name(), e.Data)
	}
	if err := d.valid(d.kind(item, envelope.Type), e.Data); err != nil {
		return fmt.Errorf("an event of %s is not as described: %w", o.Name(), err)
	}
	return nil
}

// kind is the place of the schema that a discriminator chooses for the type: an error then speaks of that
// one alone, and not of each that it might have been.
func (d *Document) kind(place, name string) string {
	schema := d.follow(map[string]any{"$ref": place})
	mapping := object(object(d.follow(schema)["discriminator"])["mapping"])
	if ref := text(mapping[name]); ref != "" {
		return ref
	}
	return place
}
