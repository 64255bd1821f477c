package dashboards

import "github.com/larirun/lari/internal/platform/auth"

// Source is where Lari itself gives the figures of a query: a GET, and where in its answer they are.
type Source struct {
	Operation  string // of the API's description
	Path       string // may hold {tenant_id}
	Permission auth.Permission
	Parameters map[string][]string
	// Rows, Time, Value and the values of Labels are JSON Pointers (RFC 6901). With Rows, the others are within one
	// of the rows: the items of an array or the members of an object, whose names are the values of the label Key.
	// Without Time the figures are of now; without Value each row counts as one.
	Rows, Time, Value string
	Key               string
	Labels            map[string]string
}

// ofWindow is a figure of the process's sliding window.
func ofWindow(value string) *Source {
	return &Source{Operation: "getQuantiles", Path: "/v1/metrics/quantiles", Permission: auth.AnalyticsRead, Value: value}
}

// windowQuantiles gives the quantiles of a part of the same answer.
func windowQuantiles(part string) func(q string) *Source {
	return func(q string) *Source { return ofWindow(part + "/" + q + "_seconds") }
}

func ofRoutes(value string) *Source {
	s := ofWindow(value)
	s.Rows, s.Labels = "/routes", map[string]string{"route": "/route", "method": "/method"}
	return s
}

// hourly is a figure of each of the last 24 hours.
func hourly(operation, path, value string) *Source {
	return &Source{
		Operation: operation, Path: path, Permission: auth.AnalyticsRead,
		Parameters: map[string][]string{"bucket": {"hour"}, "last": {"24h"}}, Rows: "/rows", Time: "/start", Value: value,
	}
}

// daily is one figure of the last 24 hours.
func daily(operation, path, value string) *Source {
	return &Source{
		Operation: operation, Path: path, Permission: auth.AnalyticsRead,
		Parameters: map[string][]string{"bucket": {"total"}, "last": {"24h"}}, Value: value,
	}
}

const (
	usagePath, usageOperation = "/v1/analytics/usage", "getUsage"
	runsPath, runsOperation   = "/v1/analytics/runs", "getRunCounts"
)

func ofQuotas(value string) *Source {
	return &Source{
		Operation: "getQuotas", Path: "/v1/tenants/{tenant_id}/quotas", Permission: auth.TenantRead, Rows: "/usage", Key: "quota", Value: value,
	}
}
