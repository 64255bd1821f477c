package api

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
)

// parseEvents reads a stream as the HTML Standard §9.2.6 tells a browser to, and knows nothing of how
// frames are written.
func parseEvents(stream string) (events []Frame, retry string) {
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	var now Frame
	data, lastID := []string(nil), int64(0)
	for line := range strings.SplitSeq(stream, "\n") {
		if line == "" {
			if data != nil {
				now.ID, now.Data = lastID, []byte(strings.Join(data, "\n"))
				events = append(events, now)
			}
			now, data = Frame{}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			data = append(data, value)
		case "event":
			now.Event = value
		case "id":
			lastID, _ = strconv.ParseInt(value, 10, 64)
		case "retry":
			retry = value
		}
	}
	return events, retry
}

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		frame Frame
		want  string
	}{
		{Frame{ID: 7, Event: "run_started", Data: []byte(`{"a":1}`)}, "id: 7\nevent: run_started\ndata: {\"a\":1}\n\n"},
		{Frame{Data: []byte(`{}`)}, "data: {}\n\n"},
		{Frame{ID: 1, Data: []byte("{\n\"a\":\r\n1}")}, "id: 1\ndata: { \"a\":  1}\n\n"},
	} {
		got, err := appendFrame(nil, c.frame)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v is %q, %v", c.frame, got, err)
		}
	}
	for _, event := range []string{"a\nid: 9", "a b", "Ä", "a\r", "\x00"} {
		if got, err := appendFrame(nil, Frame{Event: event}); !errors.Is(err, errBadEvent) || len(got) > 0 {
			t.Errorf("event %q gives %q, %v", event, got, err)
		}
	}
}

// FuzzFrame: whatever is sent, the client sees exactly that one event.
func FuzzFrame(f *testing.F) {
	f.Add(int64(1), "run_started", []byte(`{"a":1}`))
	f.Add(int64(0), "", []byte("a\nid: 9\nevent: x\n\n"))
	f.Add(int64(5), "x\r\nid: 9", []byte("\r\r\n"))
	f.Fuzz(func(t *testing.T, id int64, event string, data []byte) {
		out, err := appendFrame([]byte(streamPreamble+heartbeatLine), Frame{ID: id, Event: event, Data: data})
		if err != nil {
			return
		}
		got, retry := parseEvents(string(out))
		want := bytes.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return ' '
			}
			return r
		}, bytes.ToValidUTF8(data, []byte("?")))
		if len(got) != 1 || retry != "1000" || got[0].ID != max(id, 0) || got[0].Event != event ||
			!bytes.Equal(bytes.ToValidUTF8(got[0].Data, []byte("?")), want) {
			t.Errorf("sent %d %q %q, the client sees %+v", id, event, data, got)
		}
	})
}
