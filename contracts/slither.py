#!/usr/bin/env python3
"""Runs slither over `src`; every finding of high or medium impact must be explained in docs/contracts.md.

Needs cache/slither (see slither.mjs), forge's folder in PATH and slither (slither-requirements.txt). A row of the table
under "## Slither" is `| detector | place | why |`, the place being contract and function. Prints what is not explained
and what is explained but not found, and exits 1 if there is any.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "docs/contracts.md"
ROW = re.compile(r"^\| `([\w-]+)` \| `([\w.]+)` \| \S")


def explained() -> set[tuple[str, str]]:
    section = DOCUMENT.read_text().split("## Slither", 1)[1].split("\n## ", 1)[0]
    return {match.groups() for match in map(ROW.match, section.splitlines()) if match}


def place(element: dict) -> str:
    """Contract and function of what a finding points at."""
    while element["type"] not in ("function", "contract"):
        element = element["type_specific_fields"]["parent"]
    if element["type"] == "contract":
        return element["name"]
    return f"{element['type_specific_fields']['parent']['name']}.{element['name']}"


def findings() -> set[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [
            *(str(pathlib.Path(sys.executable).parent / "slither"), "."),
            *("--compile-force-framework", "foundry", "--foundry-ignore-compile"),
            *("--foundry-out-directory", "cache/slither", "--filter-paths", "node_modules"),
            *("--exclude-low", "--exclude-informational", "--exclude-optimization"),
            *("--json", str(report)),
        ]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
        if not report.exists():
            sys.exit(f"slither did not run:\n{done.stdout}{done.stderr}")
        result = json.loads(report.read_text())
    if not result["success"]:
        sys.exit(f"slither failed: {result['error']}")
    found = result["results"].get("detectors", [])
    return {(finding["check"], place(finding["elements"][0])) for finding in found}


def main() -> int:
    found, known = findings(), explained()
    wrong = [f"not explained: {check} in {where}" for check, where in sorted(found - known)]
    wrong += [f"explained, but not found: {check} in {where}" for check, where in sorted(known - found)]
    print("\n".join(wrong) or f"slither: {len(found)} findings of high or medium impact, all explained")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
