// Bytes, RLP and trie proofs: as little as a verifier needs.

import { keccak_256 } from "@noble/hashes/sha3";

/** An answer that cannot be true. */
export class Refusal extends Error {}

export function require(condition, words) {
  if (!condition) throw new Refusal(words);
}

export function fromHex(text, what = "bytes") {
  require(typeof text === "string" && /^0x([0-9a-fA-F]{2})*$/.test(text), `${what}: not 0x-hex: ${text}`);
  return Uint8Array.from(Buffer.from(text.slice(2), "hex"));
}

export const toHex = (bytes) => "0x" + Buffer.from(bytes).toString("hex");
export const keccak = (bytes) => toHex(keccak_256(bytes));
export const concat = (...parts) => Uint8Array.from(Buffer.concat(parts.map((part) => Buffer.from(part))));
export const ascii = (text) => Uint8Array.from(Buffer.from(text, "ascii"));

/** A u64, big endian. */
export function u64(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return Uint8Array.from(bytes);
}

/** Unsigned LEB128. */
export function varint(number) {
  const bytes = [];
  let rest = BigInt(number);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const bigEndian = (bytes) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

/** The number an RLP string stands for. */
export function number(bytes) {
  require(bytes instanceof Uint8Array && bytes.length <= 8 && bytes[0] !== 0, "not an RLP number");
  return bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function item(bytes, at) {
  require(at < bytes.length, "RLP ends too early");
  const first = bytes[at];
  if (first < 0x80) return { start: at, end: at + 1, list: false };
  const list = first >= 0xc0;
  const short = list ? 0xc0 : 0x80;
  let start = at + 1;
  let length = first - short;
  if (length > 55) {
    const size = length - 55;
    length = bigEndian(bytes.subarray(start, start + size));
    start += size;
    require(length > 55, "RLP length is not in its shortest form");
  }
  require(start + length <= bytes.length, "RLP reaches past its end");
  return { start, end: start + length, list };
}

/** Strings as Uint8Array, lists as arrays. */
export function decodeRlp(bytes) {
  const read = (at) => {
    const { start, end, list } = item(bytes, at);
    if (!list) return { value: bytes.subarray(start, end), end };
    const value = [];
    for (let inner = start; inner < end; ) {
      const next = read(inner);
      value.push(next.value);
      inner = next.end;
    }
    return { value, end };
  };
  const { value, end } = read(0);
  require(end === bytes.length, "bytes after the RLP");
  return value;
}

/** Strings from Uint8Array, lists from arrays, numbers from bigint or number. */
export function encodeRlp(value) {
  const prefix = (length, short) => {
    if (length <= 55) return Uint8Array.of(short + length);
    const size = encodeNumber(length);
    return concat([short + 55 + size.length], size);
  };
  if (Array.isArray(value)) {
    const payload = concat(...value.map(encodeRlp));
    return concat(prefix(payload.length, 0xc0), payload);
  }
  const bytes = value instanceof Uint8Array ? value : encodeNumber(value);
  if (bytes.length === 1 && bytes[0] < 0x80) return bytes;
  return concat(prefix(bytes.length, 0x80), bytes);
}

function encodeNumber(value) {
  let rest = BigInt(value);
  const bytes = [];
  for (; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return Uint8Array.from(bytes);
}

const nibbles = (bytes) => [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);

/**
 * Walks a Merkle-Patricia proof; the value that stands at `key` under `root`.
 * Every node is tied to the one above it: by hash, or inside it when it is shorter than a hash.
 */
export function proved(root, key, nodes) {
  const rest = nodes.map((node) => fromHex(node, "proof node"));
  let path = nibbles(key);
  const enter = (reference) => {
    if (Array.isArray(reference)) {
      // An embedded node may be repeated in the list; it says nothing new.
      if (rest.length && toHex(encodeRlp(reference)) === toHex(rest[0])) rest.shift();
      return reference;
    }
    require(rest.length > 0, "proof ends before the value");
    const raw = rest.shift();
    require(keccak(raw) === toHex(reference), "a proof node is not the one above it names");
    return decodeRlp(raw);
  };
  let node = enter(fromHex(root, "root"));
  for (;;) {
    require(Array.isArray(node) && (node.length === 17 || node.length === 2), "not a trie node");
    if (node.length === 17) {
      if (path.length === 0) return node[16];
      const [next, ...left] = path;
      require(node[next].length > 0, "there is nothing at this key");
      path = left;
      node = enter(node[next]);
      continue;
    }
    const packed = nibbles(node[0]);
    const leaf = packed[0] >= 2;
    const part = packed.slice(packed[0] % 2 === 1 ? 1 : 2);
    require(part.every((nibble, i) => nibble === path[i]), "there is nothing at this key");
    path = path.slice(part.length);
    if (leaf) {
      require(path.length === 0, "there is nothing at this key");
      return node[1];
    }
    node = enter(node[1]);
  }
}
