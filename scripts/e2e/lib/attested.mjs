// The two steps of a transaction's life that a user sees: promised, then attested.

import assert from "node:assert/strict";
import { height, rpc } from "./rpc.mjs";
import { until } from "./until.mjs";

// A second is usual; a loaded machine that compiles beside us may need much longer.
export const ATTESTED_MS_MAX = 60_000;

/** The receipt as it stands now, which is at once: sending returns after the promise. */
export async function promised(url, hash) {
  const receipt = await rpc(url, "eth_getTransactionReceipt", hash);
  assert.ok(receipt, `${hash} was acknowledged and has no receipt`);
  return receipt;
}

/** Waits until `latest` covers the transaction; its receipt then names a canonical block. */
export async function attested(url, hash) {
  return until(`attestation of ${hash}`, ATTESTED_MS_MAX, async () => {
    const receipt = await rpc(url, "eth_getTransactionReceipt", hash);
    if (!receipt || Number(receipt.blockNumber) > (await height(url))) return null;
    const block = await rpc(url, "eth_getBlockByNumber", receipt.blockNumber, false);
    assert.equal(block.hash, receipt.blockHash, "the receipt's block is canonical");
    assert.ok(block.transactions.includes(hash), "the block lists the transaction");
    return receipt;
  });
}
