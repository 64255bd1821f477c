// Package auth answers one question: who is calling, and what may they do in which tenant.
//
//	Authorization: Bearer … ─┐                 ┌─ JWT  ─► Verifier ─► token cache │ HS256 secret │ JWKS
//	X-API-Key: lari_…       ─┴► Authenticator ─┤                                                        ├─► *Principal
//	                                           └─ lari_ ─► Keys ────► key cache   │ KeyStore            ─┘
//
//	x-tenant-id ─► ResolveTenant(header, principal) ─► tenant ─► Principal.Can(tenant, permission)
//
// Tokens are those of Supabase Auth; the algorithm is pinned per key, never chosen by the token
// (RFC 8725 §3.1). Every failure is a *fault.Error whose detail says what is wrong and never repeats
// the credential: Unauthenticated for a credential that does not hold, Malformed for headers that
// cannot be read, Forbidden for a tenant the caller is not a member of, Unavailable when the issuer's
// keys or the key store cannot be reached and the answer is therefore not known.
package auth
