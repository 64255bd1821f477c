package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Temporal says how to reach the Temporal server. The names and their meaning are those of Temporal's
// own tools (go.temporal.io/sdk/contrib/envconfig), save for configuration files and profiles.
type Temporal struct {
	Address   string `env:"TEMPORAL_ADDRESS" rule:"hostport" doc:"host:port of the frontend"`
	Namespace string `env:"TEMPORAL_NAMESPACE" default:"default" rule:"text" doc:"the namespace of all runs"`
	APIKey    Secret `env:"TEMPORAL_API_KEY" rule:"token" doc:"key of Temporal Cloud; turns TLS on unless TEMPORAL_TLS=false"`
	TLS       TemporalTLS
	UIURL     string `env:"LARI_TEMPORAL_UI_URL" rule:"http" doc:"the Temporal UI, for links to a run"`
}

// TemporalTLS is the encryption of the connection. A certificate, key or authority is given as a file
// or as PEM text, not as both.
type TemporalTLS struct {
	Enabled                 *bool  `env:"TEMPORAL_TLS" doc:"true or false; default: true when an API key or another TEMPORAL_TLS_ variable is set"`
	ClientCertPath          string `env:"TEMPORAL_TLS_CLIENT_CERT_PATH" rule:"text" doc:"file with the client's certificate"`
	ClientCertData          Secret `env:"TEMPORAL_TLS_CLIENT_CERT_DATA" rule:"pem" doc:"the client's certificate, PEM"`
	ClientKeyPath           string `env:"TEMPORAL_TLS_CLIENT_KEY_PATH" rule:"text" doc:"file with the client's key"`
	ClientKeyData           Secret `env:"TEMPORAL_TLS_CLIENT_KEY_DATA" rule:"pem" doc:"the client's key, PEM"`
	ServerCACertPath        string `env:"TEMPORAL_TLS_SERVER_CA_CERT_PATH" rule:"text" doc:"file with the authority that signed the server's certificate"`
	ServerCACertData        Secret `env:"TEMPORAL_TLS_SERVER_CA_CERT_DATA" rule:"pem" doc:"that authority, PEM"`
	ServerName              string `env:"TEMPORAL_TLS_SERVER_NAME" rule:"text" doc:"name that the server's certificate must have"`
	DisableHostVerification bool   `env:"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION" default:"false" doc:"accept any certificate; for tests only"`
}

// Encrypted reports whether the connection uses TLS.
func (t Temporal) Encrypted() bool {
	if t.TLS.Enabled != nil {
		return *t.TLS.Enabled
	}
	return !t.APIKey.Empty() || t.TLS != (TemporalTLS{})
}

// TLSConfig gives the TLS settings, nil for a plain connection. It reads the files that are named and
// fails when one cannot be read or does not hold what it should.
func (t Temporal) TLSConfig() (*tls.Config, error) {
	if !t.Encrypted() {
		return nil, nil // nil is crypto/tls's and the SDK's word for "no TLS"
	}
	out := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.TLS.ServerName,
		InsecureSkipVerify: t.TLS.DisableHostVerification, //nolint:gosec // G402: off unless the operator asks for it
	}
	if err := t.TLS.addClientCertificate(out); err != nil {
		return nil, err
	}
	if err := t.TLS.addAuthority(out); err != nil {
		return nil, err
	}
	return out, nil
}

func (t TemporalTLS) addClientCertificate(out *tls.Config) error {
	cert, err := pemOf(t.ClientCertData, t.ClientCertPath)
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	key, err := pemOf(t.ClientKeyData, t.ClientKeyPath)
	if err != nil {
		return fmt.Errorf("client key: %w", err)
	}
	if cert == nil && key == nil {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("client certificate and key: %w", err)
	}
	out.Certificates = []tls.Certificate{pair}
	return nil
}

func (t TemporalTLS) addAuthority(out *tls.Config) error {
	authority, err := pemOf(t.ServerCACertData, t.ServerCACertPath)
	if err != nil {
		return fmt.Errorf("server authority: %w", err)
	}
	if authority == nil {
		return nil
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(authority) {
		return errors.New("server authority: holds no PEM certificate")
	}
	return nil
}

// pemOf gives the text itself or what the file holds; nil when neither is set.
func pemOf(data Secret, path string) ([]byte, error) {
	switch {
	case !data.Empty():
		return []byte(data.Reveal()), nil
	case path != "":
		return os.ReadFile(path) //nolint:gosec // G304: the operator names the file
	default:
		return nil, nil
	}
}

// check reports halves of pairs, and things that are given twice.
func (t TemporalTLS) check(p *problems) {
	if p.hasPrefix("TEMPORAL_TLS_") { // a half may only seem to be missing
		return
	}
	cert := !t.ClientCertData.Empty() || t.ClientCertPath != ""
	key := !t.ClientKeyData.Empty() || t.ClientKeyPath != ""
	if cert && !key {
		p.add("TEMPORAL_TLS_CLIENT_KEY_PATH", "required", "must be set (or TEMPORAL_TLS_CLIENT_KEY_DATA) because a client certificate is")
	}
	if key && !cert {
		p.add("TEMPORAL_TLS_CLIENT_CERT_PATH", "required", "must be set (or TEMPORAL_TLS_CLIENT_CERT_DATA) because a client key is")
	}
	for _, pair := range []struct {
		data Secret
		path string
		name string
	}{
		{t.ClientCertData, t.ClientCertPath, "TEMPORAL_TLS_CLIENT_CERT"},
		{t.ClientKeyData, t.ClientKeyPath, "TEMPORAL_TLS_CLIENT_KEY"},
		{t.ServerCACertData, t.ServerCACertPath, "TEMPORAL_TLS_SERVER_CA_CERT"},
	} {
		if !pair.data.Empty() && pair.path != "" {
			p.add(pair.name+"_DATA", "excludes", "must not be set together with %s_PATH", pair.name)
		}
	}
}
