package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// maxEvent bounds one event of a provider, in bytes. Tool calls may come whole in one.
	maxEvent = 8 << 20
	// maxStray bounds what is kept of lines that are no part of an event stream.
	maxStray = 64 << 10
)

var errLongEvent = errors.New("an event of the stream is longer than 8 MiB")

// Event is one server-sent event.
type Event struct {
	Type string // of the "event" field; "" for none
	Data []byte // valid until the next call of next
}

// eventReader reads server-sent events (WHATWG HTML §9.2.6). It differs from the standard in one
// point: an event that lacks only its blank line before the end of the stream counts, because
// gateways leave that line out and the answer before it is paid for.
type eventReader struct {
	in     *bufio.Reader
	skipLF bool // the last line ended in CR: an LF that follows belongs to it
	begun  bool // the first line, which may carry a byte order mark, was read
	data   []byte
	line   []byte
	stray  []byte // lines that are no field: some gateways write a bare JSON error into the stream
	err    error  // why the stream ended; io.EOF when it ended properly
}

func newEventReader(body io.Reader) *eventReader {
	return &eventReader{in: bufio.NewReaderSize(body, 16<<10)}
}

// next returns the next event that has data; false when the stream has ended, see err.
func (r *eventReader) next() (Event, bool) {
	if r.err != nil {
		return Event{}, false
	}
	kind, started := "", false
	r.data = r.data[:0]
	for {
		line, err := r.readLine()
		if err != nil {
			r.err = err
			if len(line) > 0 {
				kind, started = r.field(line, kind, started)
			}
			return Event{Type: kind, Data: r.data}, started && r.isWhole(r.data)
		}
		if len(line) > 0 {
			kind, started = r.field(line, kind, started)
		} else if started {
			return Event{Type: kind, Data: r.data}, true
		} else {
			kind = ""
		}
		if len(r.data) > maxEvent {
			r.err = errLongEvent
			return Event{}, false
		}
	}
}

// isWhole reports whether an event without its blank line can be taken: after a broken connection, or
// when its JSON is not complete, it was cut.
func (r *eventReader) isWhole(data []byte) bool {
	if isJSON(data) || isDone(data) {
		return true
	}
	return errors.Is(r.err, io.EOF) && !bytes.HasPrefix(data, []byte("{")) && !bytes.HasPrefix(data, []byte("["))
}

// field takes one line of an event; started is set once there was data.
func (r *eventReader) field(line []byte, kind string, started bool) (string, bool) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "", "id", "retry": // "" is a comment
	case "event":
		return string(value), started
	case "data":
		if started {
			r.data = append(r.data, '\n')
		}
		r.data = append(r.data, value...)
		return kind, true
	default:
		if len(r.stray) < maxStray {
			r.stray = append(append(r.stray, line...), '\n')
		}
	}
	return kind, started
}

// readLine returns the next line without its end, which is CR LF, LF or CR. A CR ends its line at
// once: whether an LF follows is seen with the next line, which may be long in coming.
func (r *eventReader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return r.trimMark(), err
		}
		if c == '\n' && r.skipLF {
			r.skipLF = false
			continue
		}
		r.skipLF = c == '\r'
		if c == '\r' || c == '\n' {
			return r.trimMark(), nil
		}
		if r.line = append(r.line, c); len(r.line) > maxEvent {
			return nil, errLongEvent
		}
	}
}

// trimMark removes the byte order mark that may stand before the first line.
func (r *eventReader) trimMark() []byte {
	if !r.begun {
		r.begun = true
		r.line = bytes.TrimPrefix(r.line, []byte("\xEF\xBB\xBF"))
	}
	return r.line
}

// isDone reports whether data is OpenAI's word for the end, which gateways of other formats use too.
func isDone(data []byte) bool {
	return len(data) >= 6 && bytes.EqualFold(data[:6], []byte("[DONE]"))
}
