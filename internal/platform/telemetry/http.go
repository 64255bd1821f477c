package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HTTP counts requests.
type HTTP struct {
	tenants  *labels
	routes   *labels
	duration *handles[httpKey, prometheus.Observer]
	inFlight prometheus.Gauge
}

type httpKey struct {
	tenant, route, method string
	status                int
}

// Begin counts a request as in flight until End.
func (h *HTTP) Begin() { h.inFlight.Inc() }

// End takes back one Begin.
func (h *HTTP) End() { h.inFlight.Dec() }

// Observe records an answered request. route is the pattern of the route table, not
// the path; empty: no route matched. tenant is empty when the caller was not recognised.
func (h *HTTP) Observe(tenant, route, method string, status int, took time.Duration) {
	key := httpKey{tenant: h.tenants.label(tenant), route: h.routes.label(route), method: methodLabel(method), status: status}
	if status < 100 || status > 599 {
		key.status = 0
	}
	h.duration.get(key).Observe(took.Seconds())
}

var knownMethods = [...]string{
	http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodPut, http.MethodHead,
	http.MethodOptions, http.MethodConnect, http.MethodTrace,
}

// methodLabel keeps the methods of RFC 9110 and PATCH; a client may send any other word.
func methodLabel(method string) string {
	for _, known := range knownMethods { // the result is the list's own text, never the framework's buffer
		if method == known {
			return known
		}
	}
	return LabelOther
}

func statusText(status int) string {
	if status == 0 {
		return LabelOther
	}
	return strconv.Itoa(status)
}
