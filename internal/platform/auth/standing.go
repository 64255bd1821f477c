package auth

import "github.com/google/uuid"

// Membership names a user in a tenant.
type Membership struct {
	Tenant uuid.UUID
	User   string // the sub of the user's tokens
}

// Standing is what the database says of a membership now; a token says what it was when it was signed.
type Standing struct {
	TenantExists bool
	Role         Role // "": the user is no member that the database knows of
}
