package connectortest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// checkFailure: nil means that the event need not come again.
func checkFailure(t testing.TB, s Subject) {
	if len(s.Broken) == 0 && s.Stalled != nil {
		t.Errorf("a connector with another side can fail: Subject.Broken is missing")
	}
	for world, broken := range s.Broken {
		r := broken(t)
		r.each(t, func(e connectors.Event) bool {
			if !s.leaves(e) {
				return true
			}
			switch o := r.tell(t.Context(), e, patience); {
			case o.hung:
				t.Errorf("%s had not ended after %s in the world %q", e.Type, patience, world)
			case o.err == nil && o.panicked == nil:
				t.Errorf("%s says that it succeeded in the world %q: the event is lost", e.Type, world)
			default:
				return true
			}
			return false
		})
	}
}

// checkSecrets: errors are logged, kept in Temporal's histories and shown to operators.
func checkSecrets(t testing.TB, s Subject) {
	look := func(r Rig, e connectors.Event, situation string) {
		ctx, stop := context.WithTimeout(t.Context(), deadline)
		defer stop()
		o := r.tell(ctx, e, patience)
		if o.panicked != nil {
			o.err = errors.Join(o.err, fmt.Errorf("panicked: %v", o.panicked))
		}
		for _, secret := range s.Secrets {
			if form := shows(o.err, secret); form != "" {
				t.Errorf("%s: the error of %s holds a secret (%s)", situation, e.Type, form)
			}
		}
	}
	r := s.New(t)
	r.each(t, func(e connectors.Event) bool {
		for name, data := range odd() {
			e.Data = data
			look(r, e, "data that is "+name)
		}
		return true
	})
	worlds := map[string]func(testing.TB) Rig{}
	for world, broken := range s.Broken {
		worlds["the world "+world] = broken
	}
	if s.Stalled != nil {
		worlds["another side that does not answer"] = s.Stalled
	}
	if s.Slow != nil {
		worlds["another side that goes on answering"] = s.Slow
	}
	for world, open := range worlds {
		r := open(t)
		r.each(t, func(e connectors.Event) bool {
			look(r, e, world)
			return true
		})
	}
}

// shows says in which form the error holds the secret, "" if in none. The error and all that it wraps
// are looked at: who logs a cause logs its text.
func shows(err error, secret string) string {
	if err == nil || secret == "" {
		return ""
	}
	forms := map[string]string{
		"as it is":        secret,
		"in base64":       base64.StdEncoding.EncodeToString([]byte(secret)),
		"in base64url":    base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"in hexadecimal":  hex.EncodeToString([]byte(secret)),
		"query-escaped":   url.QueryEscape(secret),
		"path-escaped":    url.PathEscape(secret),
		"quoted":          strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"as a basic auth": base64.StdEncoding.EncodeToString([]byte(":" + secret)),
	}
	for _, text := range texts(err) {
		for form, wanted := range forms {
			if strings.Contains(text, wanted) {
				return form
			}
		}
	}
	return ""
}

func texts(err error) []string {
	if err == nil {
		return nil
	}
	all := []string{err.Error(), fmt.Sprintf("%+v", err)}
	switch wrapper := err.(type) { //nolint:errorlint // each layer is to be seen, not the first that fits
	case interface{ Unwrap() error }:
		all = append(all, texts(wrapper.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			all = append(all, texts(inner)...)
		}
	}
	return all
}

// oddEvents are events that no run raises, by what is odd about them.
func (r Rig) oddEvents(t testing.TB, typ event.Type) map[string]connectors.Event {
	t.Helper()
	all := map[string]connectors.Event{}
	for name, data := range odd() {
		e := r.single(t, typ)
		e.Data = data
		all["data that is "+name] = e
	}
	bare := r.single(t, typ)
	bare.WorkspaceID, bare.ThreadID, bare.Metadata, bare.RequestID, bare.Actor = nil, nil, nil, "", ""
	all["nothing that may be absent"] = bare
	early := r.single(t, typ)
	early.Seq, early.At = -1, clock.Time{}
	all["a negative position and no time"] = early
	return all
}

// checkPanics calls the methods themselves: the registry contains a panic, but what the connector held
// when it panicked it holds for ever.
func checkPanics(t testing.TB, s Subject) {
	r := s.New(t)
	for _, typ := range hooked() {
		for name, e := range r.oddEvents(t, typ) {
			if !wants(r.Connector, e) {
				continue
			}
			o := r.tell(t.Context(), e, grace)
			if o.hung {
				return // garbage is the check for that
			}
			if o.panicked != nil {
				t.Errorf("%s with %s panicked: %v", typ, name, o.panicked)
			}
		}
	}
}

// checkGarbage: an odd event is refused or taken, in time, and harms no later one.
func checkGarbage(t testing.TB, s Subject) {
	r := s.New(t)
	for _, typ := range hooked() {
		for name, e := range r.oddEvents(t, typ) {
			if wants(r.Connector, e) && r.tell(t.Context(), e, patience).hung {
				t.Errorf("%s with %s had not ended after %s", typ, name, patience)
				return
			}
		}
		e := r.single(t, typ)
		if wants(r.Connector, e) && r.tell(t.Context(), e, patience).hung {
			t.Errorf("a good %s after odd ones had not ended after %s", typ, patience)
			return
		}
	}
	for _, e := range r.story(t, event.RunCompleted) {
		if wants(r.Connector, e) && !r.well(t, e) {
			t.Errorf("odd events had been told before")
			return
		}
	}
}
