package alpha

import (
	renamed "example.org/broken/internal/platform/postgres"
)

var _ = renamed.AsSystem
