// A wallet built on ethers, on two rollups at once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as ethers from "ethers";
import { ATTESTED_MS_MAX, attested, promised } from "./lib/attested.mjs";
import { bytecode, signatures } from "./lib/counter.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { until } from "./lib/until.mjs";

// Without a cache: ethers would give out the same nonce twice within a quarter of a second, which
// is longer than a transaction takes here.
const provider = ({ rpc, namespace }) =>
  new ethers.JsonRpcProvider(rpc, namespace, { staticNetwork: true, pollingInterval: 100, cacheTimeout: -1 });

let devnet;
let rollups;
let wallets;
let other;

before(async () => {
  devnet = await Devnet.any();
  rollups = devnet.json.rollups;
  const [, , from, to] = devnet.json.accounts;
  wallets = rollups.map((rollup) => new ethers.Wallet(from.private_key, provider(rollup)));
  other = to.address;
});
after(async () => {
  for (const wallet of wallets ?? []) wallet.provider.destroy();
  await devnet?.stop();
});

test("each rollup answers with its own chain id", async () => {
  for (const { rpc, namespace } of rollups) {
    const asking = new ethers.JsonRpcProvider(rpc);
    assert.equal((await asking.getNetwork()).chainId, BigInt(namespace));
    asking.destroy();
  }
});

test("twenty transactions sent without waiting are promised in order and all attested", async () => {
  const [wallet] = wallets;
  const nonce = await wallet.getNonce("pending");
  const hashes = [];
  for (let i = 0; i < 20; i++) {
    const sent = await wallet.sendTransaction({ to: other, value: i, nonce: nonce + i });
    hashes.push(sent.hash);
    assert.equal((await promised(rollups[0].rpc, sent.hash)).status, "0x1");
  }
  const places = [];
  for (const hash of hashes) {
    const { blockNumber, transactionIndex } = await attested(rollups[0].rpc, hash);
    places.push([Number(blockNumber), Number(transactionIndex)]);
  }
  const sorted = places.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  assert.deepEqual(places, sorted, "later nonces stand in later places");
  assert.equal(await wallet.getNonce("latest"), nonce + 20);
});

test("two rollups take the same wallet's transactions at the same time", async () => {
  const sent = await Promise.all(
    wallets.map((wallet) => wallet.sendTransaction({ to: other, value: 5n })),
  );
  const receipts = await Promise.all(sent.map((sent) => sent.wait(1, ATTESTED_MS_MAX)));
  assert.deepEqual(receipts.map(({ status }) => status), wallets.map(() => 1));
});

test("a transaction signed for one rollup is refused by the other", async () => {
  const transaction = await wallets[0].populateTransaction({ to: other, value: 1n });
  const raw = await wallets[0].signTransaction(transaction);
  await assert.rejects(wallets[1].provider.broadcastTransaction(raw), /chain id/);
});

test("legacy, access-list, dynamic-fee and delegating transactions all work", async () => {
  const [wallet] = wallets;
  const nonce = async () => wallet.getNonce("pending");
  const authorization = await wallet.authorize({ address: other, nonce: (await nonce()) + 4 });
  const { gasPrice } = await wallet.provider.getFeeData();
  const kinds = [
    { type: 0, gasPrice },
    { type: 1, gasPrice, accessList: [{ address: other, storageKeys: [] }] },
    { type: 2 },
    { type: 4, authorizationList: [authorization], gasLimit: 100_000 },
  ];
  for (const kind of kinds) {
    const sent = await wallet.sendTransaction({ to: other, value: 1n, nonce: await nonce(), ...kind });
    const receipt = await attested(rollups[0].rpc, sent.hash);
    assert.equal(Number(receipt.type), kind.type);
    assert.equal(receipt.status, "0x1");
  }
  const code = await wallet.provider.getCode(wallet.address, "latest");
  assert.equal(code.toLowerCase(), `0xef0100${other.slice(2).toLowerCase()}`, "EIP-7702 delegation");
});

test("a contract's events arrive over the websocket and are found again as logs", async () => {
  const wallet = wallets.at(-1);
  const rollup = rollups.at(-1);
  const factory = new ethers.ContractFactory(signatures, bytecode, wallet);
  const counter = await factory.deploy();
  await counter.waitForDeployment();
  const address = await counter.getAddress();

  const socket = new ethers.WebSocketProvider(rollup.ws, rollup.namespace, { staticNetwork: true });
  try {
    const listening = new ethers.Contract(address, signatures, socket);
    const heard = [];
    await listening.on("Counted", (by, value) => heard.push([by, value]));
    const sent = await counter.add(40n);
    const again = await counter.add(2n);
    await until("two events", ATTESTED_MS_MAX, () => heard.length === 2);
    assert.deepEqual(heard, [[wallet.address, 40n], [wallet.address, 42n]]);
    const logs = await counter.queryFilter("Counted", 0, "latest");
    assert.deepEqual(logs.map((log) => log.transactionHash), [sent.hash, again.hash]);
    assert.equal(await counter.count({ blockTag: "latest" }), 42n);
  } finally {
    await socket.destroy();
  }
});

test("errors are the ones that wallets know", async () => {
  const [wallet] = wallets;
  const fields = await wallet.populateTransaction({ to: other, value: 1n });
  const sends = async (changes) =>
    wallet.provider.broadcastTransaction(await wallet.signTransaction({ ...fields, ...changes }));
  await assert.rejects(sends({ nonce: 0 }), { code: "NONCE_EXPIRED" });
  await assert.rejects(sends({ value: 10n ** 30n }), { code: "INSUFFICIENT_FUNDS" });
  const counter = await new ethers.ContractFactory(signatures, bytecode, wallet).deploy();
  await counter.waitForDeployment();
  // Deployed means promised: `latest` need not know of it yet.
  const pending = { blockTag: "pending" };
  await assert.rejects(counter.add.staticCall(101n, pending), (error) => {
    assert.equal(error.code, "CALL_EXCEPTION");
    assert.equal(error.revert.name, "TooMany");
    assert.deepEqual([...error.revert.args], [101n, 100n]);
    return true;
  });
  await assert.rejects(counter.add.staticCall(0n, pending), { reason: "nothing to add" });
});
