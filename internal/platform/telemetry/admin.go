package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/framing"
)

const (
	readyTimeout     = 5 * time.Second
	adminReadTimeout = 10 * time.Second
	// adminWriteTimeout bounds a response; net/http/pprof adds the length of a profile to it.
	adminWriteTimeout = 30 * time.Second
	adminIdleTimeout  = 2 * time.Minute
	adminMaxHeader    = 64 << 10
)

// AdminOptions of an admin server.
type AdminOptions struct {
	Addr    string                      // host:port; port 0: a free one
	Metrics http.Handler                // Metrics.Handler
	Ready   func(context.Context) error // nil error: ready; the detail of a *fault.Error is shown
	// Callback takes POST /temporal/callback: Temporal's word that a workflow closed; nil: nobody does.
	Callback http.Handler
	Log      *slog.Logger
}

// Admin serves what belongs inside and nothing else: /metrics, /debug/pprof/, /healthz, /readyz, and the
// callbacks of Temporal. It asks nobody who they are (the callback's handler does); its address is for
// operators only.
type Admin struct {
	options  AdminOptions
	server   *http.Server
	listener net.Listener
	done     chan struct{} // closed when the serving goroutine has ended
}

// NewAdmin makes a server that Start starts.
func NewAdmin(o AdminOptions) *Admin {
	a := &Admin{options: o, done: make(chan struct{})}
	a.server = &http.Server{
		Handler:           secure(a.routes()),
		ReadHeaderTimeout: adminReadTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
		MaxHeaderBytes:    adminMaxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	return a
}

func (a *Admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.options.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	if a.options.Callback != nil {
		mux.Handle("POST /temporal/callback", a.options.Callback)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	return mux
}

// Start listens and serves until Close. It fails when the address cannot be had. It is called once.
func (a *Admin) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.options.Addr)
	if err != nil {
		return fmt.Errorf("listen on the admin address %s: %w", a.options.Addr, err)
	}
	a.listener = listener
	go func() {
		defer close(a.done)
		if err := a.server.Serve(framing.NewListener(listener, adminMaxHeader)); !errors.Is(err, http.ErrServerClosed) {
			a.options.Log.ErrorContext(ctx, "the admin server stopped", slog.Any("error", err))
		}
	}()
	return nil
}

// Addr gives the address that is listened on, "" before Start.
func (a *Admin) Addr() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

// Close lets requests in flight finish until the context ends, then cuts them off (a profile may take
// long), and waits for the serving goroutine. The error is that of a listener or connection that would
// not close.
func (a *Admin) Close(ctx context.Context) error {
	if a.listener == nil {
		return nil
	}
	err := a.server.Shutdown(ctx)
	if ctx.Err() != nil {
		err = a.server.Close()
	}
	<-a.done
	if err != nil {
		return fmt.Errorf("close the admin server: %w", err)
	}
	return nil
}

func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := a.options.Ready(ctx)
	if err == nil {
		plain(w, http.StatusOK, "ok")
		return
	}
	a.options.Log.WarnContext(ctx, "not ready", slog.Any("error", err))
	detail := "not ready"
	var known *fault.Error
	if errors.As(err, &known) && known.Detail != "" {
		detail = known.Detail
	}
	plain(w, http.StatusServiceUnavailable, detail)
}

// secure sets the headers of every answer of the port, also of those that no route makes.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'") // pprof's index has styles
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}
