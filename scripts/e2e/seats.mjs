// An operator joins a running devnet and another leaves, by stake on L1 alone; the light client on L1 follows.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Wallet } from "ethers";
import { allCaughtUp, noForks } from "./lib/agreement.mjs";
import { Devnet, binary, kill, start } from "./lib/devnet.mjs";
import { accountFile, anvil, embedded, giveEther, port } from "./lib/l1.mjs";
import { cortado, goesOn, postedHeader, relayed, seated, status, votes } from "./lib/stake.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { until } from "./lib/until.mjs";

/** Keys and file of one more attester, which knows those of the devnet. */
async function attester(devnet, name) {
  const seat = join(devnet.dir, "keys", `${name}.toml`);
  const { identity } = JSON.parse(await cortado("keys", "seat", seat));
  const [api, listen] = [`127.0.0.1:${await port()}`, `127.0.0.1:${await port()}`];
  const known = readFileSync(join(devnet.dir, "attester-0.toml"), "utf8");
  const peers = known.slice(known.indexOf("[[peers]]"));
  const l1 = /\[l1\]\n(?:[a-z]+ = .*\n)+/.exec(known)[0];
  const config = join(devnet.dir, `${name}.toml`);
  writeFileSync(config, `genesis = ${JSON.stringify(join(devnet.dir, "genesis.json"))}
data_dir = ${JSON.stringify(join(devnet.dir, name))}
api = "${api}"
allow_private_peers = true

${l1}
[[seats]]
keys = ${JSON.stringify(seat)}
listen = "${listen}"

${peers}`);
  return { seat, identity, config, api: `http://${api}` };
}

async function story(t, l1) {
  const devnet = await Devnet.fresh(...l1.flags, "--term-ms", "8000");
  let child;
  t.after(async () => {
    if (child) {
      kill(child.pid, "SIGINT");
      await child.ended;
    }
    await devnet.stop();
    await l1.stop();
  });
  const [first] = devnet.json.attesters;
  const before = devnet.json.attesters.map(({ seats }) => seats[0]);
  const traffic = new Traffic(devnet.json, 1).start();
  const { term } = await status(first);

  // Somebody new stakes as much as the others and starts a node.
  const owner = Wallet.createRandom();
  const key = accountFile(join(devnet.dir, "keys", "newcomer-account.toml"), owner.privateKey);
  await giveEther(devnet, l1, owner.address, 40);
  const newcomer = await attester(devnet, "newcomer");
  const l1Flags = ["--rpc", devnet.json.l1.rpc, "--contracts", devnet.json.contracts, "--confirmations", "1"];
  const said = await cortado("stake", "register", ...l1Flags, "--key", key, "--stake", "32", "--seat", newcomer.seat);
  assert.match(said, /epoch/, "it says when the stake counts");
  child = start([binary, "node", "--config", newcomer.config], join(devnet.dir, "newcomer.log"));
  const { identity } = newcomer;
  const joined = await goesOn(first, () => seated(first, [...before, identity]));
  console.log(`joined in term ${joined.term} at height ${joined.height}`);
  assert.equal(joined.quorum, 4);
  await votes(first, identity);
  const own = await until("the newcomer's own word", 60_000, () => status(newcomer).catch(() => null));
  assert.deepEqual(own.own_seats, [identity]);
  await relayed(devnet, term);
  console.log(`block ${(await postedHeader(devnet, first)).height} is on L1, as was asked`);

  // One of the first leaves; what is left of it on L1 is locked for the unbonding time.
  const leaving = join(devnet.dir, "keys", "operator-3.toml");
  await cortado("stake", "exit", ...l1Flags, "--key", leaving, "all");
  const { seats: [gone] } = devnet.json.attesters[3];
  const stay = [...before.filter((seat) => seat !== gone), identity];
  const left = await goesOn(first, () => seated(first, stay));
  console.log(`left in term ${left.term} at height ${left.height}`);
  await votes(first, identity);
  await relayed(devnet, joined.term);
  const shown = await cortado("stake", "status", "--rpc", devnet.json.l1.rpc, "--contracts", devnet.json.contracts);
  assert.match(shown, /leav|unbond/i, shown);
  await assert.rejects(cortado("stake", "withdraw", ...l1Flags, "--key", leaving), "it is still bonded");

  // Everybody agrees, those who sit and the one who only follows.
  await traffic.flows(3);
  await traffic.stop();
  const all = [...devnet.json.attesters, newcomer];
  await noForks(all, await allCaughtUp(all));
  assert.ok(traffic.users.every(({ acknowledged }) => acknowledged.length > 0));
}

test("on the embedded L1 an operator joins and one leaves while the chain goes on", async (t) => {
  await story(t, await embedded());
});

test("on anvil an operator joins and one leaves while the chain goes on", async (t) => {
  const l1 = await anvil();
  if (!l1) return t.skip("NO ANVIL: this story was not told; npm ci in scripts/e2e installs it");
  await story(t, l1);
});
