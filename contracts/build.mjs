#!/usr/bin/env node
// Compiles `src` and writes what other builds read: `artifacts/NAME.json` with the ABI and the bytecode of each
// contract. `--check` writes nothing and fails if the committed artifacts are not what the sources compile to.

import { createRequire } from "node:module";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const root = dirname(fileURLToPath(import.meta.url));
const check = process.argv.includes("--check");

// What is deployed or called from outside. Interfaces have an empty bytecode.
const contracts = JSON.parse(readFileSync(join(root, "artifacts.json"), "utf8"));

// The same settings as in foundry.toml, so that what is tested is what is deployed.
const settings = {
  evmVersion: "osaka",
  viaIR: true,
  optimizer: { enabled: true, runs: 1000 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] } },
};

// What is read by proof of storage, and so must stay where it is: [label, slot, bytes before it in the slot, bytes].
const registryLayout = {
  variables: [
    ["latest", 1, 0, 32],
    ["_settlements", 10, 0, 32],
  ],
  settlement: [
    ["price", 0, 0, 8],
    ["priced", 0, 8, 6],
    ["epoch", 0, 14, 6],
    ["seats", 0, 20, 2],
  ],
};

// The largest code a contract may have (EIP-170).
const CODE_BYTES_MAX = 24_576;

function sourcesOf(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourcesOf(path);
    return entry.name.endsWith(".sol") ? [path] : [];
  });
}

function find(path) {
  const mapped = path.replace(/^solady\//, "solady/src/");
  const file = join(root, "node_modules", mapped);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `${path} is not installed` };
}

const paths = sourcesOf(join(root, "src")).sort();
const sources = Object.fromEntries(
  paths.map((path) => [relative(root, path), { content: readFileSync(path, "utf8") }]),
);
const input = { language: "Solidity", sources, settings };
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find }));
// Warnings in the libraries are theirs.
const ours = (error) => error.severity === "error" || error.sourceLocation?.file.startsWith("src/");
const complaints = (output.errors ?? []).filter(ours).map((error) => error.formattedMessage);
if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  process.exit(1);
}

const wrong = [];

/** Compares where solc puts things with where they are promised to be. */
function checkLayout({ storage, types }) {
  const compare = (want, members, where) => {
    for (const [label, slot, offset, bytes] of want) {
      const found = members.find((member) => member.label === label);
      const got = found && [Number(found.slot), found.offset, Number(types[found.type].numberOfBytes)];
      if (`${got}` !== `${[slot, offset, bytes]}`) {
        wrong.push(`${where}.${label} is at ${got} (slot, offset, bytes), promised is ${[slot, offset, bytes]}`);
      }
    }
  };
  compare(registryLayout.variables, storage, "Registry");
  const mapping = types[storage.find(({ label }) => label === "_settlements")?.type];
  const settlement = types[mapping?.value];
  compare(registryLayout.settlement, settlement?.members ?? [], "Settlement");
  if (settlement?.numberOfBytes !== "32" || types[mapping.key].numberOfBytes !== "32") {
    wrong.push("a settlement is one slot, under a key of 32 bytes");
  }
}
checkLayout(output.contracts["src/Registry.sol"].Registry.storageLayout);

const made = new Set();
mkdirSync(join(root, "artifacts"), { recursive: true });
for (const [source, name] of contracts) {
  const found = output.contracts[source]?.[name];
  if (!found) {
    wrong.push(`${source} has no contract ${name}`);
    continue;
  }
  const size = found.evm.deployedBytecode.object.length / 2;
  if (size > CODE_BYTES_MAX) wrong.push(`${name} has ${size} bytes of code, the limit is ${CODE_BYTES_MAX}`);
  const artifact = { contractName: name, sourceName: source, abi: found.abi, bytecode: `0x${found.evm.bytecode.object}` };
  const text = `${JSON.stringify(artifact, null, 1)}\n`;
  const file = join(root, "artifacts", `${name}.json`);
  made.add(`${name}.json`);
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (check && before !== text) wrong.push(`artifacts/${name}.json is not what ${source} compiles to`);
  if (!check) writeFileSync(file, text);
  console.log(`${name.padEnd(24)} ${String(size).padStart(6)} bytes of code`);
}
for (const name of readdirSync(join(root, "artifacts"))) {
  if (made.has(name)) continue;
  if (check) wrong.push(`artifacts/${name} belongs to no contract`);
  else rmSync(join(root, "artifacts", name));
}
if (wrong.length > 0) {
  console.error(wrong.join("\n"));
  console.error("run `node build.mjs` in contracts/ and commit what it writes");
  process.exit(1);
}
