package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

const (
	mediaEvents   = "text/event-stream"
	extensionItem = "x-item-schema" // what each event of a stream holds

	schemeBearer = "bearer"
	schemeAPIKey = "apiKey"
	description  = `Runs AI agents durably, for many tenants. The first call starts a run and sends its events until it ends:

` + "```sh" + `
curl -N "$LARI_API_URL/v1/runs/stream" -H "Authorization: Bearer $LARI_TOKEN" -H 'Content-Type: application/json' \
  -d '{"input": "What happens to a run when its worker dies?"}'
` + "```" + `

` + "`POST /v1/runs`" + ` starts one and answers at once, ` + "`POST /v1/runs/wait`" + ` when it has ended.

Every request acts in one tenant: the one in ` + "`x-tenant-id`" + `, or the caller's default; the answer says
which. Everything that is not a success is a problem document (RFC 9457) with a ` + "`code`" + ` from a closed
list. What cannot be read is 400; what can be read but breaks a rule is 422 and names the field. Unknown
fields and query parameters are refused.

Any request may also be refused before its operation is known, with a problem document too: 405 (method),
408 (it did not arrive in time), 413 (body too large), 431 (headers too large).`
)

// describe writes the table as OpenAPI 3.1 (JSON). The same table gives the same bytes.
func describe(routes []Route, version string) ([]byte, error) {
	answers := map[reflect.Type]bool{}
	for i := range routes {
		if out := routes[i].out; out != nil {
			structsIn(out, answers)
		}
	}
	r := newReflector(answers)
	spec := r.SpecEns()
	spec.Info.WithTitle("Lari").WithVersion(version).WithDescription(description)
	spec.Info.ContactEns().WithName("Lari").WithURL("https://github.com/larirun/lari")
	spec.Info.LicenseEns().WithName("UNLICENSED")
	spec.WithServers(*(&openapi31.Server{URL: "/"}).WithDescription("The server that this description was read from."))
	spec.SetHTTPBearerTokenSecurity(schemeBearer, "JWT", bearerWords())
	spec.SetAPIKeySecurity(schemeAPIKey, "X-API-Key", openapi.InHeader, "An API key (lari_…).")
	sorted := slices.Clone(routes)
	slices.SortFunc(sorted, func(a, b Route) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	var tags []string
	for i := range sorted {
		if sorted[i].hidden {
			continue
		}
		if err := addOperation(r, &sorted[i]); err != nil {
			return nil, fmt.Errorf("describe %s: %w", sorted[i].name(), err)
		}
		tags = append(tags, sorted[i].Meta.Tag)
	}
	slices.SortFunc(tags, func(a, b string) int { return cmp.Or(cmp.Compare(tagRank(a), tagRank(b)), strings.Compare(a, b)) })
	for _, tag := range slices.Compact(tags) {
		spec.Tags = append(spec.Tags, openapi31.Tag{Name: tag, Description: new(tagWords(tag))})
	}
	spec.WithMapOfAnythingItem("x-permissions", permissionViews())
	if err := addShared(r, sorted); err != nil {
		return nil, err
	}
	if err := addEvents(r); err != nil {
		return nil, err
	}
	for i := range sorted {
		if op := addedOperation(r, &sorted[i]); !sorted[i].hidden {
			addExamples(spec, op, sorted[i].Meta.Examples)
		}
	}
	for _, schema := range spec.Components.Schemas {
		defaultsToWords(schema)
	}
	out, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the description: %w", err)
	}
	return append(out, '\n'), nil
}

func addOperation(r *openapi31.Reflector, route *Route) error {
	oc, err := r.NewOperationContext(route.Method, route.Path)
	if err != nil {
		return err
	}
	m := route.Meta
	oc.SetID(m.ID)
	oc.SetTags(m.Tag)
	oc.SetSummary(m.Summary)
	description := m.Description
	if route.stream {
		description += " When the credential no longer holds (revoked, expired, membership or role taken away), the event `" + EventClosed +
			"` says so within 30 s and ends the stream; it has no id and is no entry of the log."
	}
	if description != "" {
		oc.SetDescription(strings.TrimSpace(description))
	}
	if route.in != reflect.TypeFor[None]() {
		oc.AddReqStructure(reflect.New(route.in).Elem().Interface())
	}
	addAnswer(oc, route)
	op := operation(oc)
	if route.Permission != auth.Public {
		scopes := scopesOf(route.permissions())
		op.Security = []map[string][]string{{schemeBearer: scopes}, {schemeAPIKey: scopes}}
		op.WithMapOfAnythingItem("x-permission", string(route.Permission))
		if len(scopes) > 1 {
			op.WithMapOfAnythingItem("x-permissions", scopes)
		}
	} else {
		op.Security = []map[string][]string{{}} // none is needed
	}
	if err := r.AddOperation(oc); err != nil {
		return err
	}
	// Shared parts are added to what the reflector made: it would write each of them out in full.
	op = addedOperation(r, route)
	op.Parameters = slices.DeleteFunc(op.Parameters, func(p openapi31.ParameterOrReference) bool {
		return p.Parameter != nil && p.Parameter.Name == "Accept" // the media types of the answer say it (OpenAPI 3.1 §4.8.12.2.1)
	})
	for _, name := range sharedParameters(route) {
		ref := openapi31.ParameterOrReference{}
		ref.WithReference(openapi31.Reference{Ref: "#/components/parameters/" + name})
		op.Parameters = append(op.Parameters, ref)
	}
	for _, code := range problemStatuses(route) {
		status := strconv.Itoa(code)
		if _, taken := op.Responses.MapOfResponseOrReferenceValues[status]; taken {
			continue // an answer of the route's own, as readiness has for 503
		}
		ref := openapi31.ResponseOrReference{}
		ref.WithReference(openapi31.Reference{Ref: "#/components/responses/Problem" + status})
		op.Responses.WithMapOfResponseOrReferenceValuesItem(status, ref)
	}
	addFrames(op, route)
	describeRate(op, route)
	if op.RequestBody != nil && op.RequestBody.RequestBody != nil && route.plan.needsBody {
		op.RequestBody.RequestBody.WithRequired(true)
	}
	return nil
}

func scopesOf(permissions []auth.Permission) []string {
	scopes := make([]string, len(permissions))
	for i, p := range permissions {
		scopes[i] = string(p)
	}
	return scopes
}

func operation(oc openapi.OperationContext) *openapi31.Operation {
	if e, ok := oc.(openapi31.OperationExposer); ok {
		return e.Operation()
	}
	return &openapi31.Operation{}
}

func addedOperation(r *openapi31.Reflector, route *Route) *openapi31.Operation {
	item := r.Spec.Paths.MapOfPathItemValues[route.Path]
	op, err := item.Operation(strings.ToLower(route.Method))
	if err != nil || op == nil {
		return &openapi31.Operation{}
	}
	return op
}

func addAnswer(oc openapi.OperationContext, route *Route) {
	status := route.Meta.Status
	options := []openapi.ContentOption{openapi.WithHTTPStatus(status), func(cu *openapi.ContentUnit) {
		cu.Description = http.StatusText(status)
	}}
	if route.Meta.Creates {
		options = append(options, openapi.WithCustomize(func(cor openapi.ContentOrReference) {
			if resp, ok := cor.(*openapi31.ResponseOrReference); ok {
				resp.Response.WithHeaders(map[string]openapi31.HeaderOrReference{
					"Location":     stringHeader("Where the new resource is."),
					headerReplayed: stringHeader("true when an earlier request with the key was answered this way."),
				})
			}
		}))
	}
	switch {
	case route.stream:
		oc.AddRespStructure("", append(options, openapi.WithContentType(mediaEvents))...)
		oc.AddRespStructure(nil, openapi.WithHTTPStatus(204), func(cu *openapi.ContentUnit) {
			cu.Description = "Nothing follows: do not connect again."
		})
	case route.out == reflect.TypeFor[None]():
		oc.AddRespStructure(nil, options...)
	case route.out == reflect.TypeFor[Raw]():
		media := route.Meta.Produces
		if media == "" {
			media = "application/octet-stream"
		}
		for kind := range strings.SplitSeq(media, ", ") {
			oc.AddRespStructure("", append(slices.Clone(options), openapi.WithContentType(kind))...)
		}
	default:
		oc.AddRespStructure(reflect.New(route.out).Elem().Interface(), options...)
		if route.Meta.Produces != "" { // and another form of the same
			oc.AddRespStructure("", append(slices.Clone(options), openapi.WithContentType(route.Meta.Produces))...)
		}
	}
	for _, other := range route.Meta.Also {
		oc.AddRespStructure(reflect.New(route.out).Elem().Interface(), openapi.WithHTTPStatus(other))
	}
}

// addFrames says what each event of a stream holds. OpenAPI 3.1 has no word of its own for it.
func addFrames(op *openapi31.Operation, route *Route) {
	r := op.Responses.MapOfResponseOrReferenceValues[strconv.Itoa(route.Meta.Status)].Response
	if r == nil || !route.Meta.Events {
		return
	}
	if m, ok := r.Content[mediaEvents]; ok {
		m.WithMapOfAnythingItem(extensionItem, map[string]any{"$ref": "#/components/schemas/" + schemaEvent})
		r.Content[mediaEvents] = m
	}
}

func stringHeader(description string) openapi31.HeaderOrReference {
	var h openapi31.Header
	h.WithDescription(description).WithSchema(map[string]any{"type": "string"})
	return openapi31.HeaderOrReference{Header: &h}
}

func sharedParameters(route *Route) []string {
	names := []string{"RequestId"}
	if route.Permission != auth.Public {
		names = append(names, "TenantId")
	}
	if route.Meta.Creates {
		names = append(names, "IdempotencyKey")
	}
	return names
}

// problemStatuses says which refusals a route can give; every code in use is reachable by some route.
func problemStatuses(route *Route) []int {
	statuses := []int{400, 500, 503, 504}
	if route.Permission != auth.Public {
		statuses = append(statuses, 401, 403, 429)
	}
	// The platform may name a tenant that does not exist, and a change for it finds none.
	if len(route.plan.path) > 0 || route.Permission != auth.Public && route.mutates() {
		statuses = append(statuses, 404)
	}
	if route.Method != http.MethodGet {
		statuses = append(statuses, 409)
	}
	if route.plan.body != nil {
		statuses = append(statuses, 413, 415)
	}
	if route.plan.body != nil || route.plan.rules || route.Meta.Creates {
		statuses = append(statuses, 422)
	}
	return statuses
}

// addShared writes what operations refer to: parameters that the adapter reads and the problems.
func addShared(r *openapi31.Reflector, routes []Route) error {
	c := r.SpecEns().ComponentsEns()
	for name, p := range map[string]openapi31.Parameter{
		"RequestId": headerParameter(headerRequestID, "An id of your own for the request, echoed in the answer; else one is made.",
			map[string]any{"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
		"TenantId": headerParameter(auth.TenantHeader, "The tenant to act in; without it, your default tenant.",
			map[string]any{"type": "string", "format": "uuid"}),
		"IdempotencyKey": headerParameter(headerIdempotencyKey,
			"Makes the request safe to repeat: the same key and body give the first answer again for 24 hours, another body is 422.",
			map[string]any{"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}),
	} {
		c.WithParametersItem(name, openapi31.ParameterOrReference{Parameter: &p})
	}
	schema, err := problemSchema(r)
	if err != nil {
		return err
	}
	c.WithSchemasItem("Problem", schema)
	byStatus := map[int][]fault.Code{}
	for _, code := range fault.Codes() {
		t, _ := translate(code)
		byStatus[t.status] = append(byStatus[t.status], code)
	}
	for i := range routes {
		for _, status := range problemStatuses(&routes[i]) {
			c.WithResponsesItem("Problem"+strconv.Itoa(status), problemResponse(byStatus[status]))
		}
	}
	shareRate(c)
	return nil
}

func problemResponse(codes []fault.Code) openapi31.ResponseOrReference {
	var said []string
	retry := false
	for _, code := range codes {
		t, _ := translate(code)
		said = append(said, fmt.Sprintf("%s (`%s`)", t.title, code))
		retry = retry || t.retry
	}
	var resp openapi31.Response
	resp.WithDescription(strings.Join(said, "; ") + ".")
	content := openapi31.MediaType{Schema: map[string]any{"$ref": "#/components/schemas/Problem"}}
	for _, code := range codes {
		content.WithExamplesItem(string(code), openapi31.ExampleOrReference{
			Example: &openapi31.Example{Value: new(any(problemSample(code)))},
		})
	}
	resp.WithContentItem(problemType, content)
	if retry {
		var h openapi31.Header
		h.WithDescription("Whole seconds to wait before the next try.").
			WithSchema(map[string]any{"type": "integer", "minimum": 1})
		resp.WithHeadersItem("Retry-After", openapi31.HeaderOrReference{Header: &h})
	}
	return openapi31.ResponseOrReference{Response: &resp}
}

func headerParameter(name, description string, schema map[string]any) openapi31.Parameter {
	var p openapi31.Parameter
	p.WithName(name).WithIn(openapi31.ParameterInHeader).WithDescription(description).WithSchema(schema)
	return p
}
