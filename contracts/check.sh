#!/usr/bin/env bash
# What CI runs for the contracts, in a fresh clone. `fixtures.mjs` uses a file of ../scripts/verify, whose packages
# must be installed.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
npm ci --no-fund --no-audit --ignore-scripts --loglevel=error
PATH=$PWD/node_modules/@foundry-rs/forge-linux-amd64/bin:$PATH
forge fmt --check
node build.mjs --check
# Also makes the calls with mutated certificates, for the tests.
node fixtures.mjs --check
# Gas must be what contracts/snapshots says; without the variable forge writes it anew.
FORGE_SNAPSHOT_CHECK=true forge test
# Every finding is explained in ../docs/contracts.md.
python3 -m venv cache/venv
cache/venv/bin/pip install --quiet --disable-pip-version-check --requirement slither-requirements.txt
node slither.mjs
cache/venv/bin/python slither.py
