package main

import "testing"

func TestOnlyPinnedToolsAreBuilt(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"nothing": nil, "no version": {"example.org/tool"}, "moving version": {"example.org/tool@latest"}, "two": {"example.org/a@v1.0.0", "example.org/b@v1.0.0"},
	} {
		if path, err := find(t.Context(), args); err == nil {
			t.Errorf("%s: got the path %q", name, path)
		}
	}
}
