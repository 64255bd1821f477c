package audit

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// Entry is a fact for the trail; the tenant is the context's. Texts are cut to MaxText bytes and lose
// what does not print, so that a row stands on one line wherever it is shown.
type Entry struct {
	Key          string     // names the fact: the same one told twice is one row; "": it is told once
	At           clock.Time // when it happened; zero: now
	Actor        string     // a user's or key's id, or "system"
	Action       string
	ResourceType string
	ResourceID   string
	Outcome      string
	RequestID    string
	ClientIP     string          // "" when no client is known
	Data         json.RawMessage // an object; empty: {}
}

// MaxText bounds each text of an entry, in bytes.
const MaxText = 512

// Outcomes of calls.
const (
	Success = "success" // it was done
	Refused = "refused" // nothing was changed
	Failure = "failure" // it broke: something may have been changed
)

// Call is a request that asked for a change.
type Call struct {
	At           clock.Time
	Actor        string
	Operation    string // the route's operation id
	Method       string
	Route        string // the path's template
	ResourceType string
	ResourceID   string // "" when there is none, or none yet
	RequestID    string
	ClientIP     netip.Addr
	Outcome      string
	Status       int
	Code         fault.Code // why it was not done; "" when it was
	Replayed     bool       // answered as an earlier request with the same Idempotency-Key
}

type callData struct {
	Method   string     `json:"method"`
	Route    string     `json:"route"`
	Status   int        `json:"status"`
	Code     fault.Code `json:"code,omitempty"`
	Replayed bool       `json:"replayed,omitempty"`
}

func (c Call) entry() (Entry, error) {
	data, err := encode(callData{c.Method, c.Route, c.Status, c.Code, c.Replayed})
	e := Entry{
		At: c.At, Actor: c.Actor, Action: c.Operation, ResourceType: c.ResourceType, ResourceID: c.ResourceID,
		Outcome: c.Outcome, RequestID: c.RequestID, Data: data,
	}
	if c.ClientIP.IsValid() {
		e.ClientIP = c.ClientIP.String()
	}
	return e, err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// normal gives the entry the form in which it is kept. Data that is not a JSON object is Invalid.
func (e Entry) normal(id uuid.UUID) (Entry, error) {
	if e.At.IsZero() {
		e.At = clock.Now()
	}
	if e.Key == "" {
		e.Key = id.String()
	}
	for _, text := range []*string{
		&e.Key, &e.Actor, &e.Action, &e.ResourceType, &e.ResourceID, &e.Outcome, &e.RequestID, &e.ClientIP,
	} {
		*text = clean(*text)
	}
	if len(e.Data) == 0 {
		e.Data = json.RawMessage("{}")
		return e, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, e.Data); err != nil || b.Len() == 0 || b.Bytes()[0] != '{' {
		return e, fault.Wrap(err, fault.Invalid, "The data of an audit entry must be a JSON object.")
	}
	e.Data = json.RawMessage(storable.Text(b.String())) // the column is json: it keeps escapes as they are
	return e, nil
}

func clean(text string) string {
	plain := len(text) <= MaxText
	for i := 0; plain && i < len(text); i++ {
		plain = text[i] >= ' ' && text[i] < 0x7f
	}
	if plain {
		return text
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
	return storable.Truncate(text, MaxText)
}
