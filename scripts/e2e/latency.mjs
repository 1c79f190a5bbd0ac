// Prints how long a lone transaction takes on an idle devnet: RPC in → promise, RPC in → attested.
//
//   node latency.mjs [COUNT]
//
// Not a test: figures depend on the machine, and belong into docs/performance.md.

import { privateKeyToAccount } from "viem/accounts";
import { Devnet } from "./lib/devnet.mjs";
import { height, rpc } from "./lib/rpc.mjs";
import { sleep, until } from "./lib/until.mjs";

const count = Number(process.argv[2] ?? 100);
const POLL_MS = 5;

const devnet = await Devnet.any();
const [{ rpc: url, namespace }] = devnet.json.rollups;
const account = privateKeyToAccount(devnet.json.accounts[9].private_key);
const [promised, attested] = [[], []];
try {
  for (let i = 0; i < count; i++) {
    const nonce = Number(await rpc(url, "eth_getTransactionCount", account.address, "pending"));
    const raw = await account.signTransaction({
      chainId: namespace, nonce, to: account.address, value: 0n, gas: 21_000n,
      maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 1n,
    });
    const begin = performance.now();
    const hash = await rpc(url, "eth_sendRawTransaction", raw);
    promised.push(performance.now() - begin);
    await until(`attestation of ${hash}`, 60_000, async () => {
      const receipt = await rpc(url, "eth_getTransactionReceipt", hash);
      return receipt && Number(receipt.blockNumber) <= (await height(url));
    }, POLL_MS);
    attested.push(performance.now() - begin);
    // Idle again, and at another moment of the slot.
    await sleep(100 + ((i * 97) % 400));
  }
} finally {
  await devnet.stop();
}
const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.ceil(values.length * q) - 1].toFixed(1);
for (const [what, values] of [["promised", promised], ["attested", attested]]) {
  console.log(`${what}: p50 ${quantile(values, 0.5)} ms, p99 ${quantile(values, 0.99)} ms, ${values.length} transactions`);
}
