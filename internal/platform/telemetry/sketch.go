package telemetry

import "strings"

// sketch counts how often each of many values was seen in little memory, after the Space-Saving algorithm
// (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams,
// 2005): a value that finds no room takes the place and the count of the rarest. What that count owes to
// others is known, so a value's own sightings are never overrated.
type sketch struct {
	capacity int
	heap     []sighting // the rarest first
	at       map[string]int
}

type sighting struct {
	value string
	count uint32
	owed  uint32 // of the count, what may have been others
}

func newSketch(capacity int) *sketch {
	return &sketch{capacity: capacity, heap: make([]sighting, 0, capacity), at: make(map[string]int, capacity)}
}

// add counts a sighting; it gives how often the value was seen at least.
func (s *sketch) add(value string) uint32 {
	i, known := s.at[value]
	switch {
	case known:
		s.heap[i].count++
	case len(s.heap) < s.capacity:
		i = len(s.heap)
		s.heap = append(s.heap, sighting{value: strings.Clone(value), count: 1})
		s.at[s.heap[i].value] = i
		s.up(i)
		return 1
	default:
		i = 0
		rarest := &s.heap[0]
		delete(s.at, rarest.value)
		*rarest = sighting{value: strings.Clone(value), count: rarest.count + 1, owed: rarest.count}
		s.at[rarest.value] = 0
	}
	seen := s.heap[i].count - s.heap[i].owed
	s.down(i)
	return seen
}

// forget begins anew.
func (s *sketch) forget() {
	clear(s.at)
	clear(s.heap)
	s.heap = s.heap[:0]
}

func (s *sketch) up(i int) {
	for i > 0 && s.heap[i].count < s.heap[(i-1)/2].count {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (s *sketch) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.heap); child++ {
			if s.heap[child].count < s.heap[least].count {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
	}
}

func (s *sketch) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.at[s.heap[i].value], s.at[s.heap[j].value] = i, j
}
