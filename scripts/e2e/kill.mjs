// kill -9 of any one process, again and again, under traffic: nothing acknowledged is lost, nothing
// forks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { allCaughtUp, noForks } from "./lib/agreement.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { rpc } from "./lib/rpc.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { sleep } from "./lib/until.mjs";

const ROUNDS = Number(process.env.E2E_KILLS ?? 10);

let devnet;

before(async () => {
  devnet = await Devnet.fresh("--processes");
});
after(() => devnet?.stop());

/** Which process dies in a round: the kinds take turns, and so do the processes of a kind. */
function victim(round) {
  const kinds = ["proposer", "node", "rollup"].map((role) => devnet.parts(role));
  const kind = kinds[round % kinds.length];
  assert.ok(kind.length, "every kind runs as a process of its own");
  return kind[Math.floor(round / kinds.length) % kind.length].name;
}

test(`${ROUNDS} kills of one process at a time lose nothing that was acknowledged`, async (t) => {
  const traffic = new Traffic(devnet.json).start();
  t.after(() => traffic.stop());
  await traffic.flows();
  const promises = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    const name = victim(round);
    for (const { rollup, acknowledged } of traffic.users) {
      const hash = acknowledged.at(-1);
      promises.set(hash, [rollup.rpc, await rpc(rollup.rpc, "cortado_getPromise", hash)]);
    }
    // Another moment of a slot every round, and another time away.
    await sleep((round * 37) % 250);
    await devnet.killPart(name);
    await sleep((round * 613) % 2_000);
    devnet.restartPart(name);
    await traffic.flows();
    console.log(`round ${round + 1}: ${name}; ${traffic.acknowledged.length} acknowledged`);
  }
  await traffic.stop();
  await traffic.settles();
  for (const [hash, [url, promise]] of promises) {
    // A slot that passed while its proposer was dead is over: what it promised is promised anew for
    // a later one (R21: paid for, never slashed). Within a slot nothing may ever change.
    const now = await rpc(url, "cortado_getPromise", hash);
    assert.ok(now, `the promise for ${hash} is kept`);
    if (now.inclusion.position.slot === promise.inclusion.position.slot) {
      assert.deepEqual(now, promise, `the promise for ${hash}`);
    } else {
      assert.ok(now.inclusion.position.slot > promise.inclusion.position.slot, `a later slot for ${hash}`);
    }
  }
  const goal = await allCaughtUp(devnet.json.attesters);
  await noForks(devnet.json.attesters, goal);
  for (const { name } of devnet.json.processes) assert.ok(devnet.runs(name), `${name} runs`);
});
