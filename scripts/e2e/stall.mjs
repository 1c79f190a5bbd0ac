// Two of four attesters stop: promises go on, finality stands. One comes back: it catches up.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { allCaughtUp, noForks } from "./lib/agreement.mjs";
import { attested } from "./lib/attested.mjs";
import { Devnet, kill } from "./lib/devnet.mjs";
import { get, height, rpc } from "./lib/rpc.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { sleep, until } from "./lib/until.mjs";

let devnet;
let attesters;

before(async () => {
  devnet = await Devnet.fresh("--processes", "--attesters", "4");
  attesters = devnet.parts("node").map(({ name }) => name);
  assert.equal(attesters.length, 4, "one process an attester");
});
after(async () => {
  // A stopped process cannot react to SIGINT.
  for (const name of attesters ?? []) if (devnet.runs(name)) kill(devnet.pid(name), "SIGCONT");
  await devnet?.stop();
});

const heights = () => Promise.all(devnet.json.rollups.map(({ rpc }) => height(rpc)));

/** Waits until what was on its way has arrived and `latest` stands on every rollup. */
async function finalityStands() {
  let before = await heights();
  return until("latest to stand", 60_000, async () => {
    await sleep(3_000);
    const now = await heights();
    const stands = now.every((height, i) => height === before[i]);
    before = now;
    return stands && now;
  });
}

async function stallAndRecover(t, stop, resume) {
  const traffic = new Traffic(devnet.json, 1).start();
  t.after(() => traffic.stop());
  await traffic.flows(5);
  // The last two: the first attester stays for us to ask.
  const [one, two] = attesters.slice(-2);
  for (const name of [one, two]) await stop(name);
  const stood = await finalityStands();

  const unattested = traffic.acknowledged.length;
  await traffic.flows(10);
  for (const [i, rollup] of devnet.json.rollups.entries()) {
    assert.equal(await height(rollup.rpc), stood[i], "latest stands");
    assert.ok((await height(rollup.rpc, "pending")) > stood[i], "pending is ahead");
    const newest = traffic.users.find((user) => user.rollup === rollup).acknowledged.at(-1);
    const receipt = await rpc(rollup.rpc, "eth_getTransactionReceipt", newest);
    assert.equal(receipt?.status, "0x1", "what is promised has a receipt");
  }
  assert.ok(traffic.acknowledged.length >= unattested + 10 * traffic.users.length);

  await resume(one);
  for (const user of traffic.users) await attested(user.rollup.rpc, user.acknowledged.at(-1));
  await resume(two);
  await traffic.stop();
  await traffic.settles();
  const goal = await allCaughtUp(devnet.json.attesters);
  await noForks(devnet.json.attesters, goal);
  const { height: finalised } = await get(`${devnet.json.attesters[0].api}/v1/status`);
  assert.ok(finalised >= goal);
}

test("with two of four attesters frozen pending goes on and latest stands, until one thaws", (t) =>
  stallAndRecover(
    t,
    (name) => kill(devnet.pid(name), "SIGSTOP"),
    (name) => kill(devnet.pid(name), "SIGCONT"),
  ));

test("with two of four attesters killed pending goes on and latest stands, until one restarts", (t) =>
  stallAndRecover(
    t,
    (name) => devnet.killPart(name),
    (name) => devnet.restartPart(name),
  ));
