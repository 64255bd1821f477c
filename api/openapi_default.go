package api

import (
	"encoding/json"
	"strings"
)

// defaultsToWords moves the defaults of properties, at any depth, into their descriptions. Generators of clients take
// a property with a default for one that is always there, and then demand it in requests (openapi-typescript).
func defaultsToWords(schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for _, p := range properties {
		property, ok := p.(map[string]any)
		if !ok {
			continue
		}
		if value, has := property["default"]; has {
			delete(property, "default")
			words, _ := property["description"].(string)
			property["description"] = strings.TrimSpace(words + " Default: " + defaultWords(value) + ".")
		}
		defaultsToWords(property)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		defaultsToWords(items)
	}
}

func defaultWords(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(encoded)
}
