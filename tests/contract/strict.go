package contract

// closeAll closes every object schema of the document that says nothing about further properties.
func closeAll(doc map[string]any) {
	components := object(doc["components"])
	for _, s := range object(components["schemas"]) {
		closeSchema(object(s))
	}
	for _, r := range object(components["responses"]) {
		closeContent(object(r))
	}
	for _, item := range object(doc["paths"]) {
		for _, op := range object(item) {
			for _, r := range object(object(op)["responses"]) {
				closeContent(object(r))
			}
		}
	}
}

func closeContent(r map[string]any) {
	for _, m := range object(r["content"]) {
		closeSchema(object(object(m)["schema"]))
	}
}

// closeSchema knows where schemas stand in a schema, so that a property may be named as a keyword is.
func closeSchema(s map[string]any) {
	if s == nil {
		return
	}
	_, says := s["additionalProperties"]
	_, has := s["properties"]
	if has && !says {
		s["additionalProperties"] = false
	}
	for _, keyword := range []string{"properties", "patternProperties", "$defs"} {
		for _, p := range object(s[keyword]) {
			closeSchema(object(p))
		}
	}
	for _, keyword := range []string{"items", "additionalProperties"} {
		closeSchema(object(s[keyword]))
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		for _, p := range list(s[keyword]) {
			closeSchema(object(p))
		}
	}
}
