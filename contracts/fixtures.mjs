#!/usr/bin/env node
// Writes test/fixtures: what the contracts must accept, made by another implementation (noble, and the recorded
// answers of a node in ../vectors), and mutations of certificates, which they must refuse. `--check` compares
// instead, and writes only cache/mutations.txt.

import { bls12_381 as bls } from "@noble/curves/bls12-381";
import { expand, extract } from "@noble/hashes/hkdf";
import { sha256 } from "@noble/hashes/sha2";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { ascii, concat, decodeRlp, encodeRlp, fromHex, keccak, toHex, u64, varint } from "../scripts/verify/bytes.mjs";
import { COUNT, callOf, digestOf, isSame, mutate, pointsFor } from "./mutations.mjs";

const DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const DST_POP = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const G1 = bls.G1.ProjectivePoint;
const G2 = bls.G2.ProjectivePoint;

// --- points as EIP-2537 writes them ---

const fp = (value) => value.toString(16).padStart(128, "0");
const g1 = (point) => "0x" + [point.toAffine().x, point.toAffine().y].map(fp).join("");
const g2 = (point) => {
  const { x, y } = point.toAffine();
  return "0x" + [x.c0, x.c1, y.c0, y.c1].map(fp).join("");
};
const hash = (message, dst) => bls.G1.hashToCurve(message, { DST: dst });

/** The key derivation of EIP-2333, which `SecretBls::derive` uses. */
function secretOf(material) {
  let salt = ascii("BLS-SIG-KEYGEN-SALT-");
  for (;;) {
    salt = sha256(salt);
    const prk = extract(sha256, concat(material, [0]), salt);
    const secret = BigInt(toHex(expand(sha256, prk, Uint8Array.of(0, 48), 48))) % bls.fields.Fr.ORDER;
    if (secret !== 0n) return secret;
  }
}

// --- a trie and a mountain range, from their definitions ---

const nibblesOf = (bytes) => [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);

function packed(nibbles, leaf) {
  const odd = nibbles.length % 2;
  const all = [(leaf ? 2 : 0) + odd, ...(odd ? [] : [0]), ...nibbles];
  return Uint8Array.from({ length: all.length / 2 }, (_, i) => all[2 * i] * 16 + all[2 * i + 1]);
}

/** Builds a trie of [nibbles, value] pairs; `nodes` gets every node by its reference. */
function build(pairs, nodes) {
  const none = new Uint8Array();
  const reference = (node) => {
    const raw = encodeRlp(node);
    if (raw.length < 32) return node;
    nodes.set(keccak(raw), raw);
    return fromHex(keccak(raw));
  };
  const make = (entries, depth) => {
    if (entries.length === 1) return [packed(entries[0][0].slice(depth), true), entries[0][1]];
    let common = depth;
    while (entries.every(([path]) => common < path.length && path[common] === entries[0][0][common])) common += 1;
    if (common > depth) return [packed(entries[0][0].slice(depth, common), false), reference(make(entries, common))];
    const children = Array.from({ length: 16 }, (_, nibble) => {
      const below = entries.filter(([path]) => path[depth] === nibble);
      return below.length ? reference(make(below, depth + 1)) : none;
    });
    const here = entries.find(([path]) => path.length === depth);
    return [...children, here ? here[1] : none];
  };
  if (pairs.length === 0) {
    nodes.set(keccak(encodeRlp(none)), encodeRlp(none));
    return keccak(encodeRlp(none));
  }
  const raw = encodeRlp(make(pairs, 0));
  nodes.set(keccak(raw), raw);
  return keccak(raw);
}

/** The nodes by hash on the way to `key`. */
function prove(root, key, nodes) {
  const proof = [];
  let path = nibblesOf(key);
  const enter = (reference) => {
    if (Array.isArray(reference)) return reference;
    const raw = nodes.get(toHex(reference));
    proof.push(toHex(raw));
    return decodeRlp(raw);
  };
  let node = enter(fromHex(root));
  for (;;) {
    let next;
    if (!Array.isArray(node)) return proof;
    if (node.length === 17) {
      if (path.length === 0) return proof;
      next = node[path[0]];
      path = path.slice(1);
      if (next.length === 0) return proof;
    } else {
      const part = nibblesOf(node[0]);
      const own = part.slice(part[0] % 2 ? 1 : 2);
      if (part[0] >= 2 || !own.every((nibble, i) => nibble === path[i])) return proof;
      path = path.slice(own.length);
      next = node[1];
    }
    node = enter(next);
  }
}

class Trie {
  constructor(entries) {
    this.entries = new Map(entries.map(([key, value]) => [toHex(key), value]));
    this.nodes = new Map();
    this.root = build(entries.map(([key, value]) => [nibblesOf(key), value]), this.nodes);
  }
  case(key) {
    const value = this.entries.get(toHex(key));
    return { key: toHex(key), present: value !== undefined, value: toHex(value ?? []), proof: prove(this.root, key, this.nodes) };
  }
}
const ordered = (values) => new Trie(values.map((value, i) => [encodeRlp(BigInt(i)), value]));

class Range {
  constructor(leaves) {
    this.leaves = leaves;
  }
  /** The mountains, largest first: lists of levels. */
  mountains() {
    const out = [];
    let start = 0;
    for (let height = 20; height >= 0; height -= 1) {
      if (!((this.leaves.length >> height) & 1)) continue;
      const levels = [this.leaves.slice(start, start + (1 << height))];
      while (levels.at(-1).length > 1) {
        const below = levels.at(-1);
        levels.push(below.filter((_, i) => i % 2 === 0).map((left, i) => keccak(concat([1], fromHex(left), fromHex(below[2 * i + 1])))));
      }
      out.push({ start, levels });
      start += 1 << height;
    }
    return out;
  }
  get peaks() {
    return this.mountains().map(({ levels }) => levels.at(-1)[0]);
  }
  get root() {
    return keccak(concat([2], u64(this.leaves.length), ...this.peaks.map((peak) => fromHex(peak))));
  }
  case(index) {
    const { start, levels } = this.mountains().find((mountain) => index < mountain.start + mountain.levels[0].length);
    const siblings = levels.slice(0, -1).map((level, height) => level[((index - start) >> height) ^ 1]);
    return { leaves: this.leaves.length, index, leaf: this.leaves[index], siblings, peaks: this.peaks, root: this.root };
  }
}

// --- what is written ---

let state = 1;
const random = (below) => {
  // A small generator: the fixtures are the same every time.
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % below;
};
const bytes = (length) => Uint8Array.from({ length }, () => random(256));

function hashes() {
  const lengths = [0, 1, 31, 32, 33, 55, 56, 64, 100, 200];
  return lengths.map((length) => {
    const message = bytes(length);
    return { message: toHex(message), vote: g1(hash(message, DST)), possession: g1(hash(message, DST_POP)) };
  });
}

function keys() {
  return Array.from({ length: 12 }, (_, i) => {
    const point = G2.BASE.multiply(secretOf(new Uint8Array(32).fill(i + 1)));
    return { point: g2(point), compressed: "0x" + point.toHex(true), negated: g2(point.negate()) };
  });
}

const voteBody = { notarize: "_NOTARIZE", finalize: "_FINALIZE", nullify: "_NULLIFY" };
function voteMessage(chainId, seats, kind, term, view, parent, payload) {
  const namespace = concat(ascii("CORTADO"), u64(chainId), fromHex(seats), ascii(voteBody[kind]));
  const rest = kind === "nullify" ? [] : [varint(parent), fromHex(payload)];
  return concat(varint(namespace.length), namespace, varint(term), varint(view), ...rest);
}
function votes() {
  const seats = keccak(ascii("seats"));
  const payload = keccak(ascii("payload"));
  const numbers = [[0n, 0n, 0n], [1n, 127n, 126n], [128n, 300n, 16384n], [2n ** 64n - 1n, 2n ** 63n, 2n ** 62n]];
  return Object.keys(voteBody).flatMap((kind, number) =>
    numbers.map(([term, view, parent]) => ({
      kind: number,
      term: term.toString(),
      view: view.toString(),
      parent: (kind === "nullify" ? 0n : parent).toString(),
      seats,
      payload: kind === "nullify" ? "0x" + "00".repeat(32) : payload,
      message: toHex(voteMessage(9009n, seats, kind, term, view, parent, payload)),
    })),
  );
}

function tries() {
  const out = [];
  const add = (trie, asked) => out.push({ root: trie.root, cases: asked.map((key) => trie.case(key)) });
  for (const count of [0, 1, 2, 3, 17, 127, 128, 129, 300]) {
    // Short values, so that nodes stand inside their parents, and long ones.
    const trie = ordered(Array.from({ length: count }, (_, i) => bytes(i % 3 === 0 ? 1 + random(4) : 1 + random(90))));
    const asked = [0, 1, 2, 16, 126, 127, 128, count - 1, count, count + 1, 255, 256, 299, 65536];
    add(trie, [...new Set(asked.filter((i) => i >= 0))].map((i) => encodeRlp(BigInt(i))));
  }
  for (const count of [1, 2, 40]) {
    const names = Array.from({ length: count }, () => bytes(32));
    const trie = new Trie(names.map((name) => [name, bytes(1 + random(120))]));
    const near = names.slice(0, 10).map((name) => Uint8Array.from(name, (byte, i) => (i === 31 ? byte ^ 1 : byte)));
    add(trie, [...names.slice(0, 15), ...near, bytes(32), bytes(32), bytes(32)]);
  }
  return out;
}

function history() {
  const out = [];
  for (const count of [1, 2, 3, 7, 8, 21, 64, 100]) {
    const range = new Range(Array.from({ length: count }, () => toHex(bytes(32))));
    const asked = new Set([0, 1, count >> 1, count - 1, random(count)].filter((i) => i < count));
    for (const index of asked) out.push(range.case(index));
  }
  return out;
}

/** The seats, the certificates and the proofs that ../vectors records, with points uncompressed. */
function recorded() {
  const { answers } = JSON.parse(readFileSync(new URL("../vectors/finality.json", import.meta.url)));
  const found = answers["/v1/seats/0"].seats;
  const seed = [...Array(256).keys()].find((value) => {
    const material = new Uint8Array(32).fill(value);
    material[0] = 0;
    return "0x" + G2.BASE.multiply(secretOf(material)).toHex(true) === found[0].bls;
  });
  const secrets = found.map((_, seat) => {
    const material = new Uint8Array(32).fill(seed);
    material[0] = seat;
    return secretOf(material);
  });
  const seats = found.map((seat, i) => ({
    identity: seat.identity,
    key: g2(G2.fromHex(seat.bls.slice(2))),
    secret: "0x" + secrets[i].toString(16).padStart(64, "0"),
  }));
  const certificate = (view) => ({
    view: view.view,
    parentView: view.parent_view,
    bitmap: view.bitmap,
    signature: g1(G1.fromHex(view.signature.slice(2))),
  });
  const transactions = Object.entries(answers)
    .filter(([url]) => /\/proofs\/transaction\/\d+\//.test(url))
    .map(([, view]) => ({
      header: view.lane.header,
      descendants: view.lane.certificate.descendants,
      payload: view.lane.certificate.payload,
      certificate: certificate(view.lane.certificate),
      position: view.lane.index,
      laneProof: view.lane.proof,
      namespace: view.namespace,
      laneHeight: view.lane_height,
      index: view.index,
      proof: view.proof,
      transaction: view.transaction,
    }));
  const latest = answers["/v1/blocks/3/certificate"];
  return {
    chainId: answers["/v1/genesis"].chain_id,
    seatsHash: answers["/v1/seats/0"].seats_hash,
    seats,
    latest: { header: answers["/v1/blocks/3/header"].header_rlp, certificate: certificate(latest) },
    transactions,
  };
}

/** The certificates that ../vectors/finality.json holds, as a mutation takes them. */
function certificates() {
  const { answers } = JSON.parse(readFileSync(new URL("../vectors/finality.json", import.meta.url)));
  const found = Object.values(answers).flatMap((answer) => {
    if (!answer.lane) return [];
    const { certificate, header } = answer.lane;
    const rlp = fromHex(certificate.descendants.at(-1) ?? header);
    const { view, parent_view, bitmap, signature } = certificate;
    return [{ header: rlp, view: BigInt(view), parentView: BigInt(parent_view), bitmap: fromHex(bitmap), signature: fromHex(signature) }];
  });
  return found.filter((one, i) => found.findIndex((other) => isSame(one, other)) === i);
}

/** What both clients must refuse: see mutations.mjs. The calls of the contract are too many to be committed. */
function mutations() {
  const bases = certificates();
  const { seats, chainId, seatsHash } = recorded();
  const points = pointsFor(bases, seats.map(({ secret }) => BigInt(secret)), BigInt(chainId), seatsHash);
  const selector = keccak(ascii("update(bytes,uint64,uint64,(bytes32,bytes32,bytes32,bytes32),bytes)")).slice(2, 10);
  const lines = Array.from({ length: COUNT }, (_, i) => {
    const made = mutate(i, bases, points);
    if (bases.some((base) => isSame(base, made))) throw new Error(`mutation ${i} changes nothing`);
    return callOf(made, bases[0], selector);
  });
  const cache = new URL("cache/", import.meta.url);
  mkdirSync(cache, { recursive: true });
  writeFileSync(new URL("mutations.txt", cache), [...bases.map((base) => callOf(base, base, selector)), ...lines].join("\n") + "\n");
  const about = "Points in place of signatures, and the digest of all mutations: see contracts/mutations.mjs.";
  return { about, count: COUNT, certificates: bases.length, digest: digestOf(bases, points), points };
}

/** Possession of the recorded keys, and of one more, for the registry and the owner of the tests. */
function possession() {
  const registry = "0x00000000000000000000000000000000000c0f1e";
  const owner = "0x00000000000000000000000000000000000000a1";
  const secret = secretOf(new Uint8Array(32).fill(99));
  const point = G2.BASE.multiply(secret);
  const namespace = concat(ascii("CORTADO_POP"), u64(9009), fromHex(registry), fromHex(owner));
  const message = concat(varint(namespace.length), namespace, point.toRawBytes(true));
  return { registry, owner, key: g2(point), message: toHex(message), signature: g1(hash(message, DST_POP).multiply(secret)) };
}

/** Registrations of L1 validators as Commit-Boost signs them, for the register and the owner of the tests. */
function validators() {
  const register = "0x00000000000000000000000000000000000c0f1f";
  const owner = "0x00000000000000000000000000000000000000a1";
  const word = (hex) => fromHex("0x" + hex.replace(/^0x/, "").padStart(64, "0"));
  const little = (value) => Uint8Array.from(fromHex("0x" + BigInt(value).toString(16).padStart(64, "0"))).reverse();
  // abi.encode("CORTADO_ROFR", chain id, id of the L1, register, owner); forge's chain is 31337.
  const name = new Uint8Array(32);
  name.set(ascii("CORTADO_ROFR"));
  const head = [word("a0"), word((9009).toString(16)), word((31337).toString(16)), word(register), word(owner)];
  const object = fromHex(keccak(concat(...head, word("0c"), name)));
  const fork = new Uint8Array(64);
  fork.set(fromHex("0x10000038"));
  const domain = concat(fromHex("0x6d6d6f43"), sha256(fork).subarray(0, 28));
  const module = fromHex(keccak(ascii("module")));
  const signed = Array.from({ length: 3 }, (_, nonce) => {
    const request = sha256(concat(sha256(concat(object, module)), sha256(concat(little(nonce), little(31337)))));
    const root = sha256(concat(request, domain));
    const secret = secretOf(new Uint8Array(32).fill(50 + nonce));
    const point = bls.G2.hashToCurve(root, { DST: "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_" });
    return { pubkey: g1(G1.BASE.multiply(secret)), signature: g2(point.multiply(secret)), signingRoot: toHex(root) };
  });
  return { register, owner, signed };
}

const check = process.argv.includes("--check");
const files = { bls: { hashes: hashes(), keys: keys(), votes: votes(), possession: possession() }, tries: tries(), history: history(), recorded: recorded(), validators: validators() };
const places = Object.entries(files).map(([name, content]) => [`test/fixtures/${name}.json`, content]);
for (const [name, content] of [...places, ["../vectors/mutations.json", mutations()]]) {
  const file = new URL(name, import.meta.url);
  const text = `${JSON.stringify(content, null, 1)}\n`;
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${name} is not what fixtures.mjs makes`);
    process.exit(1);
  }
}
