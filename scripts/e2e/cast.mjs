// What the README tells people to type, typed: every step is a run of `cast`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ATTESTED_MS_MAX, attested, promised } from "./lib/attested.mjs";
import { bytecode } from "./lib/counter.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { rpc } from "./lib/rpc.mjs";
import { until } from "./lib/until.mjs";

const shipped = fileURLToPath(
  new URL("node_modules/@foundry-rs/cast-linux-amd64/bin/cast", import.meta.url),
);
const binary = existsSync(shipped) ? shipped : "cast";
const run = promisify(execFile);

let devnet;
let url;
let from;
let to;

before(async () => {
  devnet = await Devnet.any();
  url = devnet.json.rollups[0].rpc;
  [from, to] = devnet.json.accounts;
});
after(() => devnet?.stop());

/** Runs cast against the first rollup and returns what it printed. */
async function cast(command, ...args) {
  const { stdout } = await run(binary, [command, "--rpc-url", url, ...args], {
    env: { ...process.env, NO_COLOR: "1", RUST_LOG: "off" },
    timeout: 60_000,
  });
  return stdout.trim();
}

/** `cast send` counts nonces at `latest`, so what was sent before has to be attested. */
async function send(...args) {
  const count = (tag) => rpc(url, "eth_getTransactionCount", from.address, tag);
  const caughtUp = async () => (await count("latest")) === (await count("pending"));
  await until("attestation of what was sent before", ATTESTED_MS_MAX, caughtUp);
  return cast("send", "--private-key", from.private_key, ...args);
}

const words = (text) => text.split(/\s+/)[0];

test("the rollup's namespace is its chain id", async () => {
  assert.equal(Number(await cast("chain-id")), devnet.json.rollups[0].namespace);
});

test("a funded account has ether on every rollup and on the L1", async () => {
  for (const { rpc } of [...devnet.json.rollups, devnet.json.l1]) {
    const { stdout } = await run(binary, ["balance", "--rpc-url", rpc, to.address]);
    assert.ok(BigInt(stdout.trim()) > 10n ** 18n, `${stdout.trim()} wei on ${rpc}`);
  }
});

test("ether that was sent is pending at once and latest after attestation", async () => {
  const before = BigInt(await cast("balance", to.address));
  const nonce = Number(await cast("nonce", "--block", "pending", from.address));
  const hash = await send("--async", "--value", "1ether", to.address);
  const receipt = await promised(url, hash);
  assert.equal(receipt.status, "0x1");
  assert.equal(Number(await cast("nonce", "--block", "pending", from.address)), nonce + 1);
  assert.equal(BigInt(await cast("balance", "--block", "pending", to.address)), before + 10n ** 18n);
  await attested(url, hash);
  assert.equal(BigInt(await cast("balance", "--block", "latest", to.address)), before + 10n ** 18n);
});

test("a transaction has a promise, signed by its proposer", async () => {
  const hash = await send("--async", "--value", "1", to.address);
  await promised(url, hash);
  const promise = JSON.parse(await cast("rpc", "cortado_getPromise", hash));
  assert.ok(promise, "an acknowledged transaction has a promise");
  assert.ok(JSON.stringify(promise).includes(hash.slice(2)), "the promise names the transaction");
  const status = JSON.parse(await cast("rpc", "cortado_status", hash));
  assert.ok(status, "an acknowledged transaction has a status");
});

test("a contract is deployed, called and read, and its events are found", async () => {
  const deployed = JSON.parse(await send("--json", "--create", bytecode));
  assert.equal(deployed.status, "0x1");
  const counter = deployed.contractAddress;
  assert.notEqual(await cast("code", "--block", "pending", counter), "0x");

  const added = JSON.parse(await send("--json", counter, "add(uint256)", "42"));
  assert.equal(added.status, "0x1");
  assert.equal(added.logs.length, 1);
  const count = async (tag) => words(await cast("call", "--block", tag, counter, "count()(uint256)"));
  assert.equal(await count("pending"), "42");

  await attested(url, added.transactionHash);
  assert.equal(await count("latest"), "42");
  assert.equal(BigInt(await cast("storage", counter, "0")), 42n);
  const logs = JSON.parse(
    await cast("logs", "--json", "--from-block", "0", "--address", counter, "Counted(address indexed,uint256)"),
  );
  assert.deepEqual(logs.map((log) => log.transactionHash), [added.transactionHash]);
  const receipt = JSON.parse(await cast("receipt", "--json", added.transactionHash));
  assert.equal(receipt.blockHash, logs[0].blockHash);
});

test("a call that reverts says why", async () => {
  const { contractAddress: counter } = JSON.parse(await send("--json", "--create", bytecode));
  const refused = (n) => cast("call", "--block", "pending", counter, "add(uint256)", n);
  await assert.rejects(refused("0"), /nothing to add/);
  await assert.rejects(refused("101"), /TooMany|0xc3e33c99/);
});

test("gas is cheap and priced", async () => {
  assert.equal(await cast("estimate", to.address, "--value", "1", "--from", from.address), "21000");
  assert.ok(BigInt(await cast("gas-price")) >= 1n);
  assert.ok(BigInt(await cast("base-fee")) >= 1n);
});
