package arch

// House is the law of this repository.
func House() Law {
	return Law{SystemCallers: map[string]string{
		"internal/runs/dispatch.go":      "the dispatcher looks after forgotten runs of every tenant",
		"internal/runs/reconcile.go":     "the reconciler compares the runs of every tenant with their workflows",
		"internal/deliveries/courier.go": "what a process that died had posted is handed over for every tenant",
		"internal/schedules/sweep.go":    "what processes that died left of schedules is cleared away for every tenant",
		"internal/schedules/watch.go":    "which firings did not come about, and how many schedules are paused, is measured for every tenant",
		"internal/deliveries/backlog.go": "the gauges of what is to be delivered hold every tenant",
		"internal/audit/anchors.go":      "where the audit log of every tenant stands is signed and written down outside",
		"internal/tenants/service.go":    "an API key or a slug is looked up before the tenant is known, and the platform makes tenants",
		"internal/tenants/list.go":       "a caller's tenants are listed together, those of the platform all",
		"internal/tenants/uses.go":       "the last uses of keys of every tenant are written together",
		"internal/tenants/deletions.go":  "the record of a deletion outlives its tenant and is the platform's",
		"internal/idempotency/store.go":  "a request that makes a tenant acts in none",
		"internal/idempotency/keys.go":   "old keys of every tenant are swept together",
		"internal/analytics/roller.go":   "facts of every tenant are rolled up together",
		"internal/analytics/platform.go": "the platform's own view of usage holds every tenant",
		"internal/runs/active.go":        "the gauge of active runs holds those of every tenant",
		"internal/runs/count.go":         "the platform's view counts the runs of every tenant",
		"internal/control/platform.go":   "whether any tenant begins runs is the platform's to say and to change",
		"internal/quotas/service.go":     "the platform's limits of a tenant are no row of the tenant's to write",
	}}
}
