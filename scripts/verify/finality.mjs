// What makes a Cortado block final, checked with a public BLS library.

import { bls12_381 } from "@noble/curves/bls12-381";
import { ascii, concat, decodeRlp, encodeRlp, fromHex, keccak, number, proved, require, toHex, u64, varint } from "./bytes.mjs";

const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

// Positions of header fields (R4) and of lane header fields (R6).
const HEADER = { chainId: 1, term: 2, height: 5, parent: 6, lanesRoot: 11, seatsHash: 15, fields: 17 };
const LANE = { chainId: 1, namespace: 2, height: 6, bodyRoot: 10, fields: 13 };

/** The seats of an answer of `/v1/seats/{epoch}`: their hash is recomputed, not believed. */
export function readSeats(view, chainId) {
  const seats = view.seats.map((seat) => [
    fromHex(seat.identity, "identity"),
    fromHex(seat.bls, "BLS key"),
    BigInt(seat.registry_index),
  ]);
  require(seats.length >= 4, `a seat set has at least 4 seats, this has ${seats.length}`);
  const ascending = seats.every(([id], i) => i === 0 || Buffer.compare(seats[i - 1][0], id) < 0);
  require(ascending, "seats are not in ascending order of identity");
  require(new Set(seats.map(([, key]) => toHex(key))).size === seats.length, "a BLS key is there twice");
  const keys = view.seats.map((seat) => seat.bls);
  require(JSON.stringify(keys) === JSON.stringify(view.keys), "keys and seats differ");
  const hash = keccak(encodeRlp(seats));
  require(hash === view.seats_hash, `seats hash to ${hash}, the node says ${view.seats_hash}`);
  const faults = Math.floor((seats.length - 1) / 3);
  return {
    epoch: BigInt(view.epoch),
    hash,
    keys,
    quorum: seats.length - faults,
    namespace: concat(ascii("CORTADO"), u64(chainId), fromHex(hash)),
  };
}

/** Indices of the seats that signed. */
function signers(bitmap, count) {
  const bytes = fromHex(bitmap, "bitmap");
  require(bytes.length === Math.ceil(count / 8), `bitmap is ${bytes.length} bytes for ${count} seats`);
  const found = [];
  for (let i = 0; i < bytes.length * 8; i += 1) {
    if ((bytes[i >> 3] >> (i & 7)) & 1) found.push(i);
  }
  require(found.every((i) => i < count), "bitmap has a bit past the last seat");
  return found;
}

/** Checks that a quorum of `seats` signed `view.payload`. Gives the number of signers. */
export function checkSignature(view, seats) {
  require(BigInt(view.epoch) === seats.epoch, `certificate is of epoch ${view.epoch}, the seats of ${seats.epoch}`);
  require(view.base_namespace === toHex(seats.namespace), "base namespace is not of this chain and these seats");
  const who = signers(view.bitmap, seats.keys.length);
  require(who.length >= seats.quorum, `${who.length} seats signed, a quorum is ${seats.quorum}`);
  const namespace = concat(seats.namespace, ascii("_FINALIZE"));
  const body = concat(varint(view.epoch), varint(view.view), varint(view.parent_view), fromHex(view.payload, "payload"));
  const message = concat(varint(namespace.length), namespace, body);
  const bls = bls12_381.shortSignatures;
  let valid = false;
  try {
    const points = who.map((i) => bls12_381.G2.ProjectivePoint.fromHex(seats.keys[i].slice(2)));
    points.forEach((point) => point.assertValidity());
    const key = bls.aggregatePublicKeys(points);
    const signature = bls12_381.G1.ProjectivePoint.fromHex(view.signature.slice(2));
    signature.assertValidity();
    valid = bls.verify(signature, bls.hash(message, DST), key);
  } catch (error) {
    require(false, `signature or keys are not points of their groups: ${error.message}`);
  }
  require(valid, "the signature is not of these seats");
  return who.length;
}

/** A header as it was hashed. */
export function readHeader(raw) {
  const bytes = fromHex(raw, "header");
  const fields = decodeRlp(bytes);
  require(fields.length === HEADER.fields, `a header has ${HEADER.fields} fields, this has ${fields.length}`);
  return {
    hash: keccak(bytes),
    chainId: number(fields[HEADER.chainId]),
    term: fields[HEADER.term].length ? number(fields[HEADER.term]) : 0n,
    height: fields[HEADER.height].length ? number(fields[HEADER.height]) : 0n,
    parent: toHex(fields[HEADER.parent]),
    lanesRoot: toHex(fields[HEADER.lanesRoot]),
    seatsHash: toHex(fields[HEADER.seatsHash]),
  };
}

/** Checks that the block with this header is final: through its descendants to the certificate. */
export function checkFinal(raw, view, seats, chainId) {
  const header = readHeader(raw);
  let tip = header;
  for (const next of view.descendants.map(readHeader)) {
    require(next.parent === tip.hash && next.height === tip.height + 1n, `block ${next.height} does not follow ${tip.height}`);
    tip = next;
  }
  require(tip.hash === view.payload, `certificate finalises ${view.payload}, the headers lead to ${tip.hash}`);
  require(tip.chainId === BigInt(chainId), `header is of chain ${tip.chainId}, expected ${chainId}`);
  require(tip.seatsHash === seats.hash, `header names seats ${tip.seatsHash}, expected ${seats.hash}`);
  require(tip.term === seats.epoch, `header is of term ${tip.term}, the seats of ${seats.epoch}`);
  return { header, signers: checkSignature(view, seats) };
}

/** Checks a transaction proof down to the certificate. */
export function checkTransaction(view, seats, chainId) {
  const { header, signers } = checkFinal(view.lane.header, view.lane.certificate, seats, chainId);
  require(header.height === BigInt(view.lane.height), "the header is of another block");
  const key = (index) => encodeRlp(BigInt(index));
  const entry = proved(header.lanesRoot, key(view.lane.index), view.lane.proof);
  require(toHex(entry) === view.lane.entry, "the proof leads to another lane entry");
  const [[lane]] = decodeRlp(entry);
  require(lane.length === LANE.fields, `a lane header has ${LANE.fields} fields, this has ${lane.length}`);
  require(number(lane[LANE.chainId]) === BigInt(chainId), "the lane block is of another chain");
  require(number(lane[LANE.namespace]) === BigInt(view.namespace), "the lane block is of another namespace");
  require(number(lane[LANE.height]) === BigInt(view.lane_height), "the lane block has another height");
  const transaction = proved(toHex(lane[LANE.bodyRoot]), key(view.index), view.proof);
  require(toHex(transaction) === view.transaction, "the proof leads to another transaction");
  const hash = keccak(transaction);
  require(hash === view.hash, `the transaction hashes to ${hash}, the node says ${view.hash}`);
  return { header, signers, hash };
}
