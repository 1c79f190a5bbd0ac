// Users of a rollup while L1 changes forks: what each sent, where it stood, what became of it.

import { encodeFunctionData, getContractAddress, keccak256, parseAbi } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { bytecode, signatures } from "./counter.mjs";
import { post, rpc, RpcError } from "./rpc.mjs";
import { sleep, until } from "./until.mjs";

/** The reserved address at which an access list names an L1 block (R11). */
const REFERENCE = "0x000000000000000000000000000000000000c0f0";
const PAUSE_MS = 150;
const DEPOSIT_PAUSE_MS = 800;
const STATUS_PAUSE_MS = 700;
const MAX_FEE = 100_000_000_000n;
const BATCH = 100;
// How long a rollup may take nothing: what is beyond that is not a reorg's doing.
const TAKEN_MS_MAX = 60_000;
// What a node says that cannot take anything at the moment, and one that does not know what its proposer did.
const NOT_NOW = /catching up|pool is full/i;
const CUT_OFF = /proposer at|proposer is stopping/i;
// How long a transaction may be pending without a promise, between two places.
const PROMISED_MS_MAX = 5_000;
// L1 blocks that a user remembers to refer to.
const RECENT = 12;
const abi = parseAbi(signatures);

export const ether = 10n ** 18n;
const fresh = () => privateKeyToAccount(generatePrivateKey()).address;
const hex = (number) => `0x${number.toString(16)}`;

/** The answers to many calls of one method, asked for in batches; a refusal fails. */
export async function all(url, method, lists) {
  const answers = [];
  for (let from = 0; from < lists.length; from += BATCH) {
    const some = lists.slice(from, from + BATCH);
    const { answer } = await post(url, some.map((params, id) => ({ jsonrpc: "2.0", id, method, params })));
    const by = new Map(answer.map((one) => [one.id, one]));
    for (const id of some.keys()) {
      if (by.get(id).error) throw new RpcError(method, by.get(id).error);
      answers.push(by.get(id).result);
    }
  }
  return answers;
}

export const block = (url, at, full = false) =>
  rpc(url, "eth_getBlockByNumber", typeof at === "number" ? hex(at) : at, full);

/** Whether an L1 block is on the L1's present chain. */
export async function onL1({ json }, { number, hash }) {
  return (await block(json.l1.rpc, number))?.hash === hash;
}

/** Whether it is not known what became of what was sent: no answer, or one of a node that had none itself. */
const isUnanswered = ({ said }) => said === undefined || CUT_OFF.test(said);

/** One account that sends on one rollup. What it does: see `Forks`. */
class User {
  constructor(forks, rollup, kind, { private_key }) {
    Object.assign(this, { forks, rollup, kind, nonce: 0 });
    this.account = privateKeyToAccount(private_key);
    this.sent = [];
    this.refused = [];
  }

  async sign(nonce, reference, more) {
    const raw = await this.account.signTransaction({
      type: "eip1559",
      chainId: this.rollup.namespace,
      nonce,
      maxFeePerGas: MAX_FEE,
      maxPriorityFeePerGas: BigInt(this.tip(reference)),
      accessList: reference ? [{ address: REFERENCE, storageKeys: [reference.hash] }] : [],
      ...more,
    });
    return { raw, hash: keccak256(raw), user: this, nonce, reference, value: more.value ?? 0n, blocks: [], lost: new Map() };
  }

  /** Offers a transaction once; it counts as sent if it is taken. A refusal fails. */
  async offer(tx) {
    try {
      await rpc(this.rollup.rpc, "eth_sendRawTransaction", tx.raw);
    } catch (error) {
      tx.unanswered ||= isUnanswered(error);
      throw error;
    }
    return this.took(tx);
  }

  took(tx) {
    this.sent.push(tx);
    this.forks.byHash.set(tx.hash, tx);
    return tx;
  }

  /** Offers the very same transaction until it is taken or refused for good. */
  async send(...what) {
    const tx = await this.sign(...what);
    const begin = performance.now();
    for (;;) {
      try {
        return await this.offer(tx);
      } catch (error) {
        const notNow = isUnanswered(error) || NOT_NOW.test(error.said);
        if (!notNow && (await this.wasTaken(tx))) return this.took(tx);
        if (!notNow) throw error;
        this.refused.push({ reference: tx.reference, said: error.said ?? String(error) });
        if (performance.now() - begin > TAKEN_MS_MAX) {
          this.forks.trouble(new Error(`${this.rollup.namespace} takes nothing for ${TAKEN_MS_MAX} ms: ${error.said ?? error}`));
          throw error;
        }
        await sleep(PAUSE_MS);
      }
    }
  }

  /**
   * Whether a transaction that is refused now was taken before, when there was no answer. Its node may hear of it some
   * time after its proposer took it.
   */
  async wasTaken({ hash, unanswered }) {
    if (!unanswered) return false;
    const isKnown = async () => (await rpc(this.rollup.rpc, "cortado_status", hash)).status !== "unknown";
    return until(`${hash} to be known`, PROMISED_MS_MAX, isKnown, PAUSE_MS).catch(() => false);
  }

  /** The least that its place costs: more on an L1 block that may be final. */
  tip(reference) {
    const { conditional_wei: less, unconditional_wei: more } = this.rollup.tips;
    return reference ? more : less;
  }

  /** What it sends next. */
  next() {
    const value = 1_000n + BigInt(this.forks.chance.within(0, 999));
    switch (this.kind) {
      case "counter":
        if (this.nonce === 0) return [null, { data: bytecode, gas: 1_000_000n }];
        return [null, { to: this.counter, gas: 100_000n, data: encodeFunctionData({ abi, functionName: "add", args: [1n] }) }];
      case "finalised":
        return [this.rollup.l1Fin, { to: this.rollup.sink, value, gas: 40_000n }];
      case "recent":
        return [this.forks.chance.of(this.rollup.recent), { to: this.rollup.sink, value, gas: 40_000n }];
      default:
        return [null, { to: this.rollup.sink, value, gas: 21_000n }];
    }
  }

  get counter() {
    return getContractAddress({ from: this.account.address, nonce: 0n });
  }

  /**
   * Asks for the promise, and whether the transaction was pending before and after that. Its node may not have heard
   * yet that the proposer takes a place back to give another: then there is no promise for a moment.
   */
  async askPromise(tx) {
    const url = this.rollup.rpc;
    const status = async () => (await rpc(url, "cortado_status", tx.hash)).status;
    const begin = performance.now();
    for (;;) {
      const before = await status();
      const promise = await rpc(url, "cortado_getPromise", tx.hash);
      const pending = before === "preconfirmed" && (await status()) === "preconfirmed";
      if (promise || !pending || performance.now() - begin > PROMISED_MS_MAX) {
        this.forks.promises.push({ tx, promise, pending });
        return;
      }
      await sleep(PAUSE_MS);
    }
  }

  async run() {
    while (!this.forks.stopping) {
      const [reference, more] = this.next();
      try {
        const tx = await this.send(this.nonce, reference, more);
        this.nonce += 1;
        this.rollup.answered.push(performance.now());
        if (this.forks.chance() < 0.1) await this.askPromise(tx);
      } catch (error) {
        const stands = reference && (await onL1(this.forks.devnet, reference).catch(() => false));
        const which = reference ? ` (the L1 block ${stands ? "stands" : "is gone"})` : "";
        this.refused.push({ reference, said: `${error.said ?? error}${which}` });
      }
      await sleep(PAUSE_MS);
    }
  }

  /**
   * Fills the places of transactions that refer to dropped blocks, so that those after them have their turn: lowest
   * nonce first, and no further than the first that is not taken, which is offered again later. What waits behind a
   * nonce is outbid.
   */
  async fill() {
    const fallen = this.sent.filter((tx) => tx.status?.status === "fallen" && tx.reference && !tx.filled);
    for (const tx of fallen.sort((a, b) => a.nonce - b.nonce)) {
      if (await onL1(this.forks.devnet, tx.reference)) {
        // It may have been given up at a moment when its reference was not known yet; else it is known already.
        await rpc(this.rollup.rpc, "eth_sendRawTransaction", tx.raw).catch(() => {});
        continue;
      }
      const tip = 2n * BigInt(this.tip(this.rollup.l1Fin)) + 1n;
      const more = { to: this.rollup.sink, value: 1n, gas: 40_000n, maxFeePerGas: 2n * MAX_FEE, maxPriorityFeePerGas: tip };
      // The very same again after no answer: it may have been taken.
      tx.filler ??= await this.sign(tx.nonce, this.rollup.l1Fin, more);
      try {
        tx.filled = await this.offer(tx.filler);
      } catch (error) {
        this.refused.push({ reference: null, said: error.said ?? String(error) });
        if (isUnanswered(error)) return;
        if (!(await this.wasTaken(tx.filler))) {
          tx.filler = undefined;
          return;
        }
        tx.filled = this.took(tx.filler);
      }
    }
  }
}

/**
 * Traffic on all rollups of a devnet, and what is seen of it:
 *
 *   plain       refers to nothing: stands on the L1 block of its lane block, and is executed again if that goes
 *   finalised   refers to the finalised L1 block: never loses its place
 *   recent      refers to an L1 block that may be dropped, and sends something else if it is
 *   counter     as plain, and emits an event
 *   deposits    from L1, each to an account of its own
 */
export class Forks {
  constructor(devnet, chance) {
    Object.assign(this, { devnet, chance, byHash: new Map(), promises: [], deposits: [], stopping: false });
    const kinds = ["plain", "plain", "finalised", "recent", "counter"];
    const { accounts, rollups } = devnet.json;
    this.rollups = rollups.map((rollup) => ({ ...rollup, sink: fresh(), recent: [], answered: [] }));
    this.users = this.rollups.flatMap((rollup) =>
      kinds.map((kind, at) => new User(this, rollup, kind, accounts[at + 1])));
    this.payers = this.rollups.map((rollup, at) => ({ rollup, account: privateKeyToAccount(accounts[6 + at].private_key) }));
  }

  get sent() {
    return this.users.flatMap(({ sent }) => sent);
  }

  async start() {
    for (const rollup of this.rollups) ({ tips: rollup.tips } = await rpc(rollup.rpc, "cortado_namespace"));
    await this.lookAtL1();
    const loop = async (act, pause) => {
      while (!this.watched) {
        await act().catch((error) => this.trouble(error));
        await sleep(pause);
      }
    };
    this.watching = [
      loop(() => this.lookAtL1(), PAUSE_MS),
      ...this.rollups.map((rollup) => loop(() => this.lookAtStatus(rollup), STATUS_PAUSE_MS)),
    ];
    this.running = [...this.users.map((user) => user.run()), ...this.payers.map((payer) => this.pay(payer))];
  }

  trouble(error) {
    this.troubles = [...(this.troubles ?? []), error];
  }

  async stop() {
    this.stopping = true;
    await Promise.all(this.running);
  }

  /** What the rollup nodes take for L1's head and its finalised block: what users refer to. */
  async lookAtL1() {
    for (const rollup of this.rollups) {
      const { l1Head, l1Fin } = await rpc(rollup.rpc, "cortado_finality");
      rollup.l1Fin = l1Fin;
      if (rollup.recent.at(-1)?.hash !== l1Head.hash) rollup.recent.push(l1Head);
      if (rollup.recent.length > RECENT) rollup.recent.shift();
    }
  }

  /** What the node says of everything that is not final yet. */
  async lookAtStatus(rollup) {
    const open = this.sent.filter(({ user, status }) => user.rollup === rollup && status?.status !== "finalized");
    const answers = await all(rollup.rpc, "cortado_status", open.map(({ hash }) => [hash]));
    for (const [at, status] of answers.entries()) {
      const tx = open[at];
      tx.status = status;
      if (status.lost) tx.lost.set(`${status.lost.blockNumber} ${status.lost.left?.hash}`, status.lost.reason);
    }
    for (const user of this.users) if (user.rollup === rollup && user.kind === "recent") await user.fill();
  }

  /** Deposits into the rollup's inbox, each to an account that nobody has used. */
  async pay({ rollup, account }) {
    const { rpc: url, chain_id: chainId } = this.devnet.json.l1;
    for (let nonce = 0; !this.stopping; nonce++) {
      const [to, value] = [fresh(), 1_000_000n + BigInt(nonce)];
      const raw = await account.signTransaction({
        chainId, nonce, value, to: rollup.inbox, gas: 200_000n, maxFeePerGas: MAX_FEE, maxPriorityFeePerGas: 1n,
        data: encodeFunctionData({
          abi: parseAbi(["function deposit(address to) payable returns (uint256)"]), functionName: "deposit", args: [to],
        }),
      });
      const hash = await until("a deposit on L1", 60_000, () => rpc(url, "eth_sendRawTransaction", raw));
      this.deposits.push({ rollup, to: to.toLowerCase(), value, hash });
      await sleep(DEPOSIT_PAUSE_MS);
    }
  }

  /** Waits until every transaction is final or has fallen for a reference that is gone, and every deposit is final. */
  async settles(ms) {
    const pending = async () => {
      const open = [];
      for (const tx of this.sent) {
        const kind = tx.status?.status;
        if (kind === "finalized") continue;
        if (kind === "fallen" && tx.filled) continue;
        open.push(tx);
      }
      return open;
    };
    const { rpc: l1 } = this.devnet.json.l1;
    const unpaid = async () => {
      const receipts = await all(l1, "eth_getTransactionReceipt", this.deposits.map(({ hash }) => [hash]));
      const last = Math.max(0, ...receipts.map((receipt) => Number(receipt?.blockNumber ?? Infinity)));
      return this.rollups.some(({ l1Fin }) => l1Fin.number < last);
    };
    try {
      await until("everything sent to be settled", ms, async () =>
        (await pending()).length === 0 && !(await unpaid()), 500);
    } catch (error) {
      const open = await pending();
      const some = open.slice(0, 10).map((tx) => `${tx.user.kind} ${tx.hash}: ${JSON.stringify(tx.status)}`);
      throw new Error(`${error.message}; ${open.length} are open:\n${some.join("\n")}`, { cause: error.cause });
    } finally {
      this.watched = true;
      await Promise.all(this.watching);
    }
  }
}
