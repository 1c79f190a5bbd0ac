// What a client sees of a rollup node while its chain changes: heads and logs that are told, and answers that must
// belong together.

import assert from "node:assert/strict";
import { webSocket } from "viem";
import { block } from "./forks.mjs";
import { account, blockHash, prove } from "./headers.mjs";
import { rpc } from "./rpc.mjs";
import { sleep } from "./until.mjs";

const PAUSE_MS = 100;
const RANGE = 6;

const place = ({ blockHash, logIndex }) => `${blockHash} ${Number(logIndex)}`;

/** Listens to heads and logs of one rollup over WebSocket, and keeps asking it over HTTP. */
export class Watch {
  constructor(rollup, byHash) {
    Object.assign(this, { rollup, byHash, heads: [], logs: new Map(), removed: 0, asked: 0, linked: 0, proofs: 0, torn: [] });
  }

  async start(logsOf) {
    this.transport = webSocket(this.rollup.ws, { retryCount: 0, reconnect: false })({ retryCount: 0 });
    const { subscribe } = this.transport.value;
    const failed = (what) => (error) => this.ended || this.torn.push(`${what}: ${error?.message ?? error}`);
    await subscribe({ params: ["newHeads"], onData: ({ result }) => this.head(result), onError: failed("newHeads") });
    const filter = { address: logsOf };
    await subscribe({ params: ["logs", filter], onData: ({ result }) => this.log(result), onError: failed("logs") });
    this.running = this.ask();
  }

  async stop() {
    this.stopping = true;
    await this.running;
  }

  /** Leaves; what was told until then stays. */
  async leave() {
    this.ended = true;
    const client = await this.transport.value.getRpcClient();
    client.close();
  }

  head(head) {
    this.heads.push({ at: performance.now(), number: Number(head.number), hash: head.hash });
    // Gone again by the time it is asked for: nobody saw it stand.
    rpc(this.rollup.rpc, "eth_getBlockByHash", head.hash, false)
      .then((block) => block?.transactions.forEach((hash) => this.byHash.get(hash)?.blocks.push(head.hash)))
      .catch(() => {});
  }

  log(log) {
    const at = place(log);
    if (log.removed) {
      this.removed += 1;
      if (!this.logs.delete(at)) this.torn.push(`the log at ${at} was removed and not there`);
    } else {
      if (this.logs.has(at)) this.torn.push(`the log at ${at} was added twice`);
      this.logs.set(at, log);
    }
  }

  async ask() {
    while (!this.stopping) {
      try {
        await this.askOnce();
        this.asked += 1;
      } catch (error) {
        this.torn.push(error.message);
      }
      await sleep(PAUSE_MS);
    }
  }

  async askOnce() {
    const url = this.rollup.rpc;
    const latest = await block(url, "latest");
    assert.equal(blockHash(latest), latest.hash, "a header hashes to its name");
    const { number, hash, transactions } = latest;
    // By hash: of this very block, or of none if it is gone.
    const receipts = await rpc(url, "eth_getBlockReceipts", hash);
    if (receipts) {
      assert.deepEqual(receipts.map((one) => one.transactionHash), transactions, `receipts of block ${hash}`);
      assert.ok(receipts.every((one) => one.blockHash === hash), `receipts name block ${hash}`);
      const gas = receipts.reduce((sum, one) => sum + Number(one.gasUsed), 0);
      assert.equal(gas, Number(latest.gasUsed), `gas of block ${hash}`);
    }
    const logs = await rpc(url, "eth_getLogs", { blockHash: hash }).catch(() => null);
    if (receipts && logs) {
      assert.deepEqual(logs, receipts.flatMap((one) => one.logs), `logs of block ${hash}`);
    }
    const sink = this.rollup.sink;
    const proof = await rpc(url, "eth_getProof", sink, [], hash).catch(() => null);
    if (proof && Number(proof.balance)) {
      assert.equal(prove(latest.stateRoot, sink, proof.accountProof), account(proof), `state of block ${hash}`);
      this.proofs += 1;
    }
    // Where a transaction says it is, there it is, or nothing is any more.
    const receipt = transactions.length && (await rpc(url, "eth_getTransactionReceipt", transactions[0]));
    const its = receipt && (await rpc(url, "eth_getBlockByHash", receipt.blockHash, false));
    if (its) assert.ok(its.transactions.includes(transactions[0]), `${transactions[0]} is in ${its.hash}`);
    // By number: what is the same when it is asked for again stood all the while, and belongs together.
    const top = Number(number);
    const from = Math.max(0, top - RANGE);
    const walk = async () => {
      const range = [];
      for (let at = from; at <= top; at++) range.push(await block(url, at));
      return range;
    };
    const range = await walk();
    const again = await walk();
    if (range.some((one, at) => !one || one.hash !== again[at]?.hash)) return;
    for (let at = 1; at < range.length; at++) {
      assert.equal(range[at].parentHash, range[at - 1].hash, `block ${from + at} links to the one before it`);
    }
    this.linked += 1;
  }

  /** That the logs told and not taken back are those of the chain. */
  async agreesWithLogs(logsOf) {
    const url = this.rollup.rpc;
    const now = await rpc(url, "eth_getLogs", { address: logsOf, fromBlock: "0x0", toBlock: "latest" });
    assert.ok(now.every(({ removed }) => !removed));
    assert.deepEqual([...this.logs.keys()].sort(), now.map(place).sort(), "logs told and not taken back");
    return now.length;
  }

  /** The longest time between two of these moments that meets `from` to `to`, ms. */
  static gap(times, from, to) {
    let longest = 0;
    for (let at = 1; at < times.length; at++) {
      if (times[at] > from && times[at - 1] < to) longest = Math.max(longest, times[at] - times[at - 1]);
    }
    return Math.round(longest);
  }
}
