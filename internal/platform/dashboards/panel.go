package dashboards

// Kind is how a panel shows its queries.
type Kind string

// The kinds of panels.
const (
	Timeseries Kind = "timeseries" // a line each
	Stat       Kind = "stat"       // one number each, of now
	Table      Kind = "table"      // a column each; a row for each set of labels
)

// Unit is what the numbers of a panel are.
type Unit string

// The units. A share is from 0 to 1.
const (
	Seconds           Unit = "seconds"
	Share             Unit = "share"
	RequestsPerSecond Unit = "requests_per_second"
	EventsPerSecond   Unit = "events_per_second"
	PerSecond         Unit = "per_second"
	RunsPerHour       Unit = "runs_per_hour"
	TokensPerHour     Unit = "tokens_per_hour" //nolint:gosec // G101: tokens of models
	Tokens            Unit = "tokens"
	USDPerHour        Unit = "usd_per_hour"
	USD               Unit = "usd"
	Bytes             Unit = "bytes"
	Count             Unit = "count"
)

// Text is words for people, in English and in Bahasa Indonesia. Those of operators are English only.
type Text struct{ English, Indonesian string }

// Level is how bad it is to pass a threshold.
type Level string

// The levels.
const (
	Warning  Level = "warning"
	Critical Level = "critical"
)

// Threshold is a value from which on a panel looks bad or, with Below, under which it does; no panel has both kinds,
// and none of a tenant's is Below.
type Threshold struct {
	Level Level
	Value float64
	Below bool
}

// Panel is one drawing.
type Panel struct {
	ID          string // unique in its dashboard, and stable: consoles keep it
	Group       Group  // of a tenant's panel
	Title       Text
	Description Text
	Unit        Unit // of queries that name none
	Kind        Kind
	Thresholds  []Threshold // the mildest first
	Queries     []Query
	Stacked     bool // the lines add up to a whole
	Links       []Link
	Width       int // in 24ths of a dashboard; zero: what suits the kind
}

// Query is one line, number or column of a panel; with Legend {{label}}, one for each value of the label.
type Query struct {
	ID     string
	Legend string
	// PromQL is empty for what no metric of a tenant tells.
	PromQL string
	// Instant is for expressions over a fixed span: asked for the end of the time range alone.
	Instant bool
	Unit    Unit    // empty: the panel's
	Source  *Source // nil: Lari does not answer it itself
}

// UnitIn gives the unit of the query's numbers in the panel.
func (q Query) UnitIn(p Panel) Unit {
	if q.Unit != "" {
		return q.Unit
	}
	return p.Unit
}

// Link leads from a point or a row of a panel to where it can be looked into.
type Link string

// The links. Their labels have to be in the panel's queries.
const (
	ToTenant   Link = "tenant"   // the dashboard of the label tenant_id
	ToRun      Link = "run"      // the console's page of the label run_id
	ToWorkflow Link = "workflow" // the workflow of the labels tenant_id and run_id in Temporal's UI
)

// Dashboard is a page of panels for operators.
type Dashboard struct {
	UID         string // stable: links and bookmarks keep it
	File        string // name of the file, without its end
	Title       string
	Description string
	Rows        []Row
	// OneTenant is for a dashboard of which every panel is about the chosen tenant alone.
	OneTenant bool
}

// Row is panels under a heading.
type Row struct {
	Title  string
	Panels []Panel
}

// All gives every dashboard, in the order of reading.
func All() []Dashboard {
	return []Dashboard{overview(), tenantDashboard(), runs(), modelCost(), connectors(), streams(), temporal()}
}

func english(s string) Text { return Text{English: s} }
