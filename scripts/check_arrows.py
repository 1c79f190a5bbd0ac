#!/usr/bin/env python3
"""Dependencies between our crates only go down (docs/architecture.md), the pure floors reach for no
async, socket, clock or ambient randomness, and the consensus engine stays inside one crate.

Reads `cargo metadata`; prints every offender and exits 1 if there is one.
"""
import json
import subprocess
import sys

FLOORS = {
    "types": 0,
    "lottery": 1, "l1": 1, "preconf": 1, "evidence": 1,
    "chain": 2, "derive": 2, "evm": 2,
    "consensus": 3, "client": 3, "ethrpc": 3, "sim": 3,
    "rollup": 4, "devl1": 4, "contracts": 4,
    # Beside the services, so that none of them can use it.
    "node": 5, "byzantine": 5,
    "cli": 6,
}
IMPURE = {"tokio", "axum", "reqwest", "jsonrpsee", "rand", "redb", "tracing", "futures", "hyper"}
# The execution library keeps its chain on disk; the rest of it is pure.
ALLOWED = {"evm": {"redb"}}
PURE_UP_TO = 2
# A seat that lies speaks the engine's language.
ENGINE = {"consensus", "byzantine"}

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"],
        check=True, capture_output=True, text=True,
    ).stdout
)
offenders = []
for package in metadata["packages"]:
    name = package["name"].removeprefix("cortado-")
    if name not in FLOORS:
        continue
    for dependency in package["dependencies"]:
        if dependency["kind"] is not None:  # tests and build scripts may reach anywhere
            continue
        target = dependency["name"].removeprefix("cortado-")
        if dependency["name"].startswith("cortado-") and FLOORS.get(target, 99) >= FLOORS[name]:
            offenders.append(f"{name} (floor {FLOORS[name]}) uses {target} (floor {FLOORS.get(target, '?')})")
        if FLOORS[name] <= PURE_UP_TO and dependency["name"] in IMPURE - ALLOWED.get(name, set()):
            offenders.append(f"{name} is pure and uses {dependency['name']}")
        if dependency["name"].startswith("commonware") and name not in ENGINE:
            offenders.append(f"{name} uses {dependency['name']}, which belongs inside consensus")
if offenders:
    print("\n".join(offenders))
    sys.exit(1)
print("arrows only go down")
