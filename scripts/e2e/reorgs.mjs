// L1 changes forks again and again under traffic on two rollups. In the end every node has the same chain, also one
// that comes to it only then, and every transaction, deposit and log is accounted for.
//
// In every second reorg a proposer is killed, which then has transactions without a place only on its disk.
//
// `REORGS` is how many, `SEED` repeats the depths of a run, `VERBOSE=1` prints a line for every transaction.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { allCaughtUp, noForks } from "./lib/agreement.mjs";
import { Devnet, binary, interrupt, start } from "./lib/devnet.mjs";
import { Forks, all, block, ether, onL1 } from "./lib/forks.mjs";
import { port } from "./lib/l1.mjs";
import { random } from "./lib/random.mjs";
import { height, rpc } from "./lib/rpc.mjs";
import { sleep, until } from "./lib/until.mjs";
import { Watch } from "./lib/watch.mjs";

const REORGS = Number(process.env.REORGS ?? 6);
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 32);
const DEPTH_MAX = 16;
const SLOT_MS = 1_000;
const WAIT_MS_MAX = 120_000;
const BALANCE = 10_000n * ether;
const FEE_MAX = 200_000_000_000n;

let devnet;
let forks;
let watches;
const reorgs = [];
const chance = random(SEED);

before(async () => {
  console.log(`${REORGS} reorgs, SEED=${SEED}`);
  devnet = await Devnet.fresh("--processes", "--l1-slot-ms", String(SLOT_MS));
  forks = new Forks(devnet, random(SEED + 1));
  watches = forks.rollups.map((rollup) => new Watch(rollup, forks.byHash));
});
after(async () => {
  for (const watch of watches ?? []) await watch.leave().catch(() => {});
  await devnet?.stop();
});

const counterOf = (rollup) =>
  forks.users.find((user) => user.rollup === rollup && user.kind === "counter").counter.toLowerCase();

/** Has L1 change forks as soon as that many blocks are above the finalised one. */
async function reorg(depth) {
  const { newHead } = await until(`${depth} blocks above the finalised one`, WAIT_MS_MAX, async () => {
    const l1 = devnet.json.l1.rpc;
    const above = Number((await block(l1, "latest")).number) - Number((await block(l1, "finalized")).number);
    // L1 may finalise more before it is asked; it refuses then.
    return above > depth && (await rpc(l1, "devl1_reorg", depth));
  });
  reorgs.push({ depth, at: performance.now(), newHead, killed: "" });
}

/** kill -9 of a proposer some time after a reorg: before it sees it, while it places again what fell, or after. */
async function killProposer(at) {
  const parts = devnet.parts("proposer");
  const { name } = parts[at % parts.length];
  await sleep(chance.within(0, 1_500));
  await devnet.killPart(name);
  await sleep(chance.within(0, 500));
  devnet.restartPart(name);
  reorgs.at(-1).killed = name;
}

test(`${REORGS} reorgs of L1 of depth 1 to ${DEPTH_MAX} under traffic, and everything settles`, async () => {
  for (const watch of watches) await watch.start(counterOf(watch.rollup));
  await forks.start();
  try {
    // Something to compare with.
    forks.calm = performance.now();
    await sleep(5 * SLOT_MS);
    for (let at = 0; at < REORGS; at++) {
      await reorg(chance.within(1, DEPTH_MAX));
      if (at % 2 === 1) await killProposer(at >> 1);
      await sleep(chance.within(1_000, 4_000));
    }
    await sleep(2 * SLOT_MS);
  } finally {
    await forks.stop();
    reorgs.end = performance.now();
    await forks.settles(WAIT_MS_MAX);
    for (const watch of watches) await watch.stop();
  }
  assert.equal(forks.troubles, undefined);
});

test("how long users waited", () => {
  const from = reorgs[0].at - SLOT_MS;
  const row = ([begin, end]) => Object.fromEntries(watches.flatMap(({ rollup, heads }) => [
    [`latest ${rollup.namespace}, ms`, Watch.gap(heads.map(({ at }) => at), begin, end)],
    [`promise ${rollup.namespace}, ms`, Watch.gap(rollup.answered, begin, end)],
  ]));
  const rows = reorgs.map(({ depth, at, killed }, i) => ({
    reorg: i + 1, depth, killed, ...row([at - SLOT_MS / 2, Math.min(at + 5 * SLOT_MS, reorgs[i + 1]?.at ?? reorgs.end)]),
  }));
  console.log("longest time without a new latest block, and without a promise, after each reorg:");
  console.table([{ reorg: "none", depth: 0, killed: "", ...row([forks.calm, from]) }, ...rows]);
  for (const name of Object.keys(row([0, 0]))) {
    const sorted = rows.filter(({ killed }) => !killed).map((row) => row[name]).sort((a, b) => a - b);
    console.log(`${name}, without kills: median ${sorted[sorted.length >> 1]}, longest ${sorted.at(-1)}`);
  }
});

test("all attesters have the same chain", async () => {
  const goal = await allCaughtUp(devnet.json.attesters);
  await noForks(devnet.json.attesters, goal);
});

/** What a transaction came to, in the words of the account that is printed. */
async function fate(tx) {
  const { status, lost, blocks, reference } = tx;
  if (status?.status === "finalized") {
    if (lost.size) return "final in another place";
    return new Set(blocks).size > 1 ? "final, survived" : "final in its first place";
  }
  if (status?.status === "fallen" && reference && !(await onL1(devnet, reference))) return "dropped with its reference";
  return `unaccounted: ${status?.status}`;
}

test("an account of every transaction", async () => {
  const table = {};
  const reasons = new Map();
  for (const tx of forks.sent) {
    tx.fate = await fate(tx);
    const column = (table[tx.user.kind] ??= { sent: 0 });
    column.sent += 1;
    column[tx.fate] = (column[tx.fate] ?? 0) + 1;
    if (tx.lost.size) column["times lost"] = (column["times lost"] ?? 0) + tx.lost.size;
    const said = [...tx.lost.values()].map((reason) => `lost its place: ${reason}`);
    if (tx.status?.reason) said.push(`dropped: ${tx.status.reason}`);
    for (const one of said) {
      const kind = `${tx.user.kind} ${one.replaceAll(/0x[0-9a-f]{6,}/g, "0x…").replaceAll(/\d+/g, "N")}`;
      reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
    }
    if (process.env.VERBOSE) {
      const ref = tx.reference ? `on L1 block ${tx.reference.number}` : "";
      console.log(tx.user.rollup.namespace, tx.user.kind, tx.nonce, tx.hash, ref, "|", tx.fate, "|", said.join("; "));
    }
  }
  console.table(table);
  console.log([...reasons].sort().map(([kind, count]) => `${String(count).padStart(6)} ${kind}`).join("\n"));
  const refused = new Map();
  for (const { kind, refused: list } of forks.users) {
    for (const { said } of list) {
      const words = `${kind}: ${said.replaceAll(/0x[0-9a-f]{6,}/g, "0x…").replaceAll(/\d+/g, "N")}`;
      refused.set(words, (refused.get(words) ?? 0) + 1);
    }
  }
  console.log("refused at once, and so not sent:");
  console.log([...refused].map(([words, count]) => `${String(count).padStart(6)} ${words}`).join("\n"));
  for (const { namespace, rpc: url } of forks.rollups) {
    console.log(namespace, JSON.stringify(await rpc(url, "cortado_finality")));
  }

  for (const tx of forks.sent) {
    const says = `${tx.user.kind} ${tx.hash}: ${tx.fate}; ${JSON.stringify(tx.status)}`;
    assert.doesNotMatch(tx.fate, /unaccounted/, says);
    if (tx.user.kind === "finalised") assert.equal(tx.lost.size, 0, `never loses its place: ${says}`);
    if (!tx.reference) continue;
    const stands = await onL1(devnet, tx.reference);
    assert.equal(tx.fate !== "dropped with its reference", stands, `in where its reference is: ${says}`);
    if (stands) assert.deepEqual(tx.status.reference.block, tx.reference, says);
    else assert.match(tx.status.reason, /refer|0x[0-9a-f]{64}|not an ancestor|fork/i, says);
  }
});

test("promises were there while transactions were pending", () => {
  for (const { tx, promise, pending } of forks.promises) {
    if (pending) assert.ok(promise, `a promise for ${tx.hash}`);
    if (promise) assert.equal(promise.inclusion.transaction, tx.hash);
  }
  const seen = forks.promises.filter(({ pending }) => pending).length;
  console.log(`${forks.promises.length} promises were asked for, ${seen} of transactions that were pending all the while`);
  assert.ok(seen > 0);
  const logs = readdirSync(devnet.dir).filter((name) => name.endsWith(".log"));
  const text = logs.map((name) => readFileSync(join(devnet.dir, name), "utf8")).join("\n");
  for (const words of ["a promise is broken", "does not execute", "cannot be closed", "has stopped", "ERROR"]) {
    const lines = text.split("\n").filter((line) => line.includes(words));
    assert.equal(lines.length, 0, lines.slice(0, 3).join("\n"));
  }
});

test("every deposit on the final L1 is credited once, and no other", async () => {
  const { rpc: l1 } = devnet.json.l1;
  for (const rollup of forks.rollups) {
    const toBlock = `0x${rollup.l1Fin.number.toString(16)}`;
    const logs = await rpc(l1, "eth_getLogs", { address: rollup.inbox, fromBlock: "0x0", toBlock });
    const mine = new Map(forks.deposits.filter((one) => one.rollup === rollup).map((one) => [one.to, one]));
    // Index, gas, then the payload: 20 bytes of address and 32 of value.
    const queued = logs.map(({ data }) => {
      const payload = data.slice(2 + 64 * 4, 2 + 64 * 4 + 104);
      return { to: `0x${payload.slice(0, 40)}`, value: BigInt(`0x${payload.slice(40)}`) };
    });
    assert.deepEqual(new Set(queued.map(({ to }) => to)), new Set(mine.keys()), "every deposit came onto the final L1");
    const balances = await all(rollup.rpc, "eth_getBalance", queued.map(({ to }) => [to, "latest"]));
    let [sum, credited] = [0n, 0n];
    for (const [at, { to, value }] of queued.entries()) {
      assert.equal(value, mine.get(to).value);
      assert.equal(BigInt(balances[at]), value, `the deposit for ${to}`);
      sum += value;
      credited += BigInt(balances[at]);
    }
    assert.equal(sum, credited);
    console.log(`${rollup.namespace}: ${queued.length} deposits, ${sum} wei on L1, ${credited} wei on L2`);
  }
});

test("nonces, fees and balances follow from the transactions that are final", async () => {
  const paid = new Map(forks.rollups.map((rollup) => [rollup, 0n]));
  for (const user of forks.users) {
    const url = user.rollup.rpc;
    const final = user.sent.filter((tx) => tx.status?.status === "finalized");
    const receipts = await all(url, "eth_getTransactionReceipt", final.map(({ hash }) => [hash]));
    let spent = 0n;
    for (const [at, receipt] of receipts.entries()) {
      assert.equal(receipt.status, "0x1", final[at].hash);
      const { explicit, l1 } = receipt.l1Reference;
      assert.deepEqual([explicit, l1], [final[at].reference !== null, "finalized"], final[at].hash);
      const price = BigInt(receipt.effectiveGasPrice);
      assert.ok(price > 0n && price <= FEE_MAX, `price of ${final[at].hash}: ${price}`);
      spent += BigInt(receipt.gasUsed) * price + final[at].value;
      paid.set(user.rollup, paid.get(user.rollup) + final[at].value);
    }
    const nonces = final.map(({ nonce }) => nonce).sort((a, b) => a - b);
    assert.deepEqual(nonces, nonces.map((_, i) => i), `nonces of ${user.kind}`);
    const count = await rpc(url, "eth_getTransactionCount", user.account.address, "latest");
    assert.equal(Number(count), final.length, `nonce of ${user.kind}`);
    const balance = await rpc(url, "eth_getBalance", user.account.address, "latest");
    assert.equal(BALANCE - BigInt(balance), spent, `what ${user.kind} spent`);
  }
  for (const [rollup, sum] of paid) {
    assert.equal(BigInt(await rpc(rollup.rpc, "eth_getBalance", rollup.sink, "latest")), sum);
  }
});

test("logs were taken back before others came, and no answer was torn", async () => {
  for (const watch of watches) {
    const { rollup, removed, torn, asked, linked, proofs } = watch;
    const stand = await watch.agreesWithLogs(counterOf(rollup));
    console.log(`${rollup.namespace}: ${stand} logs stand, ${removed} were removed; asked ${asked} times, ${linked} ranges link, ${proofs} proofs hold`);
    assert.deepEqual(torn.slice(0, 5), []);
    assert.ok(proofs > 0, "state can be proved against the headers");
    assert.ok(linked > asked / 2, "most ranges could be compared");
  }
  assert.ok(watches.some(({ removed }) => removed > 0), "logs of removed blocks are told");
});

/** Starts a rollup node on an empty directory, with the files of one that runs. */
async function second(t, { namespace }) {
  const text = readFileSync(join(devnet.dir, `rollup-${namespace}.toml`), "utf8");
  const dir = join(devnet.dir, `second-${namespace}`);
  mkdirSync(dir);
  const at = await port();
  const config = text
    .replace(/^data_dir = .*$/m, `data_dir = "${join(dir, "data")}"`)
    .replace(/^listen = .*$/m, `listen = "127.0.0.1:${at}"`);
  writeFileSync(join(dir, "rollup.toml"), config);
  const child = start([binary, "rollup", "--config", join(dir, "rollup.toml")], join(dir, "log"));
  t.after(() => interrupt(child, `the second node of ${namespace}`));
  return `http://127.0.0.1:${at}`;
}

test("a node that syncs from scratch has the same chain", async (t) => {
  for (const rollup of forks.rollups) {
    const begin = performance.now();
    const url = await second(t, rollup);
    const head = await height(rollup.rpc);
    await until(`a second node at block ${head}`, WAIT_MS_MAX, async () =>
      (await height(url)) >= head && (await height(url, "finalized")) >= (await height(rollup.rpc, "finalized")), 200);
    const ms = Math.round(performance.now() - begin);
    const numbers = Array.from({ length: head + 1 }, (_, at) => [`0x${at.toString(16)}`, false]);
    const [one, two] = await Promise.all([rollup.rpc, url].map((at) => all(at, "eth_getBlockByNumber", numbers)));
    for (const [at, { hash, stateRoot }] of one.entries()) {
      assert.equal(two[at].hash, hash, `block ${at}`);
      assert.equal(two[at].stateRoot, stateRoot, `state after block ${at}`);
    }
    for (const tag of ["latest", "finalized"]) {
      assert.equal((await block(url, tag)).hash, (await block(rollup.rpc, tag)).hash, tag);
    }
    const { stateRoot } = one.at(-1);
    console.log(`${rollup.namespace}: ${head} blocks are equal, state ${stateRoot}; synced in ${ms} ms`);
  }
});
