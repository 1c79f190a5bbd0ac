#!/usr/bin/env python3
"""Every row of docs/defences.md names tests that exist.

The last cell of a row holds names in backticks, separated by commas: `crate::test_function`,
`contracts::test_function` for Solidity, or `e2e/script.mjs`, or `verify/script`. Prints every name that leads nowhere, and every row that names nothing, and exits 1
if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/defences.md"

# `#[test]`, `#[tokio::test(…)]` and further attributes, also inside proptest!.
TEST = re.compile(
    r"#\[(?:\w+::)*test[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async\s+)?fn\s+(\w+)", re.MULTILINE
)
# Tests and invariants that forge runs.
SOLIDITY = re.compile(r"function ((?:test|invariant)_\w+)\(")
ROW = re.compile(r"^\|(?!\s*[-:])(.+)\|\s*$")
NAME = re.compile(r"`([^`]+)`")


def tests_of(crate: pathlib.Path) -> set[str]:
    return {name for file in crate.rglob("*.rs") for name in TEST.findall(file.read_text())}


def solidity_tests() -> set[str]:
    files = (ROOT / "contracts/test").glob("*.t.sol")
    named = {name for file in files for name in SOLIDITY.findall(file.read_text())}
    return {name.removeprefix("test_") for name in named}


def exists(name: str, known: dict[str, set[str]]) -> bool:
    if "::" in name:
        crate, test = name.split("::", 1)
        return test in known.get(crate, set())
    return (ROOT / "scripts" / name).is_file()


def main() -> int:
    known = {crate.name: tests_of(crate) for crate in (ROOT / "crates").iterdir() if crate.is_dir()}
    # The contracts and the crate that speaks to them share a name here.
    known.setdefault("contracts", set()).update(solidity_tests())
    wrong, rows, named = [], 0, set()
    in_table = False
    for number, line in enumerate(DOCUMENT.read_text().splitlines(), 1):
        row = ROW.match(line)
        if not row:
            in_table = in_table and line.startswith("|")
            continue
        if not in_table:  # the heading
            in_table = True
            continue
        rows += 1
        names = NAME.findall(row[1].rsplit("|", 1)[-1])
        if not names:
            wrong.append(f"line {number}: no test is named")
        wrong += [f"line {number}: no test {name}" for name in names if not exists(name, known)]
        named.update(names)
    if wrong:
        print("\n".join(wrong))
        return 1
    print(f"{rows} defences, {len(named)} tests, all in the tree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
