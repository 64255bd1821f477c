package api

import (
	"bufio"
	"context"
	"io"
	"reflect"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// File is an answer that is written while it is sent.
type File struct {
	Name        string // shown to the user who saves it; ASCII without quotes
	ContentType string
	// Write makes the content. It ends with ctx and with the first error of w: the client has gone.
	Write func(ctx context.Context, w io.Writer) error
}

// Download makes a route that answers with a file of any size. fn decides whether there will be one; its
// errors are problem documents. When the writing fails after that the connection is broken off, so that
// half a file is never taken for a whole one.
func Download[In any](
	method, path string, p auth.Permission, m Meta, fn func(ctx context.Context, in *In) (File, error),
) Route {
	r := Route{Method: method, Path: path, Permission: p, Meta: m, in: reflect.TypeFor[In](), out: reflect.TypeFor[Raw]()}
	r.Meta.Status = 200
	if r.plan, r.err = planOf(r.in); r.err != nil {
		return r
	}
	r.answer = func(ctx context.Context, a *adapter, x *exchange) error {
		in := new(In)
		if err := a.read(ctx, x, in); err != nil {
			return err
		}
		file, err := fn(ctx, in)
		if err != nil {
			return err
		}
		return a.streams.send(ctx, x, file)
	}
	return r
}

// send makes the response a file. The request's context gives the writing its values, not its end.
func (s *streams) send(request context.Context, x *exchange, file File) error {
	c := x.http
	h := &c.Response.Header
	h.SetContentType(file.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+file.Name+`"`)
	h.Set("Cache-Control", "no-store")
	if c.IsHead() {
		return nil
	}
	if !s.begin() {
		return fault.Wrap(errShutdown, fault.Unavailable, "The server is shutting down.")
	}
	ctx, cancel := s.contextOf(request, x)
	conn := c.Conn()
	requestID, route := x.requestID, x.route.name() // x belongs to another request by then
	c.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer s.open.Done()
		defer cancel()
		out := &patientWriter{w: w, extend: s.extender(conn)}
		err := contain(func() error { return file.Write(ctx, out) })
		if err == nil {
			err = out.flush()
		}
		if err != nil {
			_ = conn.Close() // the end of the chunks would say that the file is whole
			if ctx.Err() == nil && !out.gone {
				s.log.ErrorContext(ctx, "a download broke off", "request_id", requestID, "route", route, "error", err)
			}
		}
	})
	return nil
}

// contain turns a panic into an error: it happens outside any request, where it would end the process.
func contain(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = newPanicError(r)
		}
	}()
	return f()
}

// patientWriter gives the client time for each write anew.
type patientWriter struct {
	w      *bufio.Writer
	extend func() error
	gone   bool
}

// Write writes through to the client whenever the buffer is full.
func (p *patientWriter) Write(b []byte) (n int, err error) {
	if err = p.extend(); err == nil {
		n, err = p.w.Write(b)
	}
	p.gone = p.gone || err != nil
	return n, err
}

func (p *patientWriter) flush() (err error) {
	if err = p.extend(); err == nil {
		err = p.w.Flush()
	}
	p.gone = p.gone || err != nil
	return err
}
