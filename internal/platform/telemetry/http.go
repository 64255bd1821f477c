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
	byRoute  *handles[httpKey, prometheus.Observer]
	inFlight prometheus.Gauge
	now      func() time.Time
}

// httpKey is the labels of a series. A status below 10 is a class: 2 stands for 2xx.
type httpKey struct {
	tenant, route, method string
	status                int
}

// noStatus is the status of an answer that had none.
const noStatus = 999

func (k httpKey) finest() bool { return k.status >= 100 }

// coarser gives up route, method and the exact status, and then the tenant.
func (k httpKey) coarser() httpKey {
	if k.finest() {
		return httpKey{tenant: k.tenant, route: LabelOther, method: LabelOther, status: k.status / 100}
	}
	k.tenant = LabelOther
	return k
}

// httpRules are those of a tenant's requests. What is always made is one series for each class of status.
func httpRules(b *budget, cost int64) rules[httpKey] {
	return rules[httpKey]{budget: b, cost: cost, coarser: httpKey.coarser, limit: func(k httpKey) int64 {
		switch {
		case k.finest():
			return b.routes
		case k.tenant == LabelOther || k.tenant == LabelNone:
			return unbounded
		}
		return b.total
	}}
}

// routeRules are those of routes without a tenant.
func routeRules(b *budget, cost int64) rules[httpKey] {
	return rules[httpKey]{budget: b, cost: cost, coarser: httpKey.coarser, limit: func(k httpKey) int64 {
		if k.finest() {
			return b.rest
		}
		return unbounded
	}}
}

// Begin counts a request as in flight until End.
func (h *HTTP) Begin() { h.inFlight.Inc() }

// End takes back one Begin.
func (h *HTTP) End() { h.inFlight.Dec() }

// Observe records an answered request. route is the pattern of the route table, not
// the path; empty: no route matched. tenant is empty when the caller was not recognised. A request whose trace is
// kept leaves it as an exemplar, and the run that it is about, unless its bucket has taken one within the second.
func (h *HTTP) Observe(tenant, route, method string, status int, took time.Duration, e ...Exemplar) {
	key := httpKey{tenant: h.tenants.label(tenant), route: h.routes.label(route), method: methodLabel(method), status: status}
	if status < 100 || status > 599 {
		key.status = noStatus
	}
	seconds, ofTenant := took.Seconds(), h.duration.get(key)
	key.tenant = ""
	ofRoute := h.byRoute.get(key)
	if len(e) == 0 {
		ofTenant.Observe(seconds)
		ofRoute.Observe(seconds)
		return
	}
	observeSparingly(seconds, h.now(), e[0], ofTenant, ofRoute)
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
	switch {
	case status == noStatus || status == noStatus/100:
		return LabelOther
	case status < 100:
		return strconv.Itoa(status) + "xx"
	}
	return strconv.Itoa(status)
}
