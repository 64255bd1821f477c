package app

import (
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

func TestModels_ADefaultWithoutAProviderStopsTheStart(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]string{"openai/gpt-x": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "acme/m": "builtin"} {
		if _, err := models(config.Models{DefaultModel: model}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "LARI_DEFAULT_MODEL") {
			t.Errorf("%s: error %v, want one that names %s", model, err, want)
		}
	}
	if _, err := models(config.Models{DefaultModel: "default"}); err != nil {
		t.Errorf("with the built-in model alone: %v", err)
	}
}

func TestModelCheck_NamesTheSettingToThePlatformAlone(t *testing.T) {
	t.Parallel()
	router, err := models(config.Models{})
	if err != nil {
		t.Fatal(err)
	}
	for platform, want := range map[bool]string{true: "set ANTHROPIC_API_KEY", false: "ask the operator"} {
		err := modelCheck{router}.CheckModel(scope.With(t.Context(), scope.Scope{Platform: platform}), "anthropic/x", "config.model")
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) || !platform && strings.Contains(err.Error(), "ANTHROPIC_API_KEY") {
			t.Errorf("platform %t: %v", platform, err)
		}
	}
}
