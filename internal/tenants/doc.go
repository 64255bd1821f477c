// Package tenants keeps the customers: tenants, their workspaces, members and API keys, and how they end.
//
//	          suspend                delete                    the grace is over
//	active ◄──────────► suspended ──────────► deleting (waiting) ───────────────► stopping ─► exporting ─► erasing ─► gone
//	  │       resume        ▲                   │      ▲                              (Deletion.Phase, which outlives the tenant)
//	  └─────────────────────│───────────────────│──────┘
//	                        └──── cancel ───────┘ (to what it was before)
//
// A tenant's state is read where a run is admitted (lari.admit_run), a key is looked up and a token is signed
// (lari.custom_access_token_hook). Who may do what to a tenant, and how it is erased: docs/tenants.md and
// docs/adr/0014.
package tenants
