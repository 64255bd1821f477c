package contract

import (
	"bufio"
	"bytes"
	"io"
	"strings"
)

// Events reads server-sent events as the HTML Standard §9.2.6 has clients read them.
type Events struct{ lines *bufio.Reader }

// NewEvents reads from the body of an answer.
func NewEvents(r io.Reader) *Events { return &Events{bufio.NewReader(r)} }

// Next gives the next event that has data; io.EOF when the stream has ended.
func (s *Events) Next() (Event, error) {
	var e Event
	var data bytes.Buffer
	has := false
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return Event{}, err
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" {
			if !has {
				e = Event{}
				continue
			}
			e.Data = bytes.TrimSuffix(data.Bytes(), []byte("\n"))
			return e, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.ID = value
		case "event":
			e.Type = value
		case "data":
			has = true
			data.WriteString(value + "\n")
		}
	}
}
