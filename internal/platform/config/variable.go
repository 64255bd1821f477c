package config

import "reflect"

// variable is one field of a Config with its tags.
type variable struct {
	name      string
	byDefault string
	rule      string
	low, high string // limits as the tags give them; empty: none
	doc       string
	section   string // heading of the reference page that begins here; empty: none
	emptyNone bool
	value     reflect.Value // the field itself
}

// variables lists the variables of a configuration in the order of declaration.
func variables(c *Config) []variable { return collect(reflect.ValueOf(c).Elem(), "") }

func collect(group reflect.Value, section string) []variable {
	var out []variable
	for i := range group.NumField() {
		field := group.Type().Field(i)
		if heading, ok := field.Tag.Lookup("section"); ok {
			section = heading
		}
		name, ok := field.Tag.Lookup("env")
		if !ok {
			out = append(out, collect(group.Field(i), section)...)
			section = ""
			continue
		}
		out = append(out, variable{
			name:      name,
			byDefault: field.Tag.Get("default"),
			rule:      field.Tag.Get("rule"),
			low:       field.Tag.Get("min"),
			high:      field.Tag.Get("max"),
			doc:       field.Tag.Get("doc"),
			section:   section,
			emptyNone: field.Tag.Get("empty") == "none",
			value:     group.Field(i),
		})
		section = ""
	}
	return out
}
