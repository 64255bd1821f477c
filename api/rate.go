package api

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/ratelimit"
	"github.com/larirun/lari/internal/quotas"
	"github.com/larirun/lari/internal/runs"
)

// Rate decides whether a tenant's request is admitted. It must be cheap: every request asks it.
type Rate interface {
	Take(ctx context.Context, tenant uuid.UUID) ratelimit.Decision
}

// The fields of draft-ietf-httpapi-ratelimit-headers, and one of our own in the same form.
const (
	headerRatePolicy   = "RateLimit-Policy"
	headerRate         = "RateLimit"
	headerQuotaWarning = "Lari-Quota-Warning"
)

// rate asks for the admission of a request, and lets its answer say how much is left.
func (a *adapter) rate(ctx context.Context, x *exchange, tenant uuid.UUID) error {
	if a.limiter == nil || tenant == uuid.Nil { // what the platform does is no tenant's
		return nil
	}
	d := a.limiter.Take(ctx, tenant)
	if d.Limit == 0 {
		return nil
	}
	h := &x.http.Response.Header
	h.Set(headerRatePolicy, `"requests";q=`+strconv.Itoa(d.Limit)+`;w=`+strconv.Itoa(int(ratelimit.Window/time.Second)))
	h.Set(headerRate, `"requests";r=`+strconv.Itoa(d.Remaining)+`;t=`+strconv.Itoa(wholeSeconds(d.Reset)))
	if d.Allowed {
		return nil
	}
	return fault.New(fault.RateLimited, "The quota %s is used up: %d requests in any minute. The next one is admitted at %s.",
		quotas.RequestsPerMinute, d.Limit, clock.Now().Add(d.Retry).Format(time.RFC3339)).After(d.Retry)
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// quotaWarning gives the value of Lari-Quota-Warning, a list of RFC 9651: quotas by name, each with limit, used
// and frees_at. Amounts are strings: money has more decimals than its numbers. It is "" when there is nothing
// to warn of.
func quotaWarning(near []runs.QuotaWarning) string {
	var b strings.Builder
	for i, w := range near {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(w.Quota))
		b.WriteString(";limit=" + strconv.Quote(w.Limit.String()) + ";used=" + strconv.Quote(w.Used.String()))
		if w.FreesAt != nil {
			b.WriteString(";frees_at=" + strconv.Quote(clock.At(*w.FreesAt).Format(time.RFC3339)))
		}
	}
	return b.String()
}

type warningKey struct{}

// warning is what a route that creates runs may set of its answer beside what it returns.
func (x *exchange) warning(ctx context.Context) context.Context {
	return context.WithValue(ctx, warningKey{}, func(value string) { x.http.Response.Header.Set(headerQuotaWarning, value) })
}

// warnOf lets the answer to a request that created something say which quotas are nearly used up.
func warnOf(ctx context.Context, near []runs.QuotaWarning) {
	if set, ok := ctx.Value(warningKey{}).(func(string)); ok && len(near) > 0 {
		set(quotaWarning(near))
	}
}

// describeRate adds the fields to the answers of a route that are its own; shareRate does to the refusals.
func describeRate(op *openapi31.Operation, route *Route) {
	if route.Permission == auth.Public || op.Responses == nil {
		return
	}
	names := []string{headerRatePolicy, headerRate}
	if route.Permission == auth.RunCreate && route.Meta.Creates {
		names = append(names, headerQuotaWarning)
	}
	for _, answer := range op.Responses.MapOfResponseOrReferenceValues {
		if answer.Response == nil {
			continue
		}
		for _, name := range names {
			answer.Response.WithHeadersItem(name, sharedHeader(name))
		}
	}
}

func sharedHeader(name string) openapi31.HeaderOrReference {
	return openapi31.HeaderOrReference{Reference: &openapi31.Reference{Ref: "#/components/headers/" + name}}
}

func shareRate(c *openapi31.Components) {
	for name, description := range map[string]string{
		headerRatePolicy: "The limit of requests, of a tenant that has one: at most `q` in any `w` seconds (draft-ietf-httpapi-ratelimit-headers). Example: `\"requests\";q=100;w=60`",
		headerRate:       "What is left of it: `r` requests pass now, and `t` seconds on the whole burst does. Example: `\"requests\";r=5;t=2`",
		headerQuotaWarning: "The quotas that are nearly used up, as a list of structured fields (RFC 9651); absent when there are none. " +
			"Example: `\"tokens_per_month\";limit=\"1000000\";used=\"850000\";frees_at=\"2026-12-01T00:00:00Z\"`",
	} {
		c.WithHeadersItem(name, stringHeader(description))
	}
	refused := c.Responses["Problem429"]
	if refused.Response == nil {
		return
	}
	for _, name := range []string{headerRatePolicy, headerRate} {
		refused.Response.WithHeadersItem(name, sharedHeader(name))
	}
}
