package auth_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/platform/fault"
)

// signText signs a payload and header as they are written.
func signText(t *testing.T, header, payload string) string {
	t.Helper()
	text := segment(header) + "." + segment(payload)
	signature, err := jwt.SigningMethodHS256.Sign(text, secret)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + segment(string(signature))
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

// payload writes claims of a viewer of tenant A with further text before and after them.
func payload(before, after, appBefore, appAfter string) string {
	return fmt.Sprintf(`{%s"sub":"ada","aud":"authenticated","role":"authenticated","exp":%d,"app_metadata":{%s"tenant_id":%q,"role":"viewer"%s}%s}`,
		before, time.Now().Add(time.Hour).Unix(), appBefore, tenantA, appAfter, after)
}

func TestVerifier_ReadsClaimsByExactName(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, auth.Config{HS256Secret: secret})
	elevated := fmt.Sprintf(`{"tenant_id":%q,"role":"owner","tenants":{%q:"owner"}}`, tenantA, tenantB)
	for name, text := range map[string]string{
		"Role after":          payload("", `,"Role":"service_role"`, "", ""),
		"ROLE before":         payload(`"ROLE":"service_role",`, "", "", ""),
		"APP_METADATA":        payload("", `,"APP_METADATA":`+elevated, "", ""),
		"app_Metadata":        payload(`"app_Metadata":`+elevated+`,`, "", "", ""),
		"tenantſ":             payload("", "", "", fmt.Sprintf(`,"tenantſ":{%q:"owner"}`, tenantB)),
		"tenant\\u017f":       payload("", "", "", fmt.Sprintf(`,"tenant\u017f":{%q:"owner"}`, tenantB)),
		"TENANTS":             payload("", "", fmt.Sprintf(`"TENANTS":{%q:"owner"},`, tenantB), ""),
		"Role in metadata":    payload("", "", "", `,"Role":"owner"`),
		"Tenant_ID":           payload("", "", "", fmt.Sprintf(`,"Tenant_ID":%q`, tenantB)),
		"Sub":                 payload("", `,"Sub":"eve"`, "", ""),
		"ſub":                 payload("", `,"ſub":"eve"`, "", ""),
		"user_metadata":       payload("", `,"user_metadata":`+elevated, "", ""),
		"members at the root": payload("", fmt.Sprintf(`,"tenant_id":%q,"tenants":{%q:"owner"}`, tenantB, tenantB), "", ""),
	} {
		p, err := v.Verify(t.Context(), signText(t, plainHeader, text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := map[uuid.UUID]auth.Role{tenantA: auth.RoleViewer}
		if p.Service || p.Subject != "ada" || p.DefaultTenant != tenantA || !maps.Equal(p.Tenants, want) {
			t.Errorf("%s: let in as %+v", name, p)
		}
	}
	past, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	for name, c := range map[string]struct{ payload, detail string }{
		"exp past, EXP future": {
			fmt.Sprintf(`{"sub":"ada","aud":"authenticated","role":"authenticated","exp":%d,"EXP":%d}`, past, future), "the token has expired",
		},
		"EXP alone": {
			fmt.Sprintf(`{"sub":"ada","aud":"authenticated","role":"authenticated","EXP":%d}`, future), "the token has no expiry (exp)",
		},
		"Aud alone": {
			fmt.Sprintf(`{"sub":"ada","Aud":"authenticated","role":"authenticated","exp":%d}`, future), "the token's audience is not authenticated",
		},
		"Role alone": {
			fmt.Sprintf(`{"sub":"ada","aud":"authenticated","Role":"service_role","exp":%d}`, future), "the token has no role",
		},
		"NBF does not undo nbf": {
			fmt.Sprintf(`{"sub":"ada","aud":"authenticated","role":"authenticated","exp":%d,"nbf":%d,"NBF":1}`, future, future), "the token is not valid yet (nbf)",
		},
	} {
		_, err := v.Verify(t.Context(), signText(t, plainHeader, c.payload))
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.Unauthenticated, c.detail) })
	}
}

func TestVerifier_RefusesDuplicateNames(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, auth.Config{HS256Secret: secret})
	a := tenantA.String()
	for name, token := range map[string]string{
		"role":              signText(t, plainHeader, payload("", `,"role":"service_role"`, "", "")),
		"role, escaped":     signText(t, plainHeader, payload("", `,"r\u006fle":"service_role"`, "", "")),
		"the same role":     signText(t, plainHeader, payload("", `,"role":"authenticated"`, "", "")),
		"exp":               signText(t, plainHeader, payload(`"exp":1,`, "", "", "")),
		"app_metadata":      signText(t, plainHeader, payload("", `,"app_metadata":{"role":"owner"}`, "", "")),
		"role in metadata":  signText(t, plainHeader, payload("", "", "", `,"role":"owner"`)),
		"tenants":           signText(t, plainHeader, payload("", "", `"tenants":{},`, `,"tenants":{}`)),
		"a tenant":          signText(t, plainHeader, payload("", "", "", `,"tenants":{"`+a+`":"viewer","`+a+`":"owner"}`)),
		"an unknown claim":  signText(t, plainHeader, payload("", `,"x":1,"x":2`, "", "")),
		"alg":               signText(t, `{"alg":"none","alg":"HS256"}`, payload("", "", "", "")),
		"kid":               signText(t, `{"alg":"HS256","kid":"a","kid":"b"}`, payload("", "", "", "")),
		"crit, twice":       signText(t, `{"alg":"HS256","crit":["b64"],"crit":[]}`, payload("", "", "", "")),
		"not UTF-8":         signText(t, plainHeader, payload("", ",\"x\":\"\xff\"", "", "")),
		"text after claims": signText(t, plainHeader, payload("", "", "", "")+"{}"),
	} {
		p, err := v.Verify(t.Context(), token)
		if p != nil {
			t.Errorf("%s: let in as %+v", name, p)
		}
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.Unauthenticated, "the token is not a well-formed JWT") })
	}
	// Another case of a header's name is another name.
	if _, err := v.Verify(t.Context(), signText(t, `{"alg":"HS256","ALG":"none","Kid":"x"}`, payload("", "", "", ""))); err != nil {
		t.Errorf("ALG is read as alg: %v", err)
	}
}

// A set of keys is read by exact names too, and a key with a name twice is left out alone.
func TestVerifier_ReadsKeysByExactName(t *testing.T) {
	t.Parallel()
	issuer, stranger := authtest.New(t, "ES256"), authtest.New(t, "ES256")
	text := func(i *authtest.Issuer, more string) string {
		raw, err := json.Marshal(authtest.PublicJWK(i.PublicKey()))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(raw), "}") + more + "}"
	}
	otherX, _ := authtest.PublicJWK(stranger.PublicKey())["x"].(string)
	otherY, _ := authtest.PublicJWK(stranger.PublicKey())["y"].(string)
	good := text(issuer, `,"kid":"good"`)
	for name, c := range map[string]struct {
		document string
		holds    bool // a token of the issuer with kid "good"
	}{
		"plain":                       {`{"keys":[` + good + `]}`, true},
		"X and Y of another key":      {`{"keys":[` + text(issuer, `,"kid":"good","X":"`+otherX+`","Y":"`+otherY+`"`) + `]}`, true},
		"KID":                         {`{"keys":[` + text(issuer, `,"KID":"good","kid":"other"`) + `]}`, false},
		"x twice":                     {`{"keys":[` + text(issuer, `,"kid":"good","x":"`+otherX+`"`) + `]}`, false},
		"a neighbour has kid twice":   {`{"keys":[` + text(stranger, `,"kid":"a","kid":"good"`) + `,` + good + `]}`, true},
		"keys twice":                  {`{"keys":[],"keys":[` + good + `]}`, false},
		"Keys":                        {`{"Keys":[` + good + `]}`, false},
		"Keys beside keys":            {`{"keys":[` + good + `],"KEYS":[]}`, true},
		"text after the set":          {`{"keys":[` + good + `]} {}`, false},
		"a key with its private part": {`{"keys":[` + text(issuer, `,"kid":"good","d":"AAAA"`) + `]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.document)) }))
			t.Cleanup(server.Close)
			v := newVerifier(t, auth.Config{JWKSURL: server.URL})
			_, err := v.Verify(t.Context(), issuer.SignWith("", map[string]any{"kid": "good"}, user("", nil)))
			if (err == nil) != c.holds {
				t.Errorf("%v", err)
			}
		})
	}
}
