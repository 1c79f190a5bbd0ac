// The verifier against recorded answers (vectors/finality.json), true and altered.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { Refusal } from "./bytes.mjs";
import { verify } from "./verify.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../vectors/finality.json", import.meta.url)));

/** Serves the recorded answers, altered by `alter`, while `story` runs. */
async function serving(story, alter = () => {}) {
  const server = createServer((request, response) => {
    const known = structuredClone(vectors.answers[request.url]);
    if (known) alter(request.url, known);
    response.statusCode = known ? 200 : 404;
    response.end(JSON.stringify(known ?? { code: "not_found", message: "this is not known", value: request.url }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await story(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const place = vectors.places.at(-1).map(String);
const refused = (alter, ask = place) =>
  assert.rejects(serving((url) => verify(url, ask), alter), (error) => error instanceof Refusal && !!error.message);

test("newest block and every recorded transaction verify", async () => {
  await serving(async (url) => {
    assert.match((await verify(url, [])).join("\n"), /is final/);
    for (const found of vectors.places) await verify(url, found.map(String));
    for (const hash of vectors.hashes) await verify(url, [hash], vectors.seats_hash);
  });
});

test("seats that the caller does not believe are refused", async () => {
  const other = "0x" + "11".repeat(32);
  await assert.rejects(serving((url) => verify(url, [], other)), Refusal);
});

const flip = (text) => text.slice(0, -1) + (parseInt(text.at(-1), 16) ^ 1).toString(16);
const isProof = (url) => url.includes("/proofs/");

const lies = {
  "altered signature": (url, answer) => isProof(url) && (answer.lane.certificate.signature = flip(answer.lane.certificate.signature)),
  "altered view": (url, answer) => isProof(url) && (answer.lane.certificate.view += 1),
  "bitmap below quorum": (url, answer) => isProof(url) && (answer.lane.certificate.bitmap = "0x03"),
  "empty bitmap with the infinity signature": (url, answer) => {
    if (!isProof(url)) return;
    answer.lane.certificate.bitmap = "0x00";
    answer.lane.certificate.signature = "0xc0" + "00".repeat(47);
  },
  "bitmap of other seats": (url, answer) => isProof(url) && (answer.lane.certificate.bitmap = "0x0e"),
  "altered header": (url, answer) => isProof(url) && (answer.lane.header = flip(answer.lane.header)),
  "altered lane entry": (url, answer) => isProof(url) && (answer.lane.entry = flip(answer.lane.entry)),
  "altered transaction": (url, answer) => isProof(url) && (answer.transaction = flip(answer.transaction)),
  "altered proof node": (url, answer) => isProof(url) && (answer.proof[0] = flip(answer.proof[0])),
  "cut proof": (url, answer) => isProof(url) && answer.proof.pop(),
  "other index": (url, answer) => isProof(url) && (answer.index += 1),
  "other namespace": (url, answer) => isProof(url) && (answer.namespace += 1),
  "exchanged key": (url, answer) => {
    if (!url.includes("/seats/")) return;
    answer.seats[0].bls = answer.seats[1].bls;
    answer.keys[0] = answer.keys[1];
  },
  "other chain id": (url, answer) => url.endsWith("/genesis") && (answer.chain_id += 1),
};
for (const [name, alter] of Object.entries(lies)) {
  test(`${name} is refused`, () => refused(alter));
}

test("answer about another transaction is refused", async () => {
  const [first, second] = vectors.hashes;
  const swap = (url, answer) => url.endsWith(first) && Object.assign(answer, vectors.answers[`/v1/proofs/transaction/${second}`]);
  await refused(swap, [first]);
});
