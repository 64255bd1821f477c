package fakellm

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Wire is an answer byte by byte, as a server was seen to send it.
type Wire struct {
	Type string   // content type; empty: text/event-stream
	Body []string // sent one after the other, each flushed
	// Then is what follows the body.
	Then Then
	// Heartbeat is sent again and again with ThenHeartbeats.
	Heartbeat string
}

// Then is what follows the body of a Wire.
type Then int

// What can follow a body.
const (
	ThenEnd        Then = iota // the answer ends properly
	ThenCut                    // the connection breaks
	ThenSilence                // nothing, until the client leaves
	ThenHeartbeats             // only heartbeats, until the client leaves
)

// heartbeatEvery is the time between two heartbeats.
const heartbeatEvery = 5 * time.Millisecond

// play sends a Wire.
func (s *Server) play(ctx context.Context, w http.ResponseWriter, wire Wire) error {
	kind := wire.Type
	if kind == "" {
		kind = "text/event-stream"
	}
	w.Header().Set("Content-Type", kind)
	flush := http.NewResponseController(w).Flush
	for _, piece := range wire.Body {
		if err := send(ctx, w, flush, []string{piece}); err != nil {
			return err
		}
	}
	switch wire.Then {
	case ThenCut:
		return errCut
	case ThenSilence:
		_ = flush() // the headers, if there was no body: a client that left is noticed below
		return s.pause(ctx, 0, true)
	case ThenHeartbeats:
		for {
			if err := s.pause(ctx, heartbeatEvery, false); err != nil {
				return err
			}
			if _, err := io.WriteString(w, wire.Heartbeat); err != nil || flush() != nil {
				return errLeft
			}
		}
	case ThenEnd:
	}
	return nil
}
