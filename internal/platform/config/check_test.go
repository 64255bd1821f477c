package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

func TestValidateByRole(t *testing.T) {
	t.Parallel()
	database := "DATABASE_URL=postgres://h/d"
	temporal := "TEMPORAL_ADDRESS=h:7233"
	for _, c := range []struct {
		role Role
		have []string
		lack []string
	}{
		{RoleAPI, nil, []string{"DATABASE_URL", "TEMPORAL_ADDRESS", "SUPABASE_URL"}},
		{RoleAPI, []string{database, temporal}, []string{"SUPABASE_URL"}},
		{RoleAPI, []string{database, temporal, "SUPABASE_JWT_SECRET=" + strings.Repeat("x", 32)}, nil},
		{RoleAPI, []string{database, temporal, "SUPABASE_URL=https://x.supabase.co"}, nil},
		{RoleAPI, []string{database, temporal, "LARI_JWKS_URL=https://x/jwks"}, nil},
		{RoleWorker, nil, []string{"DATABASE_URL", "TEMPORAL_ADDRESS"}},
		{RoleWorker, []string{database, temporal}, nil},
		{RoleWorker, []string{database, temporal, "TEMPORAL_TLS_SERVER_CA_CERT_PATH=/nonexistent/ca.pem"}, []string{"TEMPORAL_TLS_*"}},
		{RoleMigrate, nil, []string{"DATABASE_URL"}},
		{RoleMigrate, []string{database}, nil},
		{RoleDev, nil, nil},
		{"janitor", nil, []string{"role"}},
	} {
		err := load(t, Environ(c.have)).Validate(c.role)
		var got []string
		var refused *fault.Error
		if errors.As(err, &refused) {
			for _, f := range refused.Fields {
				got = append(got, f.Field)
			}
		}
		if (err == nil) != (c.lack == nil) || !slices.Equal(got, c.lack) {
			t.Errorf("%s with %v lacks %v (%v), want %v", c.role, c.have, got, err, c.lack)
		}
	}
	for _, role := range Roles() {
		if err := load(t, Environ([]string{database, temporal, "SUPABASE_URL=https://x"})).Validate(role); err != nil {
			t.Errorf("%s refuses a complete configuration: %v", role, err)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"LARI_HTTP_ADR":           "LARI_HTTP_ADDR",
		"LARI_HTPT_ADDR":          "LARI_HTTP_ADDR",
		"LARI_http_addr":          "LARI_HTTP_ADDR",
		"LARI_LOGLEVEL":           "LARI_LOG_LEVEL",
		"LARI_EGRESS_ALLOWED":     "LARI_EGRESS_ALLOW",
		"LARI_METRICS_MAX_TENANT": "LARI_METRICS_MAX_TENANTS",
		"LARI_DATABASE_URL":       "DATABASE_URL",
		"LARI_TEMPORAL_ADDRESS":   "TEMPORAL_ADDRESS",
		"LARI_QUX":                "",
	} {
		message := refusal(t, map[string]string{name: "x"}).Fields[0].Message
		expected := "is not a variable of Lari"
		if want != "" {
			expected += " (did you mean " + want + "?)"
		}
		if message != expected {
			t.Errorf("%s %s, want %s", name, message, expected)
		}
	}
}

func TestTemporalTLS(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, cert)
	write(t, keyFile, key)

	for _, c := range []struct {
		name  string
		have  map[string]string
		check func(*tls.Config) bool
	}{
		{"nothing", nil, func(c *tls.Config) bool { return c == nil }},
		{"switched on", map[string]string{"TEMPORAL_TLS": "true"}, func(c *tls.Config) bool { return c != nil && c.RootCAs == nil }},
		{"an API key", map[string]string{"TEMPORAL_API_KEY": "k"}, func(c *tls.Config) bool { return c != nil }},
		{"an API key, switched off", map[string]string{"TEMPORAL_API_KEY": "k", "TEMPORAL_TLS": "0"}, func(c *tls.Config) bool { return c == nil }},
		{"a name", map[string]string{"TEMPORAL_TLS_SERVER_NAME": "x"}, func(c *tls.Config) bool { return c != nil && c.ServerName == "x" && !c.InsecureSkipVerify }},
		{"unverified", map[string]string{"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": "1"}, func(c *tls.Config) bool { return c != nil && c.InsecureSkipVerify }},
		{
			"files",
			map[string]string{
				"TEMPORAL_TLS_CLIENT_CERT_PATH": certFile, "TEMPORAL_TLS_CLIENT_KEY_PATH": keyFile,
				"TEMPORAL_TLS_SERVER_CA_CERT_PATH": certFile,
			},
			func(c *tls.Config) bool { return c != nil && len(c.Certificates) == 1 && c.RootCAs != nil },
		},
		{
			"texts",
			map[string]string{
				"TEMPORAL_TLS_CLIENT_CERT_DATA": cert, "TEMPORAL_TLS_CLIENT_KEY_DATA": key,
				"TEMPORAL_TLS_SERVER_CA_CERT_DATA": cert,
			},
			func(c *tls.Config) bool { return c != nil && len(c.Certificates) == 1 && c.RootCAs != nil },
		},
	} {
		got, err := load(t, c.have).Temporal.TLSConfig()
		if err != nil || !c.check(got) {
			t.Errorf("%s: TLSConfig = %+v, %v", c.name, got, err)
		}
	}

	for _, c := range []struct {
		have map[string]string
		want string
	}{
		{map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": certFile}, "TEMPORAL_TLS_CLIENT_KEY_PATH"},
		{map[string]string{"TEMPORAL_TLS_CLIENT_KEY_DATA": key}, "TEMPORAL_TLS_CLIENT_CERT_PATH"},
		{map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_DATA": cert, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": certFile}, "TEMPORAL_TLS_SERVER_CA_CERT_DATA"},
	} {
		if refused := refusal(t, c.have); refused.Fields[0].Field != c.want {
			t.Errorf("refused %+v, want %s", refused.Fields, c.want)
		}
	}

	broken := load(t, map[string]string{"TEMPORAL_TLS_CLIENT_CERT_PATH": keyFile, "TEMPORAL_TLS_CLIENT_KEY_PATH": certFile})
	if _, err := broken.Temporal.TLSConfig(); err == nil {
		t.Error("a key in the place of the certificate is accepted")
	}
	broken = load(t, map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": keyFile})
	if _, err := broken.Temporal.TLSConfig(); err == nil {
		t.Error("a key in the place of the authority is accepted")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}
