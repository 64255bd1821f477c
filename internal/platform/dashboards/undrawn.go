package dashboards

// Undrawn gives the metrics of the catalogue that no dashboard draws, each with the reason.
func Undrawn() map[string]string {
	const perProcess = "is of one process: dashboards take the same quantile of all processes from the histogram"
	return map[string]string{
		"lari_http_request_duration_quantile_seconds":   perProcess,
		"lari_run_duration_quantile_seconds":            perProcess,
		"lari_run_queue_wait_quantile_seconds":          perProcess,
		"lari_run_time_to_first_token_quantile_seconds": perProcess,
	}
}
