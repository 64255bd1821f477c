# Lari. `make` lists the targets.
#
# What the targets need beyond Go, git, make and gcc they prepare themselves: Postgres with pgvector and
# Temporal (internal/platform/devstack), linters (tests/gotool); built once, kept in this user's cache.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test announce lint fmt bench chaos fuzz fuzz-api generate clean

# Pinned, so that every machine says the same.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
WORKFLOWCHECK := go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0

# Set on the command line only: a variable of the environment must not leave tests out.
PKG     :=
RUN     :=
FLAGS   :=
ARGS    :=
TIMEOUT := 45m
FUZZTIME := 10s

gotool = go run ./tests/gotool
stack  = go run ./tests/stack --

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  make run ARGS=--split                     API and worker as processes of their own\n'
	@printf '  make test PKG=./internal/runs/... RUN=TestCancel   some tests only, without lint\n'
	@printf '  make test PKG=./api FLAGS="-v -count=5"            with further flags of go test\n'

# exec: Ctrl-C and SIGTERM reach lari itself, which stops what it started.
run: ## run everything on this machine: Postgres, Temporal, API, worker
	@test -e bin/lari || echo 'building lari: the first time some minutes, for its modules are downloaded and compiled'
	@go build -o bin/lari ./cmd/lari
	@exec ./bin/lari dev $(ARGS)

# -count=1: go test does not see that files outside of a module have changed, and tests/promql reads deploy and docs.
ifeq ($(strip $(PKG)$(RUN)),)
test: announce lint ## lint, then all tests under the race detector, on a Postgres and a Temporal of their own
	@./tests/webhooks/node/prepare.sh
	@$(stack) go test -race -timeout $(TIMEOUT) $(FLAGS) ./...
	@cd tests/promql && go test -count=1 -timeout $(TIMEOUT) ./...
	@$(stack) go -C tests/dashboards test -count=1 -timeout $(TIMEOUT) ./...
announce:
	@echo 'lint, then all tests under the race detector; on two cores about 15 minutes, the first time about 25'
else
test:
	@go run ./tests/stack -some -- go test -race -timeout $(TIMEOUT) $(if $(RUN),-run '$(RUN)') $(FLAGS) $(or $(PKG),./...)
endif

# From cheap to expensive. The first step is the law of the house (imports, SQL, state, registry hosts).
lint: ## check the law of the house, go.mod, the API's description, workflow determinism, formatting and all linters
	@go test -timeout $(TIMEOUT) ./tests/arch
	@go mod tidy -diff
	@cd tests/promql && go mod tidy -diff
	@cd tests/dashboards && go mod tidy -diff
	@cd tests/openapi/client && go mod tidy -diff
	@./tests/openapi/lint/lint.sh
	@set -e; check=$$($(gotool) $(WORKFLOWCHECK)); \
	  if ! found=$$("$$check" ./worker/... ./workflows/... 2>&1); then \
	    printf '%s\n' "$$found" "workflowcheck: workflow code does what a replay cannot repeat" >&2; exit 1; fi
	@set -e; linter=$$($(gotool) $(GOLANGCI_LINT)); "$$linter" run --timeout $(TIMEOUT) ./...; \
	  for module in tests/promql tests/dashboards; do (cd $$module && "$$linter" run --timeout $(TIMEOUT) ./...); done

fmt: ## format the Go code
	@set -e; linter=$$($(gotool) $(GOLANGCI_LINT)); "$$linter" fmt ./...

bench: ## measure on this machine: the HTTP adapter alone, then whole runs
	@go test -run '^$$' -bench . -benchmem $(FLAGS) ./api ./internal/platform/auth ./internal/platform/telemetry
	@$(stack) go test -count=1 -timeout 30m -v ./tests/bench -figures
	@$(stack) go test -count=1 -timeout 10m -v ./tests/flood -figures

# Short forms (40 runs; Postgres away for 15 s) are part of make test. FLAGS="-storm-seed N" draws the same chances again.
chaos: ## kill workers, APIs and connections under 300 runs, close some through Temporal, take Postgres away for 30 s and 5 min under 300 others, and demand that nothing is lost
	@$(stack) go test -race -count=1 -timeout 40m -v ./tests/chaos -run '^(TestStorm|TestOutages)$$' -storm-runs 300 -outages 30s,5m $(FLAGS)
	@$(stack) go test -race -count=1 -timeout 20m -v ./tests/outage -run '^TestPostgresAway_' -away 30s
	@$(stack) go test -race -count=1 -timeout 20m -v ./tests/outage -run '^TestPostgresAway_' -away 5m

# The tests compare what is generated with what is in the tree, so that nothing goes stale.
generate: ## write generated and golden files anew: the API's description, the events, the pages of configuration and metrics, the dashboards
	@go test ./api -run '^TestGolden$$' -update
	@go test ./internal/event -run '^TestEnvelopesAreAsPublished$$' -update
	@go test ./internal/platform/config -run '^TestReferenceIsFresh$$' -update
	@go test ./internal/platform/telemetry -run '^TestCatalogueIsFresh$$' -update
	@go -C tests/dashboards run . ../../deploy/grafana

# 1,000 of them are part of make test. FLAGS="-fuzz-seed N" draws the same chances again, "-fuzz-only K" with it sends
# the K-th alone; "-race" works too, and takes long.
fuzz-api: ## send 20,000 requests made from the API's description, good and bad ones, and demand that none breaks a promise
	@$(stack) go test -count=1 -timeout 20m -v ./tests/fuzzapi -run '^TestRequests$$' -fuzz-requests 20000 -fuzz-seed 0 $(FLAGS)

# What is found is kept in testdata/fuzz of its package: it becomes a seed, which make test runs.
fuzz: ## let every fuzz target look for bad input, FUZZTIME each (10s)
	@set -e; for folder in $$(grep -rl --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
	  for target in $$(grep -h '^func Fuzz' $$folder/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/'); do \
	    echo "$$folder $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $(FLAGS) $$folder; done; done

clean: ## remove what was built and the state of `make run` (.lari); the cache of tools stays
	@if pid=$$(cat .lari/lock 2>/dev/null) && kill -0 "$$pid" 2>/dev/null; then \
	  echo "lari dev is running (process $$pid): stop it first" >&2; exit 1; fi
	@rm -rf bin dist .lari coverage.*
