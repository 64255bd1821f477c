package arch

// House is the law of this repository.
func House() Law {
	return Law{SystemCallers: map[string]string{
		"internal/runs/dispatch.go":      "the dispatcher looks after forgotten runs of every tenant",
		"internal/runs/reconcile.go":     "the reconciler compares the runs of every tenant with their workflows",
		"internal/deliveries/courier.go": "what a process that died had posted is handed over for every tenant",
		"internal/schedules/sweep.go":    "what processes that died left of schedules is cleared away for every tenant",
		"internal/tenants/service.go":    "an API key or a slug is looked up before the tenant is known",
		"internal/idempotency/keys.go":   "old keys of every tenant are swept together",
		"internal/runs/active.go":        "the gauge of active runs holds those of every tenant",
	}}
}
