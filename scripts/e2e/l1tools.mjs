// The tools that bend the embedded L1, the tool that refers to it, and an attester with two endpoints of L1, of which
// one is a proxy that lies and lags.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { attested } from "./lib/attested.mjs";
import { Devnet, binary } from "./lib/devnet.mjs";
import { get, post, rpc } from "./lib/rpc.mjs";
import { sleep, until } from "./lib/until.mjs";

const SLOT_MS = 1_000;
const SLOTS_PER_EPOCH = 8;
const WAIT_MS_MAX = 60_000;

const cast = fileURLToPath(new URL("node_modules/@foundry-rs/cast-linux-amd64/bin/cast", import.meta.url));
const run = promisify(execFile);

let devnet;
let l1;

before(async () => {
  devnet = await Devnet.fresh("--rollups", "1", "--l1-slot-ms", String(SLOT_MS), "--processes");
  l1 = devnet.json.l1.rpc;
});
after(() => devnet?.stop());

/** Runs a command on the devnet; its output, or what it said when it failed. */
async function cortado(...args) {
  try {
    return await run(binary, [...args, "--data-dir", devnet.dir], { timeout: 2 * WAIT_MS_MAX });
  } catch (error) {
    if (error.code !== 1) throw error;
    return { stdout: error.stdout, stderr: error.stderr };
  }
}

const block = (tag) => rpc(l1, "eth_getBlockByNumber", typeof tag === "number" ? `0x${tag.toString(16)}` : tag, false);
const number = async (tag) => Number((await block(tag)).number);
const status = (attester) => get(`${devnet.json.attesters[attester].api}/v1/status`);

/** Waits until so many blocks are above the finalised one. */
const deep = (blocks) =>
  until("unfinalised blocks", WAIT_MS_MAX, async () => (await number("latest")) - (await number("finalized")) >= blocks);

test("a transaction sent with the printed reference is executed", async () => {
  const { stdout, stderr } = await cortado("reference");
  const [{ address, storageKeys }] = JSON.parse(stdout);
  assert.equal(address, "0x000000000000000000000000000000000000c0f0");
  const named = await rpc(l1, "eth_getBlockByHash", storageKeys[0], false);
  assert.ok(Number(named.number) <= (await number("finalized")));
  assert.match(stderr, /finalized/);
  const line = stderr.split("\n").find((line) => line.startsWith("cast send"));
  assert.ok(line.includes(stdout.trim()));
  if (!existsSync(cast)) {
    assert.notEqual(process.env.CI, "true", `no ${cast}: npm ci`);
    return;
  }
  const sent = await run("sh", ["-c", `${line.replace("cast", cast)} --async`]);
  const url = devnet.json.rollups[0].rpc;
  const receipt = await attested(url, sent.stdout.trim());
  assert.equal(receipt.status, "0x1");
  const { accessList } = await rpc(url, "eth_getTransactionByHash", sent.stdout.trim());
  assert.deepEqual(accessList, [{ address, storageKeys }]);
});

test("reorg replaces the last blocks, and every pointer follows the heavier fork", async () => {
  await deep(4);
  const { stdout, stderr } = await cortado("l1", "reorg", "--depth", "3");
  const row = (name) => {
    const found = stdout.match(new RegExp(`${name.replace("*", "\\*")} +┆ (\\d+) (0x[0-9a-f]{64})`));
    assert.ok(found, `${name} in ${stdout} ${stderr}`);
    return { number: Number(found[1]), hash: found[2] };
  };
  const [old, head, pointer] = [row("old head"), row("new head"), row("L1* after")];
  assert.equal(head.number, old.number + 1, "one block heavier");
  assert.notEqual((await block(old.number)).hash, old.hash);
  assert.equal((await block(pointer.number)).hash, pointer.hash);
  assert.ok(pointer.number > old.number - 3);
  for (const at of devnet.json.attesters.keys()) {
    await until(`pointer of attester ${at}`, WAIT_MS_MAX, async () => {
      const { l1_head } = await status(at);
      return l1_head.number >= head.number && (await block(l1_head.number)).hash === l1_head.hash;
    });
  }
});

test("depths that are not possible are refused with the limit", async () => {
  assert.match((await cortado("l1", "reorg", "--depth", "0")).stderr, /--depth is 0: .*the least is 1/);
  assert.match((await cortado("l1", "reorg", "--depth", "9999")).stderr, /--depth is 9999, the limit is \d+: .*is final/);
  assert.match((await cortado("l1", "missed", "--slots", "0")).stderr, /--slots is 0, it must be within 1 and 1024/);
  const rollup = devnet.json.rollups[0].rpc;
  await assert.rejects(run(binary, ["l1", "missed", "--slots", "1", "--url", rollup]), /is no embedded L1/);
});

test("missed slots bring no block, and the next one does", async () => {
  const { stdout } = await cortado("l1", "missed", "--slots", "4");
  assert.match(stdout, /the next 4 slots bring no block/);
  const stands = Number(stdout.match(/block (\d+)/)[1]);
  await sleep(3 * SLOT_MS);
  // A slot may have begun while the command ran.
  assert.ok((await number("latest")) <= stands + 1);
  await until("the next block", WAIT_MS_MAX, async () => (await number("latest")) > stands + 1);
});

test("finality stands while it is stalled and goes on when it is not", async () => {
  assert.match((await cortado("l1", "stall-finality")).stdout, /finality stands still at block \d+/);
  const [stands, head] = [await number("finalized"), await number("latest")];
  await until("two epochs", WAIT_MS_MAX, async () => (await number("latest")) > head + 2 * SLOTS_PER_EPOCH);
  assert.equal(await number("finalized"), stands);
  assert.match((await cortado("l1", "stall-finality", "--off")).stdout, /finality goes on/);
  await until("finality", WAIT_MS_MAX, async () => (await number("finalized")) > stands);
});

test("the state of the L1 is shown", async () => {
  const { stdout } = await cortado("status");
  assert.match(stdout, /L1\* +┆ \d+ 0x[0-9a-f]{64} \(\d+ blocks under the L1's tip\)/);
  assert.match(stdout, /L1 endpoint ┆ http:\/\/127\.0\.0\.1:\d+ used, head \d+/);
});

/** Passes questions on to the L1, and alters the answers as `mode` says. */
async function proxy() {
  const frozen = new Map();
  const self = { mode: "honest" };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { method, params } = JSON.parse(body);
    const { answer } = await post(l1, body);
    const tag = method === "eth_getBlockByNumber" && /^[a-z]+$/.test(params[0]) ? params[0] : null;
    if (tag && self.mode === "lag") answer.result = frozen.get(tag) ?? answer.result;
    if (tag && answer.result) frozen.set(tag, answer.result);
    if (tag && self.mode === "lie" && answer.result) answer.result = { ...answer.result, gasUsed: "0x7" };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  self.shown = `http://127.0.0.1:${server.address().port}`;
  self.url = `${self.shown}/s3cr3t`;
  self.close = () => server.close().closeAllConnections();
  return self;
}

test("an attester leaves an endpoint that lies or lags for its second one, and comes back", async (t) => {
  const first = await proxy();
  t.after(() => first.close());
  const name = "attester-0";
  const config = join(devnet.dir, `${name}.toml`);
  const text = readFileSync(config, "utf8");
  assert.ok(text.includes(`rpc = "${l1}"`), text);
  writeFileSync(config, text.replace(`rpc = "${l1}"`, `rpc = ["${first.url}", "${l1}"]`));
  await devnet.killPart(name);
  devnet.restartPart(name);
  const states = (...want) =>
    until(`endpoints ${want}`, WAIT_MS_MAX, async () => {
      const { l1_node } = await status(0);
      const states = l1_node?.endpoints.map(({ state }) => state);
      return String(states) === String(want) && l1_node;
    });
  const honest = await states("used", "ready");
  assert.equal(honest.endpoints[0].url, first.shown, "without what may be secret");

  first.mode = "lie";
  const lied = await states("lying", "used");
  assert.match(lied.endpoints[0].error, /hashes to/);
  const pointer = (await status(0)).l1_head.number;
  await until("the pointer", WAIT_MS_MAX, async () => (await status(0)).l1_head.number > pointer + 2);

  first.mode = "honest";
  await states("used", "ready");
  first.mode = "lag";
  const lagged = await states("lagging", "used");
  assert.ok(lagged.waits.some((wait) => /lags \d+ L1 slots behind/.test(wait)), lagged.waits.join());
  const { stdout } = await cortado("status");
  assert.match(stdout, new RegExp(`waits +┆ endpoint ${first.shown} lags`));
  // A reorg while it lags: what it says meanwhile is of the fork that is gone.
  await deep(4);
  assert.match((await cortado("l1", "reorg", "--depth", "2")).stdout, /L1\* after +┆ \d+ 0x/);
  first.mode = "honest";
  await states("used", "ready");
});
