package control

import "context"

// QueueFigures is how a task queue fares, in numbers.
type QueueFigures struct {
	Name    string
	Backlog     // of both kinds of tasks together
	Workers int // processes that ask it for tasks
}

// FindFigures gives those of the queues that could be asked about. For metrics: no caller's request leads here.
func (s *Service) FindFigures(ctx context.Context) []QueueFigures {
	v := s.memory.get(ctx, s.survey)
	var all []QueueFigures
	for _, name := range s.Queues {
		q := v.byName[name]
		if q.err != nil {
			continue
		}
		workers := map[string]bool{}
		for _, p := range q.Pollers {
			if polling(p.LastSeen, v.at) {
				workers[p.Identity] = true
			}
		}
		all = append(all, QueueFigures{Name: name, Workers: len(workers), Backlog: Backlog{
			Tasks:      q.Workflows.Tasks + q.Activities.Tasks,
			OldestWait: max(q.Workflows.OldestWait, q.Activities.OldestWait),
			AddRate:    q.Workflows.AddRate + q.Activities.AddRate, DispatchRate: q.Workflows.DispatchRate + q.Activities.DispatchRate,
		}})
	}
	return all
}
