// The two steps of a transaction's life that a user sees: promised, then attested.

import assert from "node:assert/strict";
import { height, rpc } from "./rpc.mjs";
import { until } from "./until.mjs";

// A second is usual; a loaded machine that compiles beside us may need much longer.
export const ATTESTED_MS_MAX = 60_000;

// Sending returns after the promise, and the node waits a little for its own pending block to show
// the transaction; on a starved machine that may take longer.
const SHOWN_MS_MAX = 5_000;

/** The receipt of an acknowledged transaction, from `pending` or later. */
export const promised = (url, hash) =>
  until(`a receipt of the acknowledged ${hash}`, SHOWN_MS_MAX, () =>
    rpc(url, "eth_getTransactionReceipt", hash), 10);

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
