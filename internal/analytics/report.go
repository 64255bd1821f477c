package analytics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/scope"
)

// MaxReports is how many reports a tenant may save.
const MaxReports = 200

// Report is a question that a tenant saved.
type Report struct {
	ID        uuid.UUID  `json:"id" required:"true"`
	Name      string     `json:"name" required:"true" example:"Tokens by agent"`
	Kind      Kind       `json:"kind" required:"true" enum:"usage,runs,latency"`
	Query     Query      `json:"query" required:"true"`
	CreatedBy string     `json:"created_by" required:"true"`
	CreatedAt clock.Time `json:"created_at" required:"true"`
	UpdatedAt clock.Time `json:"updated_at" required:"true"`
}

// Location is where the report is found.
func (r Report) Location() string { return "/v1/analytics/reports/" + r.ID.String() }

// NewReport is a question to be saved.
type NewReport struct {
	ID    uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Name  string    `json:"name" validate:"required,max=100" description:"Unique in the tenant." example:"Tokens by agent"`
	Kind  Kind      `json:"kind" validate:"required,oneof=usage runs latency" description:"What it is about."`
	Query Query     `json:"query,omitempty" description:"The question. Without from it moves with the time."`
}

// ReportUpdate is a change of a report; what is absent stays.
type ReportUpdate struct {
	Name  *string `json:"name,omitempty" validate:"omitempty,min=1,max=100"`
	Query *Query  `json:"query,omitempty" description:"Replaces the whole question."`
}

// Result is what a report says now: one of the three, by its kind.
type Result struct {
	Report  Report   `json:"report" required:"true"`
	Usage   *Usage   `json:"usage" required:"true"`
	Runs    *Runs    `json:"runs" required:"true"`
	Latency *Latency `json:"latency" required:"true"`
}

// checkReport refuses a question that could not be answered now.
func checkReport(name string, kind Kind, q Query) error {
	if strings.TrimSpace(name) != name || name == "" {
		return fault.InvalidField("name", "trimmed", "must not be blank, nor begin or end with a space")
	}
	_, err := q.plan(kind, kind.dimensions(), time.Now())
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) == 0 {
		return err
	}
	return fault.InvalidField("query."+f.Fields[0].Field, f.Fields[0].Rule, "%s", f.Fields[0].Message)
}

// CreateReport saves a question. For an id that is known it gives the report that exists. A name that is taken, or
// more than MaxReports, are fault.Conflict.
func (s *Service) CreateReport(ctx context.Context, n NewReport) (Report, error) {
	if err := checkReport(n.Name, n.Kind, n.Query); err != nil {
		return Report{}, err
	}
	if n.ID == uuid.Nil {
		n.ID = uuid.Must(uuid.NewV7())
	}
	r := Report{ID: n.ID, Name: n.Name, Kind: n.Kind, Query: n.Query, CreatedBy: scope.From(ctx).Actor, CreatedAt: clock.Now()}
	err := s.db.Tx(ctx, func(ctx context.Context) error {
		created, others, err := s.store.insertReport(ctx, scope.Tenant(ctx), r)
		if err == nil && created && others >= MaxReports {
			err = fault.New(fault.Conflict, "The tenant has %d reports, which is the limit: delete one first.", others)
		}
		return err
	})
	if err != nil {
		return Report{}, err
	}
	return s.store.findReport(ctx, n.ID)
}

// FindReport gives a report; fault.NotFound for none.
func (s *Service) FindReport(ctx context.Context, id uuid.UUID) (Report, error) {
	return s.store.findReport(ctx, id)
}

// FindReports lists reports, the newest first.
func (s *Service) FindReports(ctx context.Context, p page.Request) (page.Page[Report], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Report]{}, err
	}
	found, err := s.store.listReports(ctx, before, limit+1)
	return page.Of(found, limit, func(r Report) string { return r.ID.String() }), err
}

// UpdateReport changes a report. Its kind stays.
func (s *Service) UpdateReport(ctx context.Context, id uuid.UUID, u ReportUpdate) (r Report, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		if r, err = s.store.lockReport(ctx, id); err != nil {
			return err
		}
		if u.Name != nil {
			r.Name = *u.Name
		}
		if u.Query != nil {
			r.Query = *u.Query
		}
		if err := checkReport(r.Name, r.Kind, r.Query); err != nil {
			return err
		}
		r.UpdatedAt = clock.Now()
		return s.store.updateReport(ctx, r)
	})
	return r, err
}

// DeleteReport forgets a report; fault.NotFound for none.
func (s *Service) DeleteReport(ctx context.Context, id uuid.UUID) error {
	return s.store.deleteReport(ctx, id)
}

// RunReport asks a saved question.
func (s *Service) RunReport(ctx context.Context, id uuid.UUID) (Result, error) {
	report, err := s.store.findReport(ctx, id)
	if err != nil {
		return Result{}, err
	}
	result := Result{Report: report}
	switch report.Kind {
	case KindUsage:
		usage, err := s.Usage(ctx, report.Query)
		result.Usage = &usage
		return result, err
	case KindRuns:
		runs, err := s.Runs(ctx, report.Query)
		result.Runs = &runs
		return result, err
	case KindLatency:
		latency, err := s.Latency(ctx, report.Query)
		result.Latency = &latency
		return result, err
	}
	return Result{}, fault.New(fault.Internal, "a report of the kind %s", report.Kind)
}
