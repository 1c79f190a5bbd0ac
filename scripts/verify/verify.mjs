#!/usr/bin/env node
// Verifies a finality certificate, and a transaction proof, from a node's REST interface alone.
//
//   node verify.mjs URL                             the newest block
//   node verify.mjs URL TX_HASH                     a recent transaction
//   node verify.mjs URL NAMESPACE LANE_HEIGHT INDEX a transaction by its place
//
// `--seats-hash 0x…` says which seats to believe; without it those of the node's genesis are used,
// and the script says which they are. Exit code 0: verified. 1: refused. 2: could not ask.

import { pathToFileURL } from "node:url";
import { Refusal, require } from "./bytes.mjs";
import { checkFinal, checkTransaction, readSeats } from "./finality.mjs";

const ANSWER_MS_MAX = 15_000;

async function get(base, path) {
  const response = await fetch(base.replace(/\/+$/, "") + path, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  const body = await response.json();
  if (!response.ok) throw new Error(`${path}: ${body.code}: ${body.message} (${body.value ?? ""})`);
  return body;
}

/** Verifies; gives the sentences to print. Throws `Refusal` if something does not hold. */
export async function verify(base, place, seatsHash) {
  const genesis = await get(base, "/v1/genesis");
  const chainId = genesis.chain_id;
  const seatsOf = async (certificate) => {
    const seats = readSeats(await get(base, `/v1/seats/${certificate.epoch}`), chainId);
    require(!seatsHash || seats.hash === seatsHash, `seats are ${seats.hash}, you believe ${seatsHash}`);
    return seats;
  };
  const said = (seats, signers) =>
    `${signers} of ${seats.keys.length} seats signed, a quorum is ${seats.quorum}; seats ${seats.hash}` +
    (seatsHash ? ", as you said" : " (the node's word: give --seats-hash to check)");

  if (place.length === 0) {
    const { height } = await get(base, "/v1/status");
    const certificate = await get(base, `/v1/blocks/${height}/certificate`);
    const view = await get(base, `/v1/blocks/${height}/header`);
    const seats = await seatsOf(certificate);
    const { header, signers } = checkFinal(view.header_rlp, certificate, seats, chainId);
    require(header.height === BigInt(height), `asked for block ${height}, got ${header.height}`);
    return [`block ${header.height} ${header.hash} is final`, said(seats, signers)];
  }
  const proof = await get(base, `/v1/proofs/transaction/${place.join("/")}`);
  if (place.length === 1) {
    require(proof.hash === place[0].toLowerCase(), `asked for ${place[0]}, got ${proof.hash}`);
  } else {
    const got = [proof.namespace, proof.lane_height, proof.index].join("/");
    require(got === place.join("/"), `asked for ${place.join("/")}, got ${got}`);
  }
  const seats = await seatsOf(proof.lane.certificate);
  const { header, signers, hash } = checkTransaction(proof, seats, chainId);
  return [
    `transaction ${hash} is final`,
    `it is number ${proof.index} of lane block ${proof.lane_height} of namespace ${proof.namespace}, in block ${header.height} ${header.hash}`,
    said(seats, signers),
  ];
}

async function main(args) {
  let seatsHash;
  const place = [];
  for (let i = 0; i < args.length; i += 1) {
    if (args[i] === "--seats-hash") seatsHash = args[(i += 1)]?.toLowerCase();
    else place.push(args[i]);
  }
  const base = place.shift();
  if (!base || ![0, 1, 3].includes(place.length)) {
    console.error("usage: node verify.mjs URL [TX_HASH | NAMESPACE LANE_HEIGHT INDEX] [--seats-hash 0x…]");
    return 2;
  }
  try {
    (await verify(base, place, seatsHash)).forEach((line) => console.log(line));
    return 0;
  } catch (error) {
    const refused = error instanceof Refusal;
    console.error(`${refused ? "REFUSED" : "could not ask"}: ${error.message}`);
    return refused ? 1 : 2;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main(process.argv.slice(2));
}
