package fakellm

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxReleased bounds how many chunks may be released ahead of being sent.
const maxReleased = 1 << 20

// Options set up a server.
type Options struct {
	Addr       string   // "host:port"; empty: a free port on 127.0.0.1
	Rules      []Rule   // the first that fits answers
	Default    Reply    // when none fits; the zero Reply says "Hello from the fake model."
	Chaos      Chaos    // strikes before the rules
	APIKey     string   // not empty: any other key is a 401
	Strict     bool     // malformed histories are a 400, as strict providers refuse them
	Thoughts   Thoughts // the model thinks before tool calls, and its thoughts must come back with their results
	KeepBodies bool     // keep request bodies and headers in the records; off for load runs
}

// Server is a running server. All methods are safe for concurrent use.
type Server struct {
	URL string // "http://127.0.0.1:port", without a path

	options Options
	http    *http.Server
	served  chan struct{} // closed when Serve has returned
	closing chan struct{} // closed when Close begins: ends hanging answers
	gate    chan struct{} // one element for each released chunk
	active  sync.WaitGroup
	once    sync.Once
	journal journal

	mu    sync.Mutex
	rules []Rule
	used  []int // by rule
}

// Start starts a server that the caller must Close. It panics when it cannot listen, as httptest does:
// only tests and load runs use it.
func Start(options Options) *Server {
	server, err := Listen(options)
	if err != nil {
		panic(err)
	}
	return server
}

// Listen is Start for programs: it returns the error when the address is taken.
func Listen(options Options) (*Server, error) {
	if options.Addr == "" {
		options.Addr = "127.0.0.1:0"
	}
	if options.Default.isZero() {
		options.Default.Text = "Hello from the fake model."
	}
	listener, err := net.Listen("tcp", options.Addr)
	if err != nil {
		return nil, fmt.Errorf("fake model server: %w", err)
	}
	s := &Server{
		URL:     "http://" + listener.Addr().String(),
		options: options,
		served:  make(chan struct{}),
		closing: make(chan struct{}),
		gate:    make(chan struct{}, maxReleased),
	}
	s.SetRules(options.Rules...)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.handle(openAI{}))
	mux.HandleFunc("POST /v1/messages", s.handle(anthropic{}))
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		// Serve always returns an error; after Close it is ErrServerClosed, before it nobody is there
		// to be told, and the clients see it.
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			_ = listener.Close()
		}
	}()
	return s, nil
}

func (r Reply) isZero() bool {
	return r.Text == "" && r.Words == 0 && len(r.ToolCalls) == 0 && r.Failure == nil && !r.Hang && r.StreamError == "" && r.Wire == nil
}

// OpenAIURL is the base URL for OpenAI clients.
func (s *Server) OpenAIURL() string { return s.URL + "/v1" }

// Close ends all answers, also hanging ones, and returns when every goroutine of the server is gone.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		_ = s.http.Close() // the connections are gone either way
		<-s.served
		s.active.Wait()
	})
}

// SetRules replaces the rules; requests that are being answered are not touched.
func (s *Server) SetRules(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append([]Rule(nil), rules...)
	s.used = make([]int, len(rules))
}

// Release lets n chunks of gated replies pass, whichever asks first. Chunks may be released ahead.
func (s *Server) Release(n int) {
	for range n {
		select {
		case s.gate <- struct{}{}:
		case <-s.closing:
			return
		}
	}
}

// choose gives the reply to a request, the n-th of this server.
func (s *Server) choose(q request, n int) Reply {
	if reply, struck := s.options.Chaos.strikes(uint64(max(n, 0))); struck {
		return reply
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, rule := range s.rules {
		if (rule.Times > 0 && s.used[i] >= rule.Times) || !rule.matches(q) {
			continue
		}
		s.used[i]++
		return rule.Reply
	}
	return s.options.Default
}
