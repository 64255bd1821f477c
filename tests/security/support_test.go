// Package security sends what no friend would send: bad input, bad credentials, other tenants' ids,
// over HTTP to the whole running program.
package security

import (
	"net/http"
	"strings"
	"testing"

	"github.com/larirun/lari/tests/harness"
)

// send is Tenant.Do with headers that may come several times, and nothing added but the credential
// unless a header says otherwise.
func send(t *testing.T, x *harness.Tenant, method, path, body string, header map[string][]string) harness.Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, x.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if x.Token != "" {
		req.Header.Set("Authorization", "Bearer "+x.Token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header.Del(name)
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	a, err := x.Send(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}
