package analytics

import (
	"regexp"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // a container without zone files must know the zones too

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Kind is what a question is about.
type Kind string

// The kinds.
const (
	KindUsage   Kind = "usage"   // steps, tokens, cost
	KindRuns    Kind = "runs"    // how many began and how they ended
	KindLatency Kind = "latency" // how long they waited and ran
)

// Dimension is what answers can be grouped by.
type Dimension string

// The dimensions.
const (
	ByTenant    Dimension = "tenant_id" // the platform's own view only
	ByAgent     Dimension = "agent_id"
	ByWorkspace Dimension = "workspace_id"
	ByModel     Dimension = "model" // of usage only
)

// Query is a question. What is absent has a default that depends on the rest (see Answer.From).
type Query struct {
	From        *time.Time  `json:"from,omitempty" description:"Beginning of the span; widened to whole buckets."`
	To          *time.Time  `json:"to,omitempty" description:"End of the span; widened to whole buckets. Default: now."`
	Last        string      `json:"last,omitempty" validate:"max=8" description:"Length of the span in place of from: hours, days or months before its end." example:"30d"`
	Bucket      Bucket      `json:"bucket,omitempty" validate:"omitempty,oneof=hour day month total" description:"Length of a bucket."`
	TimeZone    string      `json:"time_zone,omitempty" validate:"max=64" description:"IANA name of the zone that days and months are of." example:"Asia/Jakarta"`
	GroupBy     []Dimension `json:"group_by,omitempty" validate:"max=3,unique,dive,oneof=agent_id workspace_id model" description:"A row for each of these."`
	AgentID     *uuid.UUID  `json:"agent_id,omitempty" description:"Only of this agent."`
	WorkspaceID *uuid.UUID  `json:"workspace_id,omitempty" description:"Only of this workspace."`
	Model       string      `json:"model,omitempty" validate:"max=200" description:"Only of this model; of usage."`

	tenant *uuid.UUID // of the platform's own view
}

// MaxRows bounds an answer: buckets times groups.
const MaxRows = 10_000

// plan is a question that holds to all rules.
type plan struct {
	Query
	kind  Kind
	zone  *time.Location
	edges []time.Time // of the buckets, in order: one more than there are buckets
}

func (p plan) buckets() int { return len(p.edges) - 1 }

func (p plan) groups(d Dimension) bool { return slices.Contains(p.GroupBy, d) }

// dimensions gives what a kind can be grouped by.
func (k Kind) dimensions() []Dimension {
	if k == KindUsage {
		return []Dimension{ByAgent, ByWorkspace, ByModel}
	}
	return []Dimension{ByAgent, ByWorkspace}
}

// check finds what is wrong with a question whatever the time.
func (q Query) check(kind Kind, dimensions []Dimension) (*time.Location, error) {
	for i, d := range q.GroupBy {
		if !slices.Contains(dimensions, d) {
			return nil, fault.InvalidField("group_by", "oneof", "must not hold %s: %s can be grouped by %v", d, kind, dimensions)
		}
		if slices.Contains(q.GroupBy[:i], d) {
			return nil, fault.InvalidField("group_by", "unique", "must not hold %s twice", d)
		}
	}
	switch {
	case q.Model != "" && kind != KindUsage:
		return nil, fault.InvalidField("model", "excluded", "narrows usage only: a run may use several models")
	case q.From != nil && q.Last != "":
		return nil, fault.InvalidField("last", "excluded_with", "must not be given together with from")
	case q.TimeZone == "":
		return time.UTC, nil
	case q.TimeZone == "Local":
		return nil, unknownZone()
	}
	zone, err := time.LoadLocation(q.TimeZone)
	if err != nil {
		return nil, unknownZone()
	}
	return zone, nil
}

func unknownZone() error {
	return fault.InvalidField("time_zone", "timezone", "must be the IANA name of a time zone, like Asia/Jakarta")
}

// earliest and latest bound spans: zones have whole quarters of an hour between them, and years four digits.
func earliest() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
func latest() time.Time   { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

func (q Query) plan(kind Kind, dimensions []Dimension, now time.Time) (plan, error) {
	zone, err := q.check(kind, dimensions)
	if err != nil {
		return plan{}, err
	}
	p := plan{Query: q, kind: kind, zone: zone}
	to := now
	if q.To != nil {
		to = *q.To
	}
	from, err := q.begin(to.In(zone))
	if err != nil {
		return plan{}, err
	}
	if p.Bucket == "" {
		p.Bucket = fitting(q, to.Sub(from))
	}
	switch {
	case q.Last == "" && q.From == nil:
		from = p.Bucket.usual(to.In(zone))
	case !from.Before(to):
		return plan{}, fault.InvalidField("from", "ltfield", "must be before the end of the span")
	}
	if from.Before(earliest()) {
		return plan{}, fault.InvalidField("from", "min", "must not be before the year 2000")
	}
	if to.After(latest()) {
		return plan{}, fault.InvalidField("to", "max", "must not be after the year 2199")
	}
	if p.edges = p.Bucket.edges(from, to, zone, MaxRows); p.edges == nil {
		return plan{}, fault.InvalidField("bucket", "max", "is too short for the span: that would be more than %d rows. Ask for a longer bucket or a shorter span", MaxRows)
	}
	return p, nil
}

var lastForm = regexp.MustCompile(`^([1-9][0-9]{0,3})(h|d|mo)$`)

// begin gives where the span begins; the zero time: it has no length yet.
func (q Query) begin(to time.Time) (time.Time, error) {
	if q.From != nil {
		return *q.From, nil
	}
	if q.Last == "" {
		return time.Time{}, nil
	}
	m := lastForm.FindStringSubmatch(q.Last)
	if m == nil {
		return time.Time{}, fault.InvalidField("last", "duration", "must be a number of hours, days or months, like 24h, 30d or 12mo")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return time.Time{}, fault.InvalidField("last", "duration", "must be a number of hours, days or months, like 24h, 30d or 12mo")
	}
	switch m[2] {
	case "h":
		return to.Add(-time.Duration(n) * time.Hour), nil
	case "d":
		return to.AddDate(0, 0, -n), nil
	}
	return to.AddDate(0, -n, 0), nil
}

// fitting gives the bucket of a question that names none.
func fitting(q Query, span time.Duration) Bucket {
	switch {
	case q.From == nil && q.Last == "", span <= 49*time.Hour:
		return Hour
	case span <= 100*24*time.Hour:
		return Day
	}
	return Month
}

// span is what an answer says of its question, for those that left something to defaults.
func (p plan) span() Span {
	groups := p.GroupBy
	if groups == nil {
		groups = []Dimension{}
	}
	return Span{
		From: clock.At(p.edges[0]), To: clock.At(p.edges[p.buckets()]), Bucket: p.Bucket, TimeZone: p.zone.String(), GroupBy: groups,
	}
}
