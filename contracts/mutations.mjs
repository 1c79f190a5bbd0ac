// Certificates that are wrong in one way or another: what `../crates/client/tests/mutations.rs` makes in Rust from
// the same seed, as calls of the light client. Both sides name the same things: `vectors/mutations.json` holds the
// digest of all of them, and the points that stand in for signatures.
//
// Mutation `i` is chosen by keccak256("mutation" ‖ i as 4 bytes): byte 0 the certificate, byte 1 the way, the rest
// its parameters. A certificate is header, view, parent's view, bitmap, signature (48 bytes).

import { bls12_381 as bls } from "@noble/curves/bls12-381";
import { ascii, concat, decodeRlp, encodeRlp, fromHex, keccak, toHex, u64, varint } from "../scripts/verify/bytes.mjs";

export const COUNT = 10_000;
const WAYS = 12;
const G1 = bls.G1.ProjectivePoint;
const fp = (value) => value.toString(16).padStart(128, "0");

const number = (bytes, from, size) => bytes.subarray(from, from + size).reduce((sum, byte) => sum * 256 + byte, 0);
const same = (a, b) => toHex(a) === toHex(b);
const flip = (bytes, bit) => Uint8Array.from(bytes, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));

/** Mutation `index` of the certificates `bases`; `points` are the signatures that are put in place of the true one. */
export function mutate(index, bases, points) {
  const dice = fromHex(keccak(concat(ascii("mutation"), Uint8Array.of(0, 0, index >> 8, index & 255))));
  const base = bases[dice[0] % bases.length];
  const made = { ...base };
  const spread = number(dice, 4, 4);
  switch (dice[1] % WAYS) {
    case 0: // a bit of the header
      made.header = flip(base.header, spread % (base.header.length * 8));
      break;
    case 1: // another byte
      made.header = Uint8Array.from(base.header, (byte, i) => (i === spread % base.header.length ? byte ^ (1 + (dice[2] % 255)) : byte));
      break;
    case 2: // cut
      made.header = base.header.subarray(0, spread % base.header.length);
      break;
    case 3: // lengthened
      made.header = concat(base.header, dice.subarray(8, 9 + (dice[2] % 20)));
      break;
    case 4: { // another value in a field, in its RLP
      const fields = decodeRlp(base.header);
      const field = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16][dice[2] % 14];
      const old = fields[field];
      fields[field] = old.length === 32 ? flip(old, spread % 256) : Uint8Array.of(1 + (dice[3] % 255), ...dice.subarray(8, 9 + (dice[3] % 7)));
      if (same(old, fields[field])) fields[field] = Uint8Array.of(1 + old[0] % 100, 7);
      made.header = encodeRlp(fields);
      break;
    }
    case 5: // a bit of the view
      made.view = base.view ^ (1n << BigInt(spread % 64));
      break;
    case 6: // a bit of the parent's view
      made.parentView = base.parentView ^ (1n << BigInt(spread % 64));
      break;
    case 7: // views that change places
      made.view = base.parentView;
      made.parentView = base.view + BigInt(dice[2] % 4);
      break;
    case 8: // a bit of the bitmap
      made.bitmap = flip(base.bitmap, spread % (base.bitmap.length * 8));
      break;
    case 9: // a bitmap of another length
      made.bitmap = dice[2] % 2 ? concat(base.bitmap, dice.subarray(8, 9 + (dice[3] % 8))) : base.bitmap.subarray(0, dice[3] % base.bitmap.length);
      break;
    case 10: // a bit of the signature
      made.signature = flip(base.signature, spread % 384);
      break;
    default: { // another point
      const point = points[spread % points.length];
      made.signature = fromHex(point.signature);
      if (point.bitmap !== undefined) made.bitmap = fromHex(point.bitmap);
    }
  }
  // One in four is wrong in its views as well.
  if (dice[30] % 4 === 0) made.view ^= BigInt(1 + dice[31]) << 9n;
  return made;
}

export const encodeCertificate = ({ header, view, parentView, bitmap, signature }) =>
  concat(u64(header.length), header, u64(view), u64(parentView), u64(bitmap.length), bitmap, signature);

export const isSame = (a, b) => same(encodeCertificate(a), encodeCertificate(b));

/** keccak256 over keccak256 of each. */
export function digestOf(bases, points) {
  const all = Array.from({ length: COUNT }, (_, i) => fromHex(keccak(encodeCertificate(mutate(i, bases, points)))));
  return keccak(concat(...all));
}

/** What is signed instead: points that are signatures of nothing, of something else, or by fewer. */
export function pointsFor(bases, secrets, chainId, seatsHash) {
  const hash = (message) => bls.G1.hashToCurve(message, { DST: "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_" });
  const message = (base, { kind = "_FINALIZE", chain = chainId, seats = seatsHash, term = 0n, payload } = {}) => {
    const namespace = concat(ascii("CORTADO"), u64(chain), fromHex(seats), ascii(kind));
    const rest = kind === "_NULLIFY" ? [] : [varint(base.parentView), fromHex(payload ?? keccak(base.header))];
    return concat(varint(namespace.length), namespace, varint(term), varint(base.view), ...rest);
  };
  const compressed = (point) => "0x" + point.toHex(true);
  const sign = (text, who) => hash(text).multiply(who.reduce((sum, seat) => (sum + secrets[seat]) % bls.fields.Fr.ORDER, 0n));
  const out = [];
  const add = (why, point, bitmap) => out.push({ why, signature: typeof point === "string" ? point : compressed(point), ...(bitmap && { bitmap }) });
  add("infinity", "0xc0" + "00".repeat(47));
  add("zeros", "0x" + "00".repeat(48));
  add("infinity by nobody", "0xc0" + "00".repeat(47), "0x00");
  add("the generator", G1.BASE);
  add("minus the generator", G1.BASE.negate());
  add("on the curve, of order 3", "0x80" + "00".repeat(47));
  add("x above the modulus", "0x9a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab");
  for (const base of bases) {
    const true_ = G1.fromHex(toHex(base.signature).slice(2));
    const signers = [0, 1, 2, 3].filter((seat) => (base.bitmap[0] >> seat) & 1);
    const bitmap = toHex(base.bitmap);
    add("minus the signature", true_.negate(), bitmap);
    add("the signature twice", true_.double(), bitmap);
    add("the signature and the generator", true_.add(G1.BASE), bitmap);
    add("a notarization", sign(message(base, { kind: "_NOTARIZE" }), signers), bitmap);
    add("a nullification", sign(message(base, { kind: "_NULLIFY" }), signers), bitmap);
    add("of another chain", sign(message(base, { chain: chainId + 1n }), signers), bitmap);
    add("of other seats", sign(message(base, { seats: keccak(ascii("others")) }), signers), bitmap);
    add("of another term", sign(message(base, { term: 1n }), signers), bitmap);
    add("of another block", sign(message(base, { payload: keccak(ascii("other")) }), signers), bitmap);
    add("by one less than a quorum", sign(message(base), [0, 1]), "0x03");
    add("by one", sign(message(base), [3]), "0x08");
    add("by two, said to be three", sign(message(base), [0, 1]), "0x07");
    add("by three, of whom one twice", sign(message(base), [0, 1, 1]), "0x03");
    add("by a seat that is none", sign(message(base), [0, 1, 2]), "0x17");
  }
  return out;
}

/** The point of a compressed signature as EIP-2537 writes it, or something that is none where it is none. */
function uncompressed(signature, old) {
  if (signature[0] === 0xc0 && signature.subarray(1).every((byte) => byte === 0)) return "00".repeat(128);
  try {
    const { x, y } = G1.fromHex(toHex(signature).slice(2)).toAffine();
    return fp(x) + fp(y);
  } catch {
    // Its x, flags and all, and the y of the true one.
    const x = Uint8Array.from(signature, (byte, i) => (i === 0 ? byte ^ 0x80 : byte));
    return "00".repeat(16) + toHex(x).slice(2) + fp(G1.fromHex(toHex(old).slice(2)).toAffine().y);
  }
}

const word = (value) => BigInt(value).toString(16).padStart(64, "0");
const padded = (bytes) => word(bytes.length) + toHex(bytes).slice(2).padEnd(Math.ceil(bytes.length / 32) * 64, "0");

/** The call of `LightClient.update` with a certificate. */
export function callOf(made, base, selector) {
  const header = padded(made.header);
  const head = [word(0x100), word(made.view), word(made.parentView), uncompressed(made.signature, base.signature)];
  return `0x${selector}${head.join("")}${word(0x100 + header.length / 2)}${header}${padded(made.bitmap)}`;
}
