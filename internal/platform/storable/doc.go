// Package storable is the one door for content that Lari did not make itself: what models, tools, providers,
// webhook receivers and the engine say, before it is written to Postgres.
//
// Postgres keeps less than Go, HTTP and JSON can carry. A text column refuses NUL and invalid UTF-8 (SQLSTATE
// 22021). jsonb refuses the escape \u0000 (22P05), halves of surrogate pairs (22P02), numbers beyond numeric
// (22003) and deep nesting (54001), all of which encoding/json takes. Such an error is permanent: the same
// value fails at every retry.
//
// There are two ways through. Repair changes content that only has to be kept (Text, Clip, JSON, Marshal).
// Refusal is for content whose meaning must not change, such as the arguments of a tool call (CheckJSON).
package storable
