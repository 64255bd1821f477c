package api

import (
	"encoding/json"
	"fmt"

	"github.com/valyala/fasthttp"
)

const jsonType = "application/json"

// multiform is an answer that may have been asked for in another form than JSON.
type multiform interface{ otherForm() (Raw, bool) }

// encode writes an answer: JSON without HTML escapes, or the bytes of a Raw.
func encode(ctx *fasthttp.RequestCtx, status int, out any) error {
	h := &ctx.Response.Header
	if l, ok := out.(Located); ok {
		h.Set(fasthttp.HeaderLocation, l.Location())
	}
	if r, ok := out.(Responder); ok {
		head := Head{Status: status, header: h.Set}
		r.Respond(&head)
		status = head.Status
	}
	switch v := out.(type) {
	case None:
		writeBody(ctx, status, nil)
		return nil
	case Raw:
		v.write(ctx, status)
		return nil
	case multiform:
		if raw, ok := v.otherForm(); ok {
			raw.write(ctx, status)
			return nil
		}
	}
	enc := json.NewEncoder(ctx.Response.BodyWriter())
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil { // nothing has been written: the encoder buffers
		return fmt.Errorf("encode the answer: %w", err)
	}
	h.SetContentType(jsonType)
	ctx.Response.SetStatusCode(status)
	return nil
}

// writeBody writes an answer that is JSON already, or none.
func writeBody(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.Response.SetStatusCode(status)
	if len(body) > 0 {
		ctx.Response.Header.SetContentType(jsonType)
		ctx.Response.SetBody(body)
	}
}

func (r Raw) write(ctx *fasthttp.RequestCtx, status int) {
	if r.Status != 0 {
		status = r.Status
	}
	ctx.Response.SetStatusCode(status)
	for name, value := range r.Header {
		ctx.Response.Header.Set(name, value)
	}
	if r.ContentType != "" {
		ctx.Response.Header.SetContentType(r.ContentType)
	}
	ctx.Response.SetBody(r.Body)
}
