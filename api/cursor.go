package api

import (
	"errors"
	"strconv"
)

// Position is a place in a log: a whole number, 0 for the beginning.
type Position int64

// Noun names the values of the type in messages.
func (*Position) Noun() string { return "a whole number from 0 to 9223372036854775807" }

// UnmarshalText reads decimal digits and nothing else.
func (p *Position) UnmarshalText(text []byte) error {
	for _, c := range text {
		if c < '0' || c > '9' {
			return errors.New("not a whole number")
		}
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	*p = Position(n)
	return err
}

// Resume are the inputs of a route that streams a log; embed it in the route's input.
type Resume struct {
	After       *Position `query:"after" description:"Send what comes after this position; 0 is the beginning." minimum:"0"`
	LastEventID *Position `header:"Last-Event-ID" description:"Sent by EventSource when it connects again; wins over after." minimum:"0"`
}

// Position gives the place to go on from. The header wins: an EventSource that connects again repeats
// the URL it was made with, so after is then older than what it has seen.
func (r Resume) Position() int64 {
	switch {
	case r.LastEventID != nil:
		return int64(*r.LastEventID)
	case r.After != nil:
		return int64(*r.After)
	}
	return 0
}
