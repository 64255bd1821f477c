package fakellm

import (
	"net/http"
	"strings"
	"time"
)

// Turn says at which point of the tool loop a rule applies.
type Turn int

// The points of the tool loop.
const (
	AnyTurn    Turn = iota
	FirstTurn       // the last message is not a tool's answer
	AfterTools      // the last message is a tool's answer
)

// Rule chooses a reply. All conditions that are set must hold.
type Rule struct {
	Contains string // in the text of the last user message
	Model    string // the requested model
	Turn     Turn
	Times    int // at most so many requests; zero: any number
	Reply    Reply
}

// ToolCall is one call that the model asks for.
type ToolCall struct {
	ID        string // empty: one is made
	Name      string
	Arguments string // JSON text, or whatever the test wants
}

// Reply is one answer and how it behaves on the wire. Chunks are counted from 1: each carries a piece
// of text, or one piece of a tool call.
type Reply struct {
	Text      string     // streamed word by word
	Words     int        // used when Text is empty: so many generated words
	PerChunk  int        // words in a chunk; zero: 1
	ToolCalls []ToolCall // streamed after the text
	Think     bool       // with Options.Thoughts: also before an answer without tool calls

	thoughts Thoughts // of the server

	Delay     time.Duration // before each chunk; zero: as fast as the connection takes it
	Gated     bool          // each chunk waits for Release
	Hang      bool          // no byte, not even headers, until the client leaves or the server closes
	HangAfter int           // silent for ever after so many chunks
	CutAfter  int           // the connection breaks after so many chunks
	CutAtEnd  bool          // the connection breaks after the last chunk, before the turn is ended
	Failure   *Failure      // this instead of an answer
	Wire      *Wire         // these bytes instead of an answer
	FailAfter int           // with StreamError: after so many chunks
	// StreamError is an error object sent inside the stream, as JSON: for OpenAI the whole data line,
	// for Anthropic the data of the event "error".
	StreamError string

	FinishReason string // in the words of the wire format; empty: what fits
	Usage        *Usage // empty: counted by the words sent

	// Habits of compatible servers (OpenAI's format only).
	OmitUsage      bool // no usage although it was asked for
	OmitIDs        bool // tool calls without id
	WholeToolCalls bool // each tool call in one piece
	OmitDone       bool // no [DONE] line
}

// Usage is reported at the end, in tokens.
type Usage struct{ Input, Output int }

// Failure is an answer without a stream.
type Failure struct {
	Status int
	Body   string // empty: an error object that fits the status and the format
	Header http.Header
}

// RateLimited is a 429 with Retry-After as given, in seconds or as a date; empty: without.
func RateLimited(retryAfter string) *Failure {
	header := http.Header{}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &Failure{Status: http.StatusTooManyRequests, Header: header}
}

// Chaos makes requests fail by chance, the same ones for the same seed and order of arrival.
type Chaos struct {
	Rate    float64 // share of requests, 0 to 1: 0.1 is one in ten
	Seed    uint64
	Replies []Reply // one of these instead of the scripted reply; empty: a 503
}

func (c Chaos) strikes(n uint64) (Reply, bool) {
	r := mix(c.Seed + n*0x9e3779b97f4a7c15)
	if float64(r>>11)/(1<<53) >= c.Rate {
		return Reply{}, false
	}
	if len(c.Replies) == 0 {
		return Reply{Failure: &Failure{Status: http.StatusServiceUnavailable}}, true
	}
	return c.Replies[mix(r)%uint64(len(c.Replies))], true
}

// mix is the finaliser of splitmix64 (Steele, Lea, Flood 2014): one seed and a counter give every
// request its own draw, whichever goroutine asks first.
func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// matches reports whether the rule fits a request.
func (r Rule) matches(q request) bool {
	switch {
	case r.Contains != "" && !strings.Contains(q.lastUser, r.Contains):
		return false
	case r.Model != "" && r.Model != q.model:
		return false
	case r.Turn == FirstTurn && q.afterTools, r.Turn == AfterTools && !q.afterTools:
		return false
	}
	return true
}

// chunks cuts the reply's text into chunks that together are the text.
func (r Reply) chunks() []string {
	per := max(r.PerChunk, 1)
	text := r.Text
	if text == "" && r.Words > 0 {
		text = strings.TrimSuffix(strings.Repeat("word ", r.Words), " ")
	}
	var out []string
	for text != "" {
		end := 0
		for range per {
			space := strings.IndexByte(text[end:], ' ')
			if space < 0 {
				end = len(text)
				break
			}
			end += space + 1
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}
