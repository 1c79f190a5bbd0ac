// A devnet on an L1 that is not its own: the embedded one, run alone by `cortado l1`.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { attested } from "./lib/attested.mjs";
import { Devnet, binary, kill, start } from "./lib/devnet.mjs";
import { get, rpc } from "./lib/rpc.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { until } from "./lib/until.mjs";

const dir = mkdtempSync(join(tmpdir(), "cortado-e2e-l1-"));
let l1;
let url;
let beacon;

/** A port that is free now. */
const port = () =>
  new Promise((done, failed) => {
    const server = createServer().on("error", failed).listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

before(async () => {
  const [rpcPort, beaconPort] = [await port(), await port()];
  url = `http://127.0.0.1:${rpcPort}`;
  beacon = `http://127.0.0.1:${beaconPort}`;
  const config = join(dir, "l1.toml");
  writeFileSync(config, `chain_id = 77777
slot_ms = 2000
slots_per_epoch = 4
genesis_time_ms = ${Math.floor(Date.now() / 1000) * 1000}
data_dir = ${JSON.stringify(join(dir, "data"))}
rpc_addr = "127.0.0.1:${rpcPort}"
beacon_addr = "127.0.0.1:${beaconPort}"
`);
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
  const devnet = await Devnet.fresh("--l1", url, "--beacon", beacon);
  t.after(() => devnet.stop());
  const status = await works(devnet);
  assert.equal(status.l1_node.beacon, true);
  assert.equal(devnet.json.l1.beacon, beacon);
});

test("without a beacon a line says that the lookahead is off, and the rest works", async (t) => {
  const devnet = await Devnet.fresh("--l1", url);
  t.after(() => devnet.stop());
  await until("the line about the lookahead", 10_000, () => /lookahead is off/.test(devnet.tail()));
  const status = await works(devnet);
  assert.equal(status.l1_node.beacon, false);
});
