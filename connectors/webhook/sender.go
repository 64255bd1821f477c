package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

const (
	// AttemptLimit bounds one attempt, from the connection to the head of the answer.
	AttemptLimit = 10 * time.Second
	// bodyLimit bounds what an answer's body may take after its head: the head has said it all.
	bodyLimit = 2 * time.Second
	maxRead   = 64 << 10 // bytes of the body that are read, so that its connection can be used again
	maxKept   = 1 << 10  // bytes of them that go into the delivery log
)

// Client sends a request; it decides which destinations may be reached, and follows no redirect.
type Client interface {
	Do(*http.Request) (*http.Response, error)
}

// letter is one message on its way to one receiver.
type letter struct {
	url     string
	id      string // the same for every attempt
	body    []byte
	headers map[string]string
	signers []*standardwebhooks.Webhook // the newest first
}

// errGone says that the receiver wants nothing any more.
var errGone = fmt.Errorf("%w: it answered 410", connectors.ErrRefused)

// post sends a letter once and reports what came back. Its error never holds the URL or anything of the
// request: it is shown, and a URL may be a secret.
func post(ctx context.Context, client Client, l letter) (connectors.Report, error) {
	ctx, stop := context.WithTimeout(ctx, AttemptLimit)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(l.body))
	if err != nil {
		return connectors.Report{}, fmt.Errorf("%w: its address is not a URL", connectors.ErrRefused)
	}
	for name, value := range l.headers {
		req.Header.Set(name, value)
	}
	if err := sign(req, l); err != nil {
		return connectors.Report{}, err
	}
	resp, err := send(ctx, client, req)
	if err != nil {
		return connectors.Report{}, fmt.Errorf("the receiver cannot be reached: %w", reason(err))
	}
	defer func() { _ = resp.Body.Close() }()
	report := connectors.Report{StatusCode: resp.StatusCode, Response: readSome(resp.Body, stop)}
	switch {
	case resp.StatusCode/100 == 2:
		return report, nil
	case resp.StatusCode == http.StatusGone:
		return report, errGone
	case resp.StatusCode/100 == 3:
		return report, fmt.Errorf("the receiver answered %d, and redirects are not followed", resp.StatusCode)
	}
	return report, fmt.Errorf("the receiver answered %d", resp.StatusCode)
}

// readSome gives the beginning of an answer's body. One that stalls, drips or breaks off changes nothing.
func readSome(body io.Reader, stop func()) string {
	limit := time.AfterFunc(bodyLimit, stop)
	defer limit.Stop()
	data, _ := io.ReadAll(io.LimitReader(body, maxRead))
	return storable.Truncate(string(data), maxKept)
}

// sign sets what Standard Webhooks prescribes, after the tenant's own headers, so that none of those can
// stand in its place.
func sign(req *http.Request, l letter) error {
	at := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Lari-Webhook/1")
	req.Header.Set(standardwebhooks.HeaderWebhookID, l.id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	signatures := make([]string, 0, len(l.signers))
	for _, signer := range l.signers {
		signature, err := signer.Sign(l.id, at, l.body)
		if err != nil {
			return fmt.Errorf("sign the webhook: %w", err)
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}

// reason takes the request's URL and the resolved address out of an error.
func reason(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return errors.New(known.Detail)
	}
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err
	}
	return err
}
