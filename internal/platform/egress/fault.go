package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"

	"github.com/larirun/lari/internal/platform/fault"
)

// noDestination is said of a host that does not exist and of one that is not allowed alike: the difference would tell
// which names there are in the network that the process stands in.
const noDestination = "the destination does not exist, or is in a private network that is not allowed"

// Fault gives the failure of a request, or of reading its response, a code: the refusal itself when
// there was one, forbidden for a host that does not exist and for a certificate that does not
// hold, timeout, cancelled, and unavailable for the rest (refused, reset, cut off, not HTTP).
func Fault(err error) error {
	if err == nil {
		return nil
	}
	var refused *fault.Error
	if errors.As(err, &refused) {
		return refused
	}
	if errors.Is(err, context.Canceled) {
		return fault.Wrap(err, fault.Cancelled, "the request was cancelled")
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() {
		return fault.Wrap(err, fault.Timeout, "the destination did not answer in time")
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return fault.Wrap(err, fault.Forbidden, noDestination)
	}
	if badCertificate(err) {
		return fault.Wrap(err, fault.Forbidden, "the destination's certificate cannot be trusted")
	}
	return fault.Wrap(err, fault.Unavailable, "the destination cannot be reached or broke off")
}

func badCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname)
}
