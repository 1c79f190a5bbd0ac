// A web application built on viem, and the wire below it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  createPublicClient, createWalletClient, defineChain, http, parseAbi, parseEther, webSocket,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { ATTESTED_MS_MAX, attested, promised } from "./lib/attested.mjs";
import { bytecode, signatures } from "./lib/counter.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { account, blockHash, prove } from "./lib/headers.mjs";
import { post, rpc, rpcError } from "./lib/rpc.mjs";
import { until } from "./lib/until.mjs";

const abi = parseAbi(signatures);

let devnet;
let url;
let reader;
let listener;
let wallet;
let to;

before(async () => {
  devnet = await Devnet.any();
  const [rollup] = devnet.json.rollups;
  url = rollup.rpc;
  const chain = defineChain({
    id: rollup.namespace,
    name: "a rollup on Cortado",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [rollup.rpc], webSocket: [rollup.ws] } },
  });
  const [, , , , from, other] = devnet.json.accounts;
  to = other.address;
  reader = createPublicClient({ chain, transport: http(url), pollingInterval: 100 });
  listener = createPublicClient({ chain, transport: webSocket(rollup.ws) });
  wallet = createWalletClient({
    chain, transport: http(url), account: privateKeyToAccount(from.private_key),
  });
});
after(async () => {
  const socket = await listener?.transport.getRpcClient();
  socket?.close();
  await devnet?.stop();
});

async function deploy() {
  const hash = await wallet.deployContract({ abi, bytecode });
  return (await promised(url, hash)).contractAddress;
}

const add = (address, n, rest = {}) =>
  wallet.writeContract({ address, abi, functionName: "add", args: [n], ...rest });

test("ether that was sent is promised at once, then attested", async () => {
  const balance = () => reader.getBalance({ address: to, blockTag: "latest" });
  const before = await balance();
  const hash = await wallet.sendTransaction({ to, value: parseEther("0.5") });
  await promised(url, hash);
  await attested(url, hash);
  assert.equal(await balance(), before + parseEther("0.5"));
});

test("a contract is readable at pending as soon as its call is acknowledged", async () => {
  const address = await deploy();
  const hash = await add(address, 7n);
  const count = (blockTag) => reader.readContract({ address, abi, functionName: "count", blockTag });
  assert.equal(await count("pending"), 7n);
  await attested(url, hash);
  assert.equal(await count("latest"), 7n);
});

test("blocks are watched over a websocket, without gaps", async () => {
  const seen = [];
  const stop = listener.watchBlocks({ onBlock: (block) => seen.push(block), onError: (e) => seen.push(e) });
  try {
    const heights = [];
    for (let i = 0; i < 3; i++) {
      const hash = await wallet.sendTransaction({ to, value: 1n });
      heights.push(BigInt((await attested(url, hash)).blockNumber));
    }
    await until("the last block", ATTESTED_MS_MAX, () => seen.at(-1)?.number >= heights.at(-1));
    seen.forEach((block, i) => {
      if (i) assert.equal(block.parentHash, seen[i - 1].hash, `block ${block.number} follows on`);
    });
  } finally {
    stop();
  }
});

test("an event is heard by subscription and found by getLogs, up to pending", async () => {
  const address = await deploy();
  const heard = [];
  const stop = listener.watchContractEvent({
    address, abi, eventName: "Counted", onLogs: (logs) => heard.push(...logs),
  });
  try {
    // The subscription is on its way; a call behind it on the same socket says it has arrived.
    await listener.getChainId();
    const hash = await add(address, 9n);
    const find = (toBlock) =>
      reader.getLogs({ address, event: abi[0], args: { by: wallet.account.address }, fromBlock: 0n, toBlock });
    assert.deepEqual((await find("pending")).map((log) => log.args.value), [9n], "before attestation");
    await attested(url, hash);
    assert.deepEqual((await find("latest")).map((log) => log.transactionHash), [hash]);
    await until("the event", ATTESTED_MS_MAX, () => heard.length > 0);
    assert.deepEqual(heard.map((log) => log.transactionHash), [hash]);
  } finally {
    stop();
  }
});

test("sendRawTransactionSync answers with the receipt (EIP-7966)", async () => {
  const request = await wallet.prepareTransactionRequest({ to, value: 3n });
  const raw = await wallet.signTransaction(request);
  const receipt = await rpc(url, "eth_sendRawTransactionSync", raw);
  assert.equal(receipt.status, "0x1");
  assert.equal(receipt.to.toLowerCase(), to.toLowerCase());
  await attested(url, receipt.transactionHash);
  const gap = await wallet.signTransaction({ ...request, nonce: request.nonce + 5 });
  const error = await rpcError(url, "eth_sendRawTransactionSync", gap, 500);
  assert.equal(error.code, 6, "a nonce gap has its own code");
  assert.equal(Number(error.data), request.nonce + 1, "and names the nonce it waits for");
});

test("fees: a tip of 1 wei suffices, history and estimates agree with receipts", async () => {
  assert.equal(await reader.estimateGas({ account: wallet.account, to, value: 1n }), 21_000n);
  assert.ok((await reader.getGasPrice()) >= 1n);
  const { baseFeePerGas } = await reader.getBlock();
  const hash = await wallet.sendTransaction({
    to, value: 1n, maxPriorityFeePerGas: 1n, maxFeePerGas: 2n * baseFeePerGas + 1n,
  });
  const receipt = await attested(url, hash);
  assert.equal(receipt.gasUsed, "0x5208");
  const block = await reader.getBlock({ blockHash: receipt.blockHash });
  assert.equal(BigInt(receipt.effectiveGasPrice), block.baseFeePerGas + 1n);
  const history = await reader.getFeeHistory({
    blockCount: 1, blockNumber: block.number, rewardPercentiles: [0, 50, 100],
  });
  assert.equal(history.oldestBlock, block.number);
  assert.equal(history.baseFeePerGas[0], block.baseFeePerGas);
  assert.equal(history.baseFeePerGas.length, 2, "the next block's base fee is given too");
  assert.equal(history.reward[0].length, 3);
});

test("block hashes are those of Ethereum headers, and blocks form a chain", async () => {
  const hash = await wallet.sendTransaction({ to, value: 1n });
  const { blockNumber } = await attested(url, hash);
  let block = await rpc(url, "eth_getBlockByNumber", blockNumber, false);
  for (let i = 0; i < 5 && Number(block.number) > 0; i++) {
    assert.equal(blockHash(block), block.hash, `hash of block ${Number(block.number)}`);
    const parent = await rpc(url, "eth_getBlockByHash", block.parentHash, false);
    assert.equal(Number(parent.number), Number(block.number) - 1);
    block = parent;
  }
});

test("an account and a storage slot are proved up to the block's state root", async () => {
  const address = await deploy();
  const hash = await add(address, 33n);
  const { blockNumber } = await attested(url, hash);
  const { stateRoot } = await rpc(url, "eth_getBlockByNumber", blockNumber, false);
  const slot = `0x${"0".repeat(64)}`;
  const proof = await rpc(url, "eth_getProof", address, [slot], blockNumber);
  assert.equal(prove(stateRoot, address, proof.accountProof), account(proof));
  assert.equal(prove(proof.storageHash, slot, proof.storageProof[0].proof), "0x21", "RLP of 33");
  const nobody = "0x00000000000000000000000000000000000000ee";
  const absent = await rpc(url, "eth_getProof", nobody, [], blockNumber);
  assert.equal(prove(stateRoot, nobody, absent.accountProof), null);
});

test("tags are ordered: finalized ≤ safe ≤ latest ≤ pending", async () => {
  const hash = await wallet.sendTransaction({ to, value: 1n });
  await attested(url, hash);
  const heights = [];
  for (const tag of ["earliest", "finalized", "safe", "latest", "pending"]) {
    heights.push(Number((await rpc(url, "eth_getBlockByNumber", tag, false)).number));
  }
  assert.equal(heights[0], 0);
  assert.deepEqual(heights, heights.toSorted((a, b) => a - b));
});

test("batches are answered entry by entry, and bounded", async () => {
  const call = (id, method = "eth_chainId") => ({ jsonrpc: "2.0", id, method, params: [] });
  const { answer } = await post(url, [call(1), call(2, "eth_nothing"), call("three")]);
  const by = new Map(answer.map((entry) => [entry.id, entry]));
  assert.equal(Number(by.get(1).result), devnet.json.rollups[0].namespace);
  assert.equal(by.get(2).error.code, -32601);
  assert.equal(by.get("three").result, by.get(1).result);
  const batching = createPublicClient({ chain: reader.chain, transport: http(url, { batch: true }) });
  const [id, head] = await Promise.all([batching.getChainId(), batching.getBlockNumber()]);
  assert.equal(id, devnet.json.rollups[0].namespace);
  assert.ok(head >= 0n);
  const giant = await post(url, Array.from({ length: 1_001 }, (_, i) => call(i)));
  assert.match(JSON.stringify(giant.answer), /1000|1,000/, "the refusal names the limit");
});

test("error codes are those of JSON-RPC, EIP-1474 and geth", async () => {
  assert.equal((await post(url, "{nonsense")).answer.error.code, -32700);
  assert.equal((await post(url, "[]")).answer.error.code, -32600);
  assert.equal((await rpcError(url, "eth_nothing")).code, -32601);
  assert.equal((await rpcError(url, "eth_getBalance", "0x12", "latest")).code, -32602);
  assert.equal((await rpcError(url, "eth_sendRawTransaction", "0x02c0")).code, -32602);
  const request = await wallet.prepareTransactionRequest({ to, value: 1n });
  const refused = async (changes) => {
    const raw = await wallet.account.signTransaction({ ...request, ...changes });
    return rpcError(url, "eth_sendRawTransaction", raw);
  };
  assert.match((await refused({ nonce: 0 })).said, /nonce too low/);
  assert.match((await refused({ value: 10n ** 30n })).said, /insufficient funds/);
  assert.match((await refused({ gas: 20_000n })).said, /intrinsic gas too low/);
  assert.match((await refused({ chainId: 1 })).said, /invalid chain id/);
  assert.equal((await refused({ nonce: 0 })).code, -32000);
  const address = await deploy();
  await assert.rejects(
    reader.simulateContract({ address, abi, functionName: "add", args: [101n], blockTag: "pending" }),
    (error) => error.walk((cause) => cause.data?.errorName === "TooMany") !== null,
  );
});

test("a page from any origin may ask (CORS)", async () => {
  const asked = await fetch(url, {
    method: "OPTIONS",
    headers: {
      origin: "https://wallet.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    },
  });
  assert.ok(asked.ok, `preflight answered with ${asked.status}`);
  assert.ok(["*", "https://wallet.example"].includes(asked.headers.get("access-control-allow-origin")));
  const { headers } = await post(url, { jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }, {
    origin: "https://wallet.example",
  });
  assert.ok(headers.get("access-control-allow-origin"));
});
