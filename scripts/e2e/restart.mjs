// The whole devnet in one process is killed in the middle of traffic and started again.

import assert from "node:assert/strict";
import { writeFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createWalletClient, defineChain, http, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { allCaughtUp, noForks } from "./lib/agreement.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { get, height, rpc } from "./lib/rpc.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { until } from "./lib/until.mjs";

let devnet;

before(async () => {
  devnet = await Devnet.fresh();
});
after(() => devnet?.stop());

/** What has to be the same after a restart: all but process ids. */
const lasting = ({ pid, processes, ...rest }) => {
  const bare = (parts) => parts.map(({ pid, ...part }) => part);
  return {
    ...rest,
    attesters: bare(rest.attesters), proposers: bare(rest.proposers), rollups: bare(rest.rollups),
  };
};

test("a devnet that was killed three times goes on with nothing acknowledged lost", async (t) => {
  const foreign = join(devnet.dir, "notes.txt");
  writeFileSync(foreign, "not cortado's");
  const { l1 } = devnet.json;
  const first = lasting(devnet.json);

  const chain = defineChain({
    id: l1.chain_id, name: "l1", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [l1.rpc] } },
  });
  const [{ address }, { private_key }] = devnet.json.accounts;
  const onL1 = createWalletClient({
    chain, transport: http(l1.rpc), account: privateKeyToAccount(private_key), pollingInterval: 200,
  }).extend(publicActions);
  const paid = await onL1.sendTransaction({ to: address, value: 1n });
  const inL1 = await onL1.waitForTransactionReceipt({ hash: paid, timeout: 60_000 });

  const traffic = new Traffic(devnet.json).start();
  t.after(() => traffic.stop());
  for (let round = 1; round <= 3; round++) {
    await traffic.flows(20);
    const seen = await get(`${devnet.json.attesters[0].api}/v1/status`);
    await devnet.kill();
    await devnet.start();
    assert.deepEqual(lasting(devnet.json), first, "keys, ports and chain ids are kept");
    // It goes on from its last snapshot and applies the blocks after it again before it shows them.
    const again = await until(`block ${seen.height}`, 60_000, () =>
      get(`${devnet.json.attesters[0].api}/v1/blocks/${seen.height}/header`));
    assert.equal(again.hash, seen.hash, `block ${seen.height} is what it was`);
    const block = await rpc(l1.rpc, "eth_getBlockByNumber", `0x${inL1.blockNumber.toString(16)}`, false);
    assert.equal(block.hash, inL1.blockHash, "the embedded L1 kept its blocks");
    assert.ok((await height(l1.rpc)) >= Number(inL1.blockNumber));
  }
  await traffic.flows(5);
  await traffic.stop();
  await traffic.settles();
  console.log(`${traffic.acknowledged.length} acknowledged transactions, none lost`);
  const goal = await allCaughtUp(devnet.json.attesters);
  await noForks(devnet.json.attesters, goal);
  assert.equal(readFileSync(foreign, "utf8"), "not cortado's", "foreign files are left alone");
});

test("a second devnet on the same directory is refused while the first runs", async () => {
  const second = new Devnet(devnet.dir, []);
  second.log = join(devnet.dir, "second.log");
  await assert.rejects(second.start(), /before it was up/);
  assert.match(second.tail(1_000), /lock|in use|another/i, "it says why");
  assert.ok((await height(devnet.json.rollups[0].rpc)) >= 0, "the first one goes on");
});
