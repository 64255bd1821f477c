package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/platform/fault"
)

const subject = "7b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"

var (
	tenantA = uuid.MustParse("0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f")
	tenantB = uuid.MustParse("0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e90")
	secret  = []byte("super-secret-jwt-token-with-at-least-32-characters-long")
)

// newVerifier starts a verifier and closes it with the test.
func newVerifier(tb testing.TB, c auth.Config) *auth.Verifier {
	tb.Helper()
	v, err := auth.NewVerifier(c)
	if err != nil {
		tb.Fatalf("NewVerifier: %v", err)
	}
	tb.Cleanup(v.Close)
	return v
}

// user are the claims of an operator of tenant A, with changes: a nil value removes the claim.
func user(issuer string, changes map[string]any) jwt.MapClaims {
	c := authtest.UserClaims(issuer, subject, map[string]any{"tenant_id": tenantA.String(), "role": "operator"})
	for name, value := range changes {
		if value == nil {
			delete(c, name)
			continue
		}
		c[name] = value
	}
	return c
}

// wantFault demands a *fault.Error with the code and the exact detail ("" for any).
func wantFault(tb testing.TB, err error, code fault.Code, detail string) {
	tb.Helper()
	var f *fault.Error
	switch {
	case !errors.As(err, &f):
		tb.Fatalf("error %v is not a *fault.Error", err)
	case f.Code != code:
		tb.Fatalf("code %q, want %q (%v)", f.Code, code, err)
	case detail != "" && f.Detail != detail:
		tb.Fatalf("detail %q, want %q", f.Detail, detail)
	}
}

// wantNoEcho demands that no part of the credential is in the error.
func wantNoEcho(tb testing.TB, err error, credential string) {
	tb.Helper()
	for _, part := range strings.FieldsFunc(credential, func(r rune) bool { return r == '.' || r == '_' }) {
		if len(part) >= 8 && strings.Contains(err.Error(), part) {
			tb.Fatalf("the error repeats a part of the credential: %v", err)
		}
	}
}

// fieldsOf names the inputs that a validation error is about.
func fieldsOf(err error) []string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return nil
	}
	var names []string
	for _, field := range f.Fields {
		names = append(names, field.Field)
	}
	return names
}
