// Users who keep sending whatever happens, and remember what was acknowledged to them.

import assert from "node:assert/strict";
import { privateKeyToAccount } from "viem/accounts";
import { ATTESTED_MS_MAX } from "./attested.mjs";
import { height, post, rpc, RpcError } from "./rpc.mjs";
import { sleep, until } from "./until.mjs";

// Fast enough that a kill always meets transactions on their way, slow enough for two cores that
// run the whole devnet.
const PAUSE_MS = 25;
const RECEIPTS_PER_BATCH = 100;

/** One user on one rollup. */
class User {
  constructor(rollup, { private_key }, to) {
    this.rollup = rollup;
    this.account = privateKeyToAccount(private_key);
    this.to = to;
    // Hashes for which eth_sendRawTransaction returned, in the order of the answers.
    this.acknowledged = [];
    this.nonces = new Map();
    this.refused = [];
  }

  async send() {
    if (this.nonce === undefined) {
      const next = await rpc(this.rollup.rpc, "eth_getTransactionCount", this.account.address, "pending");
      this.nonce = Number(next);
    }
    const raw = await this.account.signTransaction({
      chainId: this.rollup.namespace,
      nonce: this.nonce,
      to: this.to,
      value: 1n,
      gas: 21_000n,
      maxFeePerGas: 100_000_000_000n,
      maxPriorityFeePerGas: 1n,
    });
    const hash = await rpc(this.rollup.rpc, "eth_sendRawTransaction", raw);
    // After a fault the same transaction may be sent twice: it is promised once.
    if (!this.acknowledged.includes(hash)) this.acknowledged.push(hash);
    this.nonces.set(hash, this.nonce);
    this.nonce += 1;
  }

  async run(traffic) {
    while (!traffic.stopping) {
      try {
        await this.send();
        await sleep(PAUSE_MS);
      } catch (error) {
        // No answer: the transaction may or may not have been taken. Ask for the nonce again.
        if (error instanceof RpcError) this.refused.push(error.message);
        this.nonce = undefined;
        await sleep(4 * PAUSE_MS);
      }
    }
  }
}

export class Traffic {
  /** `users` on every rollup, from the last accounts of the devnet. */
  constructor({ rollups, accounts }, users = 2) {
    const to = accounts[0].address;
    this.users = rollups.flatMap((rollup) =>
      accounts.slice(-users).map((account) => new User(rollup, account, to)),
    );
    this.stopping = false;
  }

  start() {
    this.running = this.users.map((user) => user.run(this));
    return this;
  }

  async stop() {
    this.stopping = true;
    await Promise.all(this.running);
  }

  get acknowledged() {
    return this.users.flatMap(({ acknowledged }) => acknowledged);
  }

  /** Waits until every user has had `more` further transactions acknowledged. */
  async flows(more = 5) {
    const goals = this.users.map(({ acknowledged }) => acknowledged.length + more);
    await until("traffic on every rollup", ATTESTED_MS_MAX, () =>
      this.users.every((user, i) => user.acknowledged.length >= goals[i]),
    ).catch((error) => {
      const said = this.users.flatMap(({ refused }) => refused.slice(-3));
      throw new Error(`${error.message}; last refusals: ${said.join("; ")}`, { cause: error.cause });
    });
  }

  /** Waits until `latest` covers all that was acknowledged; fails if anything is missing. */
  async settles() {
    for (const { rollup, acknowledged, nonces } of this.users) {
      const newest = acknowledged.at(-1);
      if (!newest) continue;
      await until(`attestation of ${newest} on ${rollup.namespace}`, ATTESTED_MS_MAX, async () => {
        const receipt = await rpc(rollup.rpc, "eth_getTransactionReceipt", newest);
        return receipt && Number(receipt.blockNumber) <= (await height(rollup.rpc));
      });
      const latest = await height(rollup.rpc);
      let place = [-1, -1];
      // The answer to one may be lost with a killed process, and come when it is sent again after later ones.
      const sent = [...acknowledged].sort((a, b) => nonces.get(a) - nonces.get(b));
      for (const [hash, receipt] of await receipts(rollup.rpc, sent)) {
        assert.ok(receipt, `${hash} was acknowledged on ${rollup.namespace} and is lost`);
        assert.equal(receipt.status, "0x1");
        const now = [Number(receipt.blockNumber), Number(receipt.transactionIndex)];
        assert.ok(now[0] <= latest, `${hash} is in block ${now[0]}, latest is ${latest}`);
        const later = now[0] > place[0] || (now[0] === place[0] && now[1] > place[1]);
        assert.ok(later, `${hash} stands at ${now}, the one that was sent before it at ${place}`);
        place = now;
      }
    }
  }
}

/** Receipts of many transactions, asked for in batches. */
async function receipts(url, hashes) {
  const all = [];
  for (let from = 0; from < hashes.length; from += RECEIPTS_PER_BATCH) {
    const some = hashes.slice(from, from + RECEIPTS_PER_BATCH);
    const { answer } = await post(url, some.map((hash, id) => (
      { jsonrpc: "2.0", id, method: "eth_getTransactionReceipt", params: [hash] }
    )));
    const by = new Map(answer.map(({ id, result }) => [id, result]));
    all.push(...some.map((hash, id) => [hash, by.get(id)]));
  }
  return all;
}
