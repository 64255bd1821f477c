// Package dashboards defines what is drawn of the metrics: the panels of a tenant, which the API serves to a web
// console, and the dashboards of an operator, of which tests/dashboards makes Grafana's JSON.
//
// It knows neither Grafana's SDK nor a query engine. Expressions are PromQL with variables in Grafana's way:
//
//	$tenant           the tenant; in the panels of a tenant always as tenant_id="$tenant"
//	$workspace        the workspace; lari_runs_active is the only metric that knows it
//	$namespace        Temporal's namespace, as the SDK's metrics spell it
//	$__rate_interval  the window of rates
//
// Of fills in those of a tenant's panels. Tests parse every expression and look up every metric and label in the
// catalogue of telemetry or, for the names of others, in what a running process exports.
package dashboards
