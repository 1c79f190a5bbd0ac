#!/usr/bin/env bash
# What CI runs for the contracts, in a fresh clone. `fixtures.mjs` uses a file of ../scripts/verify, whose packages
# must be installed.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
npm ci --no-fund --no-audit --ignore-scripts --loglevel=error
forge=node_modules/@foundry-rs/forge-linux-amd64/bin/forge
"$forge" fmt --check
node build.mjs --check
node fixtures.mjs --check
# Gas must be what contracts/snapshots says; without the variable forge writes it anew.
FORGE_SNAPSHOT_CHECK=true "$forge" test
