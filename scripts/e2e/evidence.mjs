// One of seven attesters equivocates: its stake goes on L1, its seat from the next set, and nothing else happens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Contract, Interface, JsonRpcProvider } from "ethers";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { allCaughtUp, noForks } from "./lib/agreement.mjs";
import { attested } from "./lib/attested.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { anvil, embedded } from "./lib/l1.mjs";
import { get } from "./lib/rpc.mjs";
import { contractsOf, goesOn, relayed, seated, status } from "./lib/stake.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { until } from "./lib/until.mjs";

const artifact = (name) =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../../contracts/artifacts/${name}.json`, import.meta.url)), "utf8")).abi;

async function story(t, l1) {
  const devnet = await Devnet.fresh(...l1.flags, "--attesters", "7", "--byzantine", "equivocate", "--term-ms", "8000");
  const provider = new JsonRpcProvider(devnet.json.l1.rpc, undefined, { cacheTimeout: -1 });
  t.after(async () => {
    provider.destroy();
    await devnet.stop();
    await l1.stop();
  });
  const [first] = devnet.json.attesters;
  const honest = devnet.json.attesters.flatMap(({ seats }) => seats);
  assert.equal(honest.length, 6);
  const at = contractsOf(devnet);
  const registry = new Contract(at.registry, new Interface(artifact("Registry")), provider);
  const slasher = new Contract(at.slasher, new Interface(artifact("Slasher")), provider);
  const before = await Promise.all(Array.from({ length: 7 }, (_, i) => registry.stakesOf(i + 1)));
  const traffic = new Traffic(devnet.json, 1).start();
  const { term } = await status(first);
  const { seats } = await get(`${first.api}/v1/seats/0`);
  const [bad, ...more] = seats.filter(({ identity }) => !honest.includes(identity));
  assert.ok(bad && more.length === 0, "one seat is not honest");

  const convicted = await until("a conviction on L1", 180_000, async () => {
    const events = await slasher.queryFilter("Convicted", 0);
    return events.length > 0 && events;
  }, 250);
  console.log(`convicted in L1 block ${convicted[0].blockNumber}`);
  assert.equal(Number(convicted[0].args.key), bad.registry_index);
  // Operators have their numbers in the order in which L1 took them, which need not be that of the attesters.
  const slashed = await registry.queryFilter("Slashed", 0);
  assert.equal(slashed.length, 1);
  assert.equal(Number(slashed[0].args.index), bad.registry_index);
  const culprit = Number(slashed[0].args.operator);
  // Who brought it to L1 has it; others may not have seen both votes yet.
  const kept = await Promise.all(devnet.json.attesters.map(({ api }) => get(`${api}/v1/evidence`)));
  const offences = kept.map(({ evidence }) => evidence.length);
  assert.equal(Math.max(...offences), 1, `one offence, however often it was committed: ${offences}`);

  const next = await goesOn(first, () => seated(first, honest));
  console.log(`its seat is gone in term ${next.term} at height ${next.height}`);
  const after = await Promise.all(before.map((_, i) => registry.stakesOf(i + 1)));
  after.forEach(({ bonded }, i) => {
    assert.equal(bonded, i + 1 === culprit ? 0n : before[i].bonded, `stake of operator ${i + 1}`);
  });
  // Once, however many nodes had seen it.
  assert.equal((await slasher.queryFilter("Convicted", 0)).length, 1);
  await relayed(devnet, term);

  await traffic.flows(3);
  await traffic.stop();
  for (const user of traffic.users) await attested(user.rollup.rpc, user.acknowledged.at(-1));
  await noForks(devnet.json.attesters, await allCaughtUp(devnet.json.attesters));
  assert.equal((await status(first)).seats, 6);
}

test("on the embedded L1 an attester that equivocates loses its stake and its seat", async (t) => {
  await story(t, await embedded());
});

test("on anvil an attester that equivocates loses its stake and its seat", async (t) => {
  const l1 = await anvil();
  if (!l1) return t.skip("NO ANVIL: this story was not told; npm ci in scripts/e2e installs it");
  await story(t, l1);
});
