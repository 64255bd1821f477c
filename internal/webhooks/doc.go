// Package webhooks keeps the receivers that tenants registered for the lifecycle of their runs: where
// they are, what they want, and the secrets that sign what is sent (https://www.standardwebhooks.com).
//
//	          Create                 Disable, 410, failing for three days
//	absent ──────────► enabled ──────────────────────────────────────────► disabled
//	                     ▲ │ ◄───────────────── Enable ──────────────────── │
//	                     │ └──────────────► deleted ◄────────── Delete ─────┘
//	                     └── a success ends the time of failing
//
// Sending is the connector's business (connectors/webhook), the queue and its log are package
// deliveries'. A secret is given out by Create and RotateSecret, and by them again when the same request
// is repeated with its Idempotency-Key: the answer is then made anew from the secret itself, which is
// kept in one place only.
package webhooks
