// A devnet on an L1 that is not its own: the embedded one, run alone by `cortado l1`. Two devnets of one seed come
// there one after the other, so the second finds accounts that have sent transactions.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Wallet } from "ethers";
import { attested } from "./lib/attested.mjs";
import { Devnet, binary, kill, start } from "./lib/devnet.mjs";
import { accountFile, port } from "./lib/l1.mjs";
import { get, rpc } from "./lib/rpc.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { until } from "./lib/until.mjs";

const dir = mkdtempSync(join(tmpdir(), "cortado-e2e-l1-"));
const payer = Wallet.createRandom();
let l1;
let url;
let beacon;
let key;

/** Options of a devnet on it. */
const on = (...more) => ["--l1", url, "--l1-key", key, "--l1-slot-ms", "1000", ...more];

before(async () => {
  const [rpcPort, beaconPort] = [await port(), await port()];
  url = `http://127.0.0.1:${rpcPort}`;
  beacon = `http://127.0.0.1:${beaconPort}`;
  const config = join(dir, "l1.toml");
  writeFileSync(config, `chain_id = 77777
slot_ms = 1000
slots_per_epoch = 4
genesis_time_ms = ${Math.floor(Date.now() / 1000) * 1000}
data_dir = ${JSON.stringify(join(dir, "data"))}
rpc_addr = "127.0.0.1:${rpcPort}"
beacon_addr = "127.0.0.1:${beaconPort}"

[[prefunded]]
address = "${payer.address}"
wei = "0x${(10_000n * 10n ** 18n).toString(16)}"
`);
  key = accountFile(join(dir, "payer.toml"), payer.privateKey);
  l1 = start([binary, "l1", "--config", config], join(dir, "l1.log"));
  await until("the L1", 30_000, () => rpc(url, "eth_chainId").catch(() => false));
});
after(async () => {
  kill(l1.pid, "SIGINT");
  const { code } = await l1.ended;
  const log = readFileSync(join(dir, "l1.log"), "utf8");
  rmSync(dir, { recursive: true, force: true });
  assert.equal(code, 0, log);
});

async function works(devnet) {
  assert.equal(devnet.json.l1.rpc, url);
  const traffic = new Traffic(devnet.json, 1).start();
  await traffic.flows(3);
  await traffic.stop();
  for (const user of traffic.users) await attested(user.rollup.rpc, user.acknowledged.at(-1));
  const { api } = devnet.json.attesters[0];
  const from = (await get(`${api}/v1/status`)).l1_head.number;
  return until("the L1 pointer to move", 60_000, async () => {
    const status = await get(`${api}/v1/status`);
    return status.l1_head.number > from && status;
  });
}

test("with an outside L1 and its beacon transactions are attested and the pointer moves", async (t) => {
  const devnet = await Devnet.fresh(...on("--beacon", beacon));
  t.after(() => devnet.stop());
  const status = await works(devnet);
  assert.equal(status.l1_node.beacon, true);
  assert.equal(devnet.json.l1.beacon, beacon);
});

test("without a beacon a line says that the lookahead is off, and the rest works", async (t) => {
  const devnet = await Devnet.fresh(...on());
  t.after(() => devnet.stop());
  await until("the line about the lookahead", 10_000, () => /lookahead is off/.test(devnet.tail()));
  const status = await works(devnet);
  assert.equal(status.l1_node.beacon, false);
});
