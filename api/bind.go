package api

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// bind fills the input: body first, then query and headers, the path last, so that nothing a body says
// can stand for what the URL says.
func (p *plan) bind(c *fiber.Ctx, in any) error {
	if err := p.bindBody(c.Context(), in); err != nil {
		return err
	}
	v := reflect.ValueOf(in).Elem()
	for _, q := range p.defaults {
		if err := q.set(v.FieldByIndex(q.index), q.fallback); err != nil {
			return fault.Wrap(err, fault.Internal, "default of %s", q.name)
		}
	}
	if err := p.bindQuery(c.Context().QueryArgs(), v); err != nil {
		return err
	}
	for _, q := range p.headers {
		if value, _ := header(&c.Context().Request.Header, q.name); value != "" {
			if err := q.store(v, value); err != nil {
				return err
			}
		}
	}
	for _, q := range p.path {
		raw := strings.Clone(c.Params(q.name))
		s, err := url.PathUnescape(raw)
		if err != nil {
			return q.refuse("encoding", "is not percent-encoded properly")
		}
		if err := q.store(v, s); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) bindQuery(args *fasthttp.Args, v reflect.Value) (err error) {
	if args.Len() == 0 {
		return nil
	}
	seen := make(map[*param]bool, args.Len())
	args.VisitAll(func(key, value []byte) {
		if err != nil {
			return
		}
		q := p.query[string(key)]
		switch {
		case q == nil:
			q = &param{name: printable(string(key)), in: "query"}
			err = q.refuse("unknown", "is not a known query parameter")
		case seen[q] && !q.many:
			err = q.refuse("repeated", "was given more than once")
		default:
			seen[q] = true
			err = q.store(v, string(value))
		}
	})
	return err
}

// store reads one value into the parameter's field.
func (q *param) store(v reflect.Value, s string) error {
	if !storable.IsText(s) {
		return q.refuse("encoding", "holds characters that cannot be stored")
	}
	field := v.FieldByIndex(q.index)
	if !q.many {
		if q.set(field, s) != nil {
			return q.refuse("format", "must be "+q.noun)
		}
		return nil
	}
	elem := reflect.New(field.Type().Elem()).Elem()
	if q.set(elem, s) != nil {
		return q.refuse("format", "must be "+q.noun)
	}
	field.Set(reflect.Append(field, elem))
	return nil
}

// refuse is the error of a parameter that cannot be read.
func (q *param) refuse(rule, message string) error {
	return &fault.Error{
		Code: fault.Malformed, Detail: q.name + " " + message,
		Fields: []fault.Field{{Field: q.name, Rule: rule, Message: message}},
	}
}

func (p *plan) bindBody(ctx *fasthttp.RequestCtx, in any) error {
	body := ctx.Request.Body()
	switch {
	case p.body == nil && ctx.IsPost() && string(body) == "{}": // which many clients send for nothing
		return nil
	case p.body == nil && len(body) > 0:
		return fault.New(fault.Malformed, "This route takes no body.")
	case p.body == nil:
		return nil
	case len(body) == 0 && p.needsBody:
		return fault.New(fault.Malformed, "The body is missing: send a JSON object.")
	case len(body) == 0:
		return nil
	}
	if err := checkContent(&ctx.Request.Header); err != nil {
		return err
	}
	if err := checkBody(body, p.body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, in); err != nil {
		return fault.Wrap(err, fault.Invalid, "The body does not fit the documented schema.")
	}
	return nil
}

// checkContent takes JSON in UTF-8 (RFC 8259 §8.1) as it is. A compressed body is refused: its size
// could not be bounded before it is unpacked.
func checkContent(h *fasthttp.RequestHeader) error {
	if coding := h.ContentEncoding(); len(coding) > 0 && !bytes.EqualFold(coding, []byte("identity")) {
		return fault.New(fault.UnsupportedMedia, "The body must not be encoded: send it without Content-Encoding.")
	}
	media, parameters, _ := bytes.Cut(h.ContentType(), []byte{';'})
	if !bytes.EqualFold(bytes.TrimSpace(media), []byte("application/json")) {
		return fault.New(fault.UnsupportedMedia, "The body must be JSON: send it with Content-Type: application/json.")
	}
	if len(parameters) > 0 {
		name, value, _ := bytes.Cut(bytes.TrimSpace(parameters), []byte{'='})
		value = bytes.Trim(value, `"`)
		if bytes.EqualFold(name, []byte("charset")) && !bytes.EqualFold(value, []byte("utf-8")) {
			return fault.New(fault.UnsupportedMedia, "The body must be in UTF-8.")
		}
	}
	return nil
}
