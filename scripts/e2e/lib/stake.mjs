// What the chain and its contracts say about who sits.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { Interface } from "ethers";
import { binary } from "./devnet.mjs";
import { get, post, rpc } from "./rpc.mjs";
import { until } from "./until.mjs";

const run = promisify(execFile);

const LIGHT_CLIENT = new Interface(["function headerAt(uint64 height) view returns (bytes32)"]);

// Two epochs of L1 to finality, one in which stake begins to count, a term; with room for a busy machine.
const CHANGE_MS_MAX = 240_000;

/** Runs a command of the binary; returns what it printed. */
export async function cortado(...args) {
  const { stdout } = await run(binary, args, { maxBuffer: 1 << 20, timeout: 120_000 });
  return stdout;
}

export const status = ({ api }) => get(`${api}/v1/status`);

/** Waits until a term has begun in which exactly these identities sit, and returns its status. */
export function seated(attester, identities) {
  const want = [...identities].sort().join();
  return until(`seats ${want}`, CHANGE_MS_MAX, async () => {
    const now = await status(attester);
    const { seats } = await get(`${attester.api}/v1/seats/${now.term}`);
    return seats.map(({ identity }) => identity).sort().join() === want && now;
  }, 200);
}

/** Waits until a seat has signed a block's certificate: it votes. */
export function votes(attester, identity) {
  return until(`a vote of ${identity}`, 60_000, async () => {
    const { height, term } = await status(attester);
    const [certificate, { seats }] = await Promise.all([
      get(`${attester.api}/v1/blocks/${height}/certificate`),
      get(`${attester.api}/v1/seats/${term}`),
    ]);
    const at = seats.findIndex((seat) => seat.identity === identity);
    const bits = Buffer.from(certificate.bitmap.slice(2), "hex");
    return certificate.epoch === term && at >= 0 && (bits[at >> 3] >> (at & 7)) & 1;
  }, 100);
}

/** Waits until the light client on L1 has taken over seats of a term after `term`. */
export function relayed({ json }, term) {
  return until(`the light client in seats of a term after ${term}`, CHANGE_MS_MAX, async () => {
    const now = await get(`${json.relay}/status`);
    return now.term > term && now;
  }, 250);
}

/** Asks the relay for a header on L1, twice; returns what the light client has stored there. */
export async function postedHeader(devnet, attester) {
  const posted = await until("a header that may be posted", 60_000, async () => {
    const { height } = await status(attester);
    const { status: code, answer } = await post(`${devnet.json.relay}/headers/${height}`, "");
    // The last block of a term is posted with its seats, by the relay's own round.
    return code === 200 && answer;
  }, 500);
  const again = await post(`${devnet.json.relay}/headers/${posted.height}`, "");
  assert.equal(again.answer.transaction, null, "what is there is not posted again");
  const header = await get(`${attester.api}/v1/blocks/${posted.height}/header`);
  assert.equal(posted.hash, header.hash);
  const data = LIGHT_CLIENT.encodeFunctionData("headerAt", [posted.height]);
  const stored = await rpc(devnet.json.l1.rpc, "eth_call", { to: contractsOf(devnet).light_client, data }, "latest");
  assert.equal(stored, header.hash, "the light client holds it");
  return posted;
}

export const contractsOf = ({ json }) => JSON.parse(readFileSync(json.contracts, "utf8"));

/** Asserts that a devnet's chain went on while something happened. */
export async function goesOn(attester, what) {
  const before = (await status(attester)).height;
  const result = await what();
  const after = (await status(attester)).height;
  assert.ok(after > before, `the chain stood at ${before}`);
  return result;
}
