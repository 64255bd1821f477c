package dashboards

func modelCost() Dashboard {
	return Dashboard{
		UID: "lari-model-cost", File: "model-cost", Title: "Lari / Model cost",
		Description: "What models cost and whom, and how well they answer.",
		Rows: []Row{
			{"Cost", costPanels()},
			{"Tokens", tokenPanels()},
			{"Answers", modelPanels()},
		},
	}
}

func costPanels() []Panel {
	tenants := []string{anyTenant}
	return []Panel{
		{
			ID: "day", Kind: Stat, Unit: USD, Width: 6, Title: english("Cost in 24 hours"),
			Description: english("Price of the tokens, as far as the models have a price."), Queries: []Query{{ID: "n", Instant: true, PromQL: inDay(costTotal, tenants)}},
		},
		{
			ID: "month", Kind: Stat, Unit: USD, Width: 6, Title: english("A month like the last day"),
			Description: english("Thirty times the cost of the last 24 hours."), Queries: []Query{{ID: "n", Instant: true, PromQL: "30 * " + inDay(costTotal, tenants)}},
		},
		{
			ID: "per_run", Kind: Stat, Unit: USD, Width: 6, Title: english("Cost of a run"),
			Description: english("Cost of the last 24 hours, divided by the runs that ended in them."),
			Queries:     []Query{{ID: "n", Instant: true, PromQL: inDay(costTotal, tenants) + " / " + inDay(runsFinished, tenants)}},
		},
		{
			ID: "per_million", Kind: Stat, Unit: USD, Width: 6, Title: english("Cost of a million tokens"),
			Description: english("Of the last 24 hours, whatever model and direction."),
			Queries:     []Query{{ID: "n", Instant: true, PromQL: "1e6 * " + inDay(costTotal, tenants) + " / " + inDay(tokensTotal, tenants)}},
		},
		{
			ID: "by_model", Kind: Timeseries, Unit: USDPerHour, Stacked: true, Title: english("Cost by model"),
			Description: english("US dollars per hour."),
			Queries:     []Query{{ID: "n", Legend: "{{provider}} {{model}}", PromQL: perHour(costTotal, tenants, "provider", "model")}},
		},
		{
			ID: "by_tenant", Kind: Timeseries, Unit: USDPerHour, Links: []Link{ToTenant}, Title: english("Cost by tenant"),
			Description: english("US dollars per hour, of the ten tenants that spend most."),
			Queries:     []Query{{ID: "n", Legend: "{{tenant_id}}", PromQL: top(10, perHour(costTotal, tenants, "tenant_id"))}},
		},
		{
			ID: "table", Kind: Table, Unit: USD, Title: english("The last 24 hours by tenant and model"), Links: []Link{ToTenant},
			Description: english("The fifty highest costs, and the tokens."),
			Queries: []Query{
				{ID: "cost", Legend: "cost", PromQL: top(50, inDay(costTotal, tenants, "tenant_id", "model"))},
				{ID: "tokens", Legend: "tokens", Unit: Tokens, PromQL: top(50, inDay(tokensTotal, tenants, "tenant_id", "model"))},
			},
		},
		{
			ID: "quota", Kind: Timeseries, Unit: Share, Links: []Link{ToTenant}, Title: english("Monthly quotas used"), Thresholds: shares(0.8, 0.95),
			Description: english("What tenants have used of their quotas of cost and tokens: at 1 their runs end or wait."),
			Queries: []Query{{
				ID: "n", Legend: "{{tenant_id}} {{quota}}",
				PromQL: top(10, "max by (tenant_id, quota) ("+selector(quotaUsed, anyTenant, `quota=~".*_per_month"`)+") / max by (tenant_id, quota) ("+selector(quotaLimit, anyTenant)+")"),
			}},
		},
	}
}

func tokenPanels() []Panel {
	tenants := []string{anyTenant}
	return []Panel{
		{
			ID: "direction", Kind: Timeseries, Unit: TokensPerHour, Stacked: true, Title: english("Tokens by direction"),
			Description: english("Tokens per hour, read and written."),
			Queries:     []Query{{ID: "n", Legend: "{{direction}}", PromQL: perHour(tokensTotal, tenants, "direction")}},
		},
		{
			ID: "tokens_by_model", Kind: Timeseries, Unit: TokensPerHour, Stacked: true, Title: english("Tokens by model"),
			Description: english("Tokens per hour."),
			Queries:     []Query{{ID: "n", Legend: "{{model}} {{direction}}", PromQL: perHour(tokensTotal, tenants, "model", "direction")}},
		},
	}
}

func modelPanels() []Panel {
	const took, failed = "lari_model_call_duration_seconds", "lari_model_errors_total"
	model := "{{provider}} {{model}}"
	return []Panel{
		{
			ID: "calls", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Turns"),
			Description: english("Turns per second that ended well, of all tenants."),
			Queries:     []Query{{ID: "n", Legend: model, PromQL: perSecond(took+"_count", nil, "provider", "model")}},
		},
		{
			ID: "failures", Kind: Timeseries, Unit: PerSecond, Width: 8, Title: english("Failed turns by class"),
			Description: english("Per second, by class: rate_limited and overloaded are tried again, authentication and bad_request are not."),
			Queries:     []Query{{ID: "n", Legend: model + " {{class}}", PromQL: perSecond(failed, nil, "provider", "model", "class")}},
		},
		{
			ID: "failure_share", Kind: Timeseries, Unit: Share, Width: 8, Title: english("Failed turns"), Thresholds: shares(0.05, 0.2),
			Description: english("Share of turns that failed, of models of which any did."),
			Queries: []Query{{
				ID: "n", Legend: model,
				PromQL: perSecond(failed, nil, "provider", "model") + " / (" + perSecond(failed, nil, "provider", "model") + " + (" +
					perSecond(took+"_count", nil, "provider", "model") + " or 0 * " + perSecond(failed, nil, "provider", "model") + "))",
			}},
		},
		{
			ID: "turn_duration", Kind: Timeseries, Unit: Seconds, Title: english("Duration of a turn"),
			Description: english("Of a whole turn that ended well. The dots are runs."), Queries: percentiles(took, nil, nil),
		},
		{
			ID: "turn_by_model", Kind: Timeseries, Unit: Seconds, Title: english("Duration p95 by model"),
			Description: english("Of a whole turn that ended well."),
			Queries:     []Query{{ID: "n", Legend: model, PromQL: quantile("0.95", took, nil, "provider", "model")}},
		},
	}
}
