// A second client, in another language and with another BLS library, believes no node: it verifies
// transactions of both rollups down to the certificate.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ATTESTED_MS_MAX } from "./lib/attested.mjs";
import { Devnet } from "./lib/devnet.mjs";
import { get } from "./lib/rpc.mjs";
import { Traffic } from "./lib/traffic.mjs";
import { until } from "./lib/until.mjs";

const verifier = fileURLToPath(new URL("../verify/verify.mjs", import.meta.url));
const run = promisify(execFile);

let devnet;

before(async () => {
  devnet = await Devnet.any();
});
after(() => devnet?.stop());

/** Runs the verifier; rejects with what it said if it refuses. */
async function verify(...args) {
  const { stdout } = await run(process.execPath, [verifier, ...args], { timeout: 60_000 });
  return stdout;
}

test("what one attester proves holds under the seats that another one names", async () => {
  const traffic = new Traffic(devnet.json, 1).start();
  await traffic.flows(5);
  await traffic.stop();
  await traffic.settles();
  const [first, second] = devnet.json.attesters;
  const { seats_hash: believed } = await get(`${first.api}/v1/seats/0`);
  for (const hash of traffic.acknowledged) {
    const proof = `${second.api}/v1/proofs/transaction/${hash}`;
    await until(`a proof of ${hash}`, ATTESTED_MS_MAX, () => get(proof));
    assert.match(await verify(second.api, hash, "--seats-hash", believed), /is final/);
  }
  assert.match(await verify(second.api, "--seats-hash", believed), /block \d+ 0x\w+ is final/);
});

test("under seats that nobody has, nothing holds", () =>
  assert.rejects(
    verify(devnet.json.attesters[0].api, "--seats-hash", `0x${"11".repeat(32)}`),
    ({ code, stderr }) => code === 1 && /REFUSED/.test(stderr),
  ));
