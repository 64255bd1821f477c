package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

const (
	defaultRefreshInterval = 10 * time.Minute // Supabase lets its JWKS be cached for as long
	defaultRefreshFloor    = 5 * time.Second
	jwksTimeout            = 5 * time.Second
	jwksMaxBytes           = 256 << 10
)

// keySource keeps an issuer's keys fresh. One goroutine fetches: at the interval, after the floor when
// the last fetch failed, and when a token names a key that is not known. A token may ask for a fetch
// but never more often than the floor, so made-up kids cannot turn this process against the issuer.
// Keys once fetched are used for as long as the issuer is unreachable.
type keySource struct {
	url      string
	client   *http.Client
	interval time.Duration
	floor    time.Duration
	log      *slog.Logger
	stop     context.CancelFunc
	done     chan struct{} // closed when the goroutine has ended
	wake     chan struct{} // capacity 1: somebody wants a fetch now

	mu     sync.Mutex
	set    keySet
	err    error         // why the last fetch failed; nil: it did not
	ended  time.Time     // when the last fetch ended
	flight chan struct{} // closed when the fetch that is due or under way ends; nil: none is
}

func startKeySource(c Config) (*keySource, error) {
	u, err := url.Parse(c.JWKSURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fault.InvalidField("jwt.jwks_url", "url", "must be an http or https URL")
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &keySource{
		url:      c.JWKSURL,
		client:   c.HTTPClient,
		interval: c.RefreshInterval,
		floor:    c.RefreshFloor,
		log:      c.Logger,
		stop:     stop,
		done:     make(chan struct{}),
		wake:     make(chan struct{}, 1),
		flight:   make(chan struct{}), // the first fetch is due: early tokens wait for it
	}
	if s.client == nil {
		s.client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	}
	if s.interval == 0 {
		s.interval = defaultRefreshInterval
	}
	if s.floor == 0 {
		s.floor = defaultRefreshFloor
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	go s.run(ctx)
	return s, nil
}

func (s *keySource) close() {
	s.stop()
	<-s.done
}

func (s *keySource) run(ctx context.Context) {
	defer close(s.done)
	for {
		wait := s.interval
		if !s.refresh(ctx) {
			wait = min(s.floor, s.interval)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// refresh fetches once and lets those who wait for it go on. It reports whether it succeeded.
func (s *keySource) refresh(ctx context.Context) bool {
	s.mu.Lock()
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
	select {
	case <-s.wake: // asked for just before the timer fired: this fetch answers it
	default:
	}
	s.mu.Unlock()

	set, err := s.fetch(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.report(ctx, err)
	}
	if err == nil {
		s.set = set
	}
	s.err, s.ended = err, time.Now()
	close(s.flight)
	s.flight = nil
	return err == nil
}

// report logs changes only: an issuer that is down for an hour is two lines. The caller holds the lock.
func (s *keySource) report(ctx context.Context, err error) {
	switch {
	case err != nil && s.err == nil:
		s.log.WarnContext(ctx, "issuer keys cannot be fetched", slog.String("url", s.url), slog.Any("error", err))
	case err == nil && s.err != nil:
		s.log.InfoContext(ctx, "issuer keys can be fetched again", slog.String("url", s.url))
	}
}

func (s *keySource) fetch(ctx context.Context) (keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("JWKS request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("JWKS request: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // read only: nothing is lost when closing fails
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("JWKS request: status %d", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, jwksMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("JWKS answer: %w", err)
	}
	if len(raw) > jwksMaxBytes {
		return nil, errors.New("JWKS answer: too large")
	}
	return parseKeySet(ctx, raw)
}

// find gives the key for a token, after asking the issuer when the key is not known. Unavailable when
// the issuer cannot be asked: the token may well be good, and a 401 would sign its owner out.
func (s *keySource) find(ctx context.Context, kid, alg string) (any, error) {
	key, _, err := s.lookup(kid, alg)
	if errors.Is(err, errUnknownKey) {
		if err := s.awaitFetch(ctx); err != nil {
			return nil, err
		}
		var failed error
		key, failed, err = s.lookup(kid, alg)
		if failed != nil && errors.Is(err, errUnknownKey) {
			return nil, fault.Wrap(failed, fault.Unavailable, "the issuer's keys cannot be fetched to check the token").
				After(max(s.floor, time.Second))
		}
	}
	switch {
	case errors.Is(err, errAmbiguousKey):
		return nil, refuse("the token does not say which key signed it (kid)")
	case errors.Is(err, errOtherKey):
		return nil, refuse("algorithm %s is not the one of the key that the token names", alg)
	case err != nil:
		return nil, refuse("the token's key is not one of the issuer's")
	}
	return key, nil
}

// lookup gives the key and why the last fetch failed, if it did.
func (s *keySource) lookup(kid, alg string) (key any, failed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err = s.set.find(kid, alg)
	return key, s.err, err
}

// awaitFetch waits for the fetch that is due, or asks for one if the last was long enough ago. It
// returns at once when the floor forbids another.
func (s *keySource) awaitFetch(ctx context.Context) error {
	s.mu.Lock()
	if s.flight == nil {
		if time.Since(s.ended) < s.floor {
			s.mu.Unlock()
			return nil
		}
		s.flight = make(chan struct{})
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	flight := s.flight
	s.mu.Unlock()
	select {
	case <-flight:
	case <-s.done:
	case <-ctx.Done():
		code := fault.Cancelled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			code = fault.Timeout
		}
		return fault.Wrap(ctx.Err(), code, "the request ended while the issuer's keys were fetched")
	}
	return nil
}
