package dashboards

import "github.com/larirun/lari/internal/platform/auth"

// Group is a part of a tenant's panels.
type Group string

// The groups, in the order in which they are shown.
const (
	GroupRequests   Group = "requests"
	GroupRuns       Group = "runs"
	GroupUsage      Group = "usage"
	GroupQuotas     Group = "quotas"
	GroupConnectors Group = "connectors"
)

const ofTenant = `tenant_id="$tenant"`

// tenantPanels are the panels of a tenant. Every selector has the matcher ofTenant: this is what keeps tenants apart
// for whoever sends the expressions to a Prometheus that knows all of them.
func tenantPanels() []Panel {
	var out []Panel
	for _, group := range [][]Panel{requestPanels(), runPanels(), usagePanels(), quotaPanels(), connectorPanels()} {
		out = append(out, group...)
	}
	return out
}

func requestPanels() []Panel {
	tenant := []string{ofTenant}
	return []Panel{
		{
			ID: "request_rate", Group: GroupRequests, Kind: Timeseries, Unit: RequestsPerSecond, Width: 8,
			Title:       Text{"Throughput", "Laju permintaan"},
			Description: Text{"Requests answered per second.", "Banyaknya permintaan yang dijawab per detik."},
			Queries:     []Query{{ID: "all", Legend: "requests", PromQL: perSecond(requests+"_count", tenant), Source: ofWindow("/http/rate_per_second")}},
		},
		{
			ID: "request_error_rate", Group: GroupRequests, Kind: Timeseries, Unit: Share, Width: 8, Thresholds: errorShares(),
			Title:       Text{"Error rate", "Tingkat galat"},
			Description: Text{"Share of requests answered with a 5xx status.", "Bagian permintaan yang dijawab dengan status 5xx."},
			Queries:     []Query{{ID: "all", Legend: "errors", PromQL: share(requests+"_count", tenant, failedHTTP), Source: ofWindow("/http/error_share")}},
		},
		{
			ID: "request_latency", Group: GroupRequests, Kind: Timeseries, Unit: Seconds, Width: 8, Thresholds: shares(0.5, 2.5),
			Title: Text{"Latency of requests", "Latensi permintaan"},
			Description: Text{
				"How long requests took, to the end of their answer: half of them, 95 % and 99 % took no longer. Streams that stay open count until they end.",
				"Lamanya permintaan sampai jawabannya selesai: separuh, 95 % dan 99 % tidak lebih lama. Aliran yang tetap terbuka dihitung sampai berakhir.",
			},
			Queries: percentiles(requests, tenant, windowQuantiles("/http")),
		},
		{
			ID: "request_routes", Group: GroupRequests, Kind: Table, Unit: Seconds, Width: 24,
			Title: Text{"Routes", "Rute"},
			Description: Text{
				"Rate, errors and duration of each route. A process that counts too many tenants and routes counts further ones as _other.",
				"Laju, galat dan lamanya tiap rute. Proses yang menghitung terlalu banyak penyewa dan rute menghitung selebihnya sebagai _other.",
			},
			Queries: []Query{
				{ID: "rate", Legend: "rate", Unit: RequestsPerSecond, PromQL: perSecond(requests+"_count", tenant, "route", "method"), Source: ofRoutes("/rate_per_second")},
				{ID: "errors", Legend: "errors", Unit: Share, PromQL: share(requests+"_count", tenant, failedHTTP, "route", "method"), Source: ofRoutes("/error_share")},
				{ID: "p50", Legend: "p50", PromQL: quantile("0.5", requests, tenant, "route", "method"), Source: ofRoutes("/p50_seconds")},
				{ID: "p95", Legend: "p95", PromQL: quantile("0.95", requests, tenant, "route", "method"), Source: ofRoutes("/p95_seconds")},
				{ID: "p99", Legend: "p99", PromQL: quantile("0.99", requests, tenant, "route", "method"), Source: ofRoutes("/p99_seconds")},
			},
		},
	}
}

func runPanels() []Panel {
	tenant := []string{ofTenant}
	return []Panel{
		{
			ID: "runs_by_status", Group: GroupRuns, Kind: Timeseries, Unit: RunsPerHour, Width: 8, Stacked: true,
			Title:       Text{"Runs by status", "Run menurut status"},
			Description: Text{"Runs that ended per hour, by how they ended.", "Run yang berakhir per jam, menurut cara berakhirnya."},
			Queries: []Query{
				ended("completed"), ended("failed"), ended("cancelled"), ended("timed_out"),
			},
		},
		{
			ID: "runs_started", Group: GroupRuns, Kind: Timeseries, Unit: RunsPerHour, Width: 8,
			Title:       Text{"Runs started", "Run yang dimulai"},
			Description: Text{"Runs that began to execute per hour.", "Run yang mulai berjalan per jam."},
			Queries: []Query{{
				ID: "started", Legend: "started", PromQL: perHour("lari_runs_started_total", tenant), Source: hourly(runsOperation, runsPath, "/started"),
			}},
		},
		{
			ID: "run_error_rate", Group: GroupRuns, Kind: Timeseries, Unit: Share, Width: 8, Thresholds: shares(0.05, 0.2),
			Title:       Text{"Failed runs", "Run yang gagal"},
			Description: Text{"Share of the runs that ended which failed or ran out of time.", "Bagian dari run yang berakhir yang gagal atau kehabisan waktu."},
			Queries:     []Query{{ID: "all", Legend: "failed", PromQL: share(runsFinished, tenant, failedRuns), Source: ofWindow("/runs/error_share")}},
		},
		{
			ID: "run_duration", Group: GroupRuns, Kind: Timeseries, Unit: Seconds, Width: 6,
			Title:       Text{"Duration of runs", "Lamanya run"},
			Description: Text{"From the creation of a run to its end, waiting included.", "Dari pembuatan run sampai berakhir, termasuk menunggu."},
			Queries:     percentiles(runDuration, tenant, windowQuantiles("/runs")),
		},
		{
			ID: "queue_wait", Group: GroupRuns, Kind: Timeseries, Unit: Seconds, Width: 6, Thresholds: shares(5, 60),
			Title:       Text{"Queue wait", "Waktu tunggu antrean"},
			Description: Text{"From the creation of a run to its start, holds included.", "Dari pembuatan run sampai mulai, termasuk saat ditahan."},
			Queries:     percentiles(queueWait, tenant, windowQuantiles("/queue_wait")),
		},
		{
			ID: "time_to_first_token", Group: GroupRuns, Kind: Timeseries, Unit: Seconds, Width: 6, Thresholds: shares(3, 10),
			Title:       Text{"Time to first token", "Waktu sampai token pertama"},
			Description: Text{"From the creation of a run to the first text of its answer.", "Dari pembuatan run sampai teks pertama jawabannya."},
			Queries:     percentiles(firstToken, tenant, windowQuantiles("/time_to_first_token")),
		},
		{
			ID: "cancel_to_stopped", Group: GroupRuns, Kind: Timeseries, Unit: Seconds, Width: 6, Thresholds: shares(1, 10),
			Title:       Text{"Cancel to stopped", "Dari pembatalan sampai berhenti"},
			Description: Text{"From the request to cancel a run to its end.", "Dari permintaan membatalkan run sampai berakhir."},
			Queries:     percentiles(cancelling, tenant, nil),
		},
		{
			ID: "runs_active", Group: GroupRuns, Kind: Table, Unit: Count, Links: []Link{ToRun, ToWorkflow}, Width: 24,
			Title:       Text{"Active runs", "Run yang aktif"},
			Description: Text{"Runs that have started and not ended.", "Run yang sudah mulai dan belum berakhir."},
			Queries: []Query{{
				ID: "active", Legend: "runs", PromQL: "sum by (tenant_id, workspace_id, run_id) (" + selector(activeRuns, ofTenant) + ")",
				Source: &Source{
					Operation: "listRuns", Path: "/v1/runs", Permission: auth.RunRead, Parameters: map[string][]string{"status": {"running", "waiting"}},
					Rows: "/items", Labels: map[string]string{"tenant_id": "/tenant_id", "workspace_id": "/workspace_id", "run_id": "/id"},
				},
			}},
		},
	}
}

func ended(status string) Query {
	return Query{
		ID: status, Legend: status, PromQL: perHour(runsFinished, []string{ofTenant, `status="` + status + `"`}),
		Source: hourly(runsOperation, runsPath, "/"+status),
	}
}

func usagePanels() []Panel {
	tenant := []string{ofTenant}
	byModel := hourly(usageOperation, usagePath, "/cost_usd")
	byModel.Parameters["group_by"], byModel.Labels = []string{"model"}, map[string]string{"model": "/model"}
	return []Panel{
		{
			ID: "cost_day", Group: GroupUsage, Kind: Stat, Unit: USD, Width: 8,
			Title:       Text{"Cost of the last 24 hours", "Biaya 24 jam terakhir"},
			Description: Text{"Price of the tokens, as far as the models have a price.", "Harga token, sejauh modelnya punya harga."},
			Queries:     []Query{{ID: "cost", Legend: "cost", Instant: true, PromQL: inDay(costTotal, tenant), Source: daily(usageOperation, usagePath, "/totals/cost_usd")}},
		},
		{
			ID: "tokens_day", Group: GroupUsage, Kind: Stat, Unit: Tokens, Width: 8,
			Title:       Text{"Tokens of the last 24 hours", "Token 24 jam terakhir"},
			Description: Text{"Tokens that models were billed for, read and written.", "Token yang ditagih oleh model, dibaca dan ditulis."},
			Queries: []Query{
				{ID: "input", Legend: "input", Instant: true, PromQL: inDay(tokensTotal, with(tenant, `direction="input"`)), Source: daily(usageOperation, usagePath, "/totals/input_tokens")},
				{ID: "output", Legend: "output", Instant: true, PromQL: inDay(tokensTotal, with(tenant, `direction="output"`)), Source: daily(usageOperation, usagePath, "/totals/output_tokens")},
			},
		},
		{
			ID: "runs_day", Group: GroupUsage, Kind: Stat, Unit: Count, Width: 8,
			Title:       Text{"Runs of the last 24 hours", "Run 24 jam terakhir"},
			Description: Text{"Runs that ended.", "Run yang berakhir."},
			Queries:     []Query{{ID: "finished", Legend: "runs", Instant: true, PromQL: inDay(runsFinished, tenant), Source: daily(runsOperation, runsPath, "/totals/finished")}},
		},
		{
			ID: "tokens", Group: GroupUsage, Kind: Timeseries, Unit: TokensPerHour, Stacked: true,
			Title:       Text{"Tokens", "Token"},
			Description: Text{"Tokens that models were billed for per hour.", "Token yang ditagih oleh model per jam."},
			Queries: []Query{
				{ID: "input", Legend: "input", PromQL: perHour(tokensTotal, with(tenant, `direction="input"`)), Source: hourly(usageOperation, usagePath, "/input_tokens")},
				{ID: "output", Legend: "output", PromQL: perHour(tokensTotal, with(tenant, `direction="output"`)), Source: hourly(usageOperation, usagePath, "/output_tokens")},
			},
		},
		{
			ID: "cost", Group: GroupUsage, Kind: Timeseries, Unit: USDPerHour, Stacked: true,
			Title:       Text{"Cost by model", "Biaya menurut model"},
			Description: Text{"US dollars per hour, as far as the models have a price.", "Dolar AS per jam, sejauh modelnya punya harga."},
			Queries:     []Query{{ID: "cost", Legend: "{{model}}", PromQL: perHour(costTotal, tenant, "model"), Source: byModel}},
		},
	}
}

func quotaPanels() []Panel {
	used, limit := largest(quotaUsed, ofTenant, "quota"), largest(quotaLimit, ofTenant, "quota")
	return []Panel{
		{
			ID: "quota_share", Group: GroupQuotas, Kind: Timeseries, Unit: Share, Thresholds: shares(0.8, 0.95),
			Title:       Text{"Quotas used", "Kuota terpakai"},
			Description: Text{"What is used of the quotas that have a limit: at 1 it is used up.", "Bagian terpakai dari kuota yang punya batas: 1 berarti habis."},
			Queries:     []Query{{ID: "share", Legend: "{{quota}}", PromQL: used + " / " + limit}},
		},
		{
			ID: "quotas", Group: GroupQuotas, Kind: Table, Unit: Count,
			Title:       Text{"Quotas", "Kuota"},
			Description: Text{"What is used and what may be used, in the quota's own measure: runs, tokens, US dollars, requests.", "Yang terpakai dan yang boleh dipakai, dalam ukuran kuota itu: run, token, dolar AS, permintaan."},
			Queries: []Query{
				{ID: "used", Legend: "used", PromQL: used, Source: ofQuotas("/used")},
				{ID: "limit", Legend: "limit", PromQL: limit, Source: ofQuotas("/limit")},
			},
		},
	}
}

// connectorPanels has no PromQL: metrics of connectors carry no tenant.
func connectorPanels() []Panel {
	return []Panel{{
		ID: "webhooks", Group: GroupConnectors, Kind: Table, Unit: Count, Width: 24,
		Title:       Text{"Webhooks", "Webhook"},
		Description: Text{"The tenant's receivers, and since when they fail.", "Penerima milik penyewa, dan sejak kapan gagal."},
		Queries: []Query{{ID: "webhooks", Legend: "webhooks", Source: &Source{
			Operation: "listWebhooks", Path: "/v1/webhooks", Permission: auth.AgentManage, Rows: "/items",
			Labels: map[string]string{"webhook_id": "/id", "url": "/url", "status": "/status", "failing_since": "/failing_since", "disabled_at": "/disabled_at"},
		}}},
	}}
}
