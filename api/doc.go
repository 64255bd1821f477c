// Package api is the HTTP edge: a table of routes and the one adapter through which every one of them
// passes. An endpoint validates, authorises, meters and delegates; all four are done here, once.
//
//	fasthttp ─► Server.serve: meter, request id, panics
//	              └─► Fiber router ─► adapter.run(route): deadline ─► authenticate ─► tenant ─► RBAC
//	                    │                └─► bind: body, query, headers, path LAST ─► validate
//	                    │                      └─► idempotency (routes that create) ─► the route's function
//	                    └─► 404, 405, 413, 431             └─► encode │ stream
//	                              └───────► problem documents (RFC 9457) ◄──── every refusal and failure
//
// What cannot be read (the URL, a header, the JSON text) is 400; what can be read but breaks a rule
// (an unknown field, a wrong type, a bound) is 422 and names the field as the request spelled it.
package api
