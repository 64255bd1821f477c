#!/bin/sh
# Lints the API's description and generates clients from it, in Go and in TypeScript, to see that they compile and ask of
# a caller no more than the API does. What needs Node is installed once for each lock file. It is no reason to fail on a
# machine where the rest of the project needs no Node; where CI is set, the machine owes one.
set -eu
cd "$(dirname "$0")"

generator=$(go run ../../gotool github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2)
"$generator" -generate types -package client -o ../client/lari.gen.go ../../../api/testdata/openapi.golden.json
go -C ../client vet .
go -C ../client test .

without() {
  echo "NOT LINTED: the API's description: $1" >&2
  if [ -n "${CI:-}" ]; then exit 1; fi
  exit 0
}

command -v node >/dev/null || without "there is no node on PATH"
command -v npm >/dev/null || without "there is no npm on PATH"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  without "the linter needs Node 20.19, this is $(node --version)"

if ! cmp -s package-lock.json node_modules/.installed; then
  if ! said=$(npm ci --ignore-scripts --no-audit --no-fund 2>&1); then
    echo "$said" >&2
    without "npm ci failed"
  fi
  cp package-lock.json node_modules/.installed
fi

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
if ! said=$(./node_modules/.bin/redocly lint --config redocly.yaml --format=stylish lari@v1 2>&1); then
  echo "$said" >&2
  exit 1
fi
node clients.mjs
