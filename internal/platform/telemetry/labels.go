package telemetry

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// LabelOther stands for all values that came after the bound was reached, or cannot be a label.
	LabelOther = "_other"
	// LabelNone stands for the absent value, such as the tenant of a caller that is not known.
	LabelNone = "_none"

	maxLabelBytes = 200
)

// labels bounds the values of one label: max of them have their name, and keep it for the life of the
// process; the others share LabelOther. Series therefore never change their meaning. The first to come
// are taken, or, with a gate, those that it admits. It is safe for concurrent use, and free of
// allocations for a value that it has seen.
type labels struct {
	max  int
	gate *gate // nil: anybody may come

	mu    sync.RWMutex
	known map[string]string
}

func newLabels(limit int) *labels {
	return &labels{max: limit, known: make(map[string]string)}
}

// label gives the label value that stands for value. The result is a copy: web frameworks reuse the
// memory of what they hand out.
func (l *labels) label(value string) string {
	if value == "" {
		return LabelNone
	}
	l.mu.RLock()
	label, found := l.known[value]
	taken := len(l.known)
	l.mu.RUnlock()
	switch {
	case found:
		return label
	case taken >= l.max || len(value) > maxLabelBytes || !utf8.ValidString(value): // the registry panics over invalid UTF-8
		return LabelOther
	case l.gate != nil:
		return l.admit(value, l.gate.room(value, taken))
	default:
		return l.admit(value, l.max)
	}
}

// find gives the label of a value that has one, without counting it as activity.
func (l *labels) find(value string) (label string, found bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	label, found = l.known[value]
	return label, found
}

// all gives the values that have their name.
func (l *labels) all() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Sorted(maps.Keys(l.known))
}

func (l *labels) admit(value string, room int) string {
	if room == 0 {
		return LabelOther
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if label, found := l.known[value]; found {
		return label
	}
	if len(l.known) >= room {
		return LabelOther
	}
	value = strings.Clone(value)
	l.known[value] = value
	return value
}
