#!/usr/bin/env node
// Writes cache/slither/build-info for slither: the syntax trees of `src` and of what it imports, in the shape of
// forge's build information. Trees need no code generation, so this takes seconds. See slither.py.

import { createRequire } from "node:module";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const root = dirname(fileURLToPath(import.meta.url));

const sources = {};
function add(path, content) {
  sources[path] ??= { content };
}
function find(path) {
  const file = join("node_modules", path.replace(/^solady\//, "solady/src/"));
  if (!existsSync(join(root, file))) return { error: `${path} is not installed` };
  const contents = readFileSync(join(root, file), "utf8");
  return { contents };
}
for (const entry of readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith(".sol")) continue;
  const path = join(entry.parentPath, entry.name);
  add(relative(root, path), readFileSync(path, "utf8"));
}
const settings = {
  evmVersion: "osaka",
  viaIR: true,
  optimizer: { enabled: true, runs: 1000 },
  remappings: ["@openzeppelin/=node_modules/@openzeppelin/", "solady/=node_modules/solady/src/"],
  outputSelection: { "*": { "": ["ast"], "*": ["abi", "evm.methodIdentifiers"] } },
};
const input = { language: "Solidity", sources, settings };
const byPath = (path) => {
  const file = join(root, path);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : find(path);
};
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: byPath }));
const failed = (output.errors ?? []).filter((error) => error.severity === "error");
if (failed.length > 0) {
  console.error(failed.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
for (const file of Object.values(output.contracts)) {
  for (const contract of Object.values(file)) {
    contract.evm = { methodIdentifiers: contract.evm?.methodIdentifiers ?? {} };
    for (const code of ["bytecode", "deployedBytecode"]) contract.evm[code] = { object: "", sourceMap: "" };
  }
}
const folder = join(root, "cache", "slither", "build-info");
mkdirSync(folder, { recursive: true });
const version = solc.version().split("+")[0];
const text = JSON.stringify({ id: "slither", solcVersion: version, input, output });
writeFileSync(join(folder, "slither.json"), text);
