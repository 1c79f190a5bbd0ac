// Recomputes what an Ethereum block and an account proof commit to, from the RPC's answers alone.

import { fromRlp, hexToBigInt, keccak256, numberToHex, toRlp } from "viem";

const FIELDS = [
  "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
  "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
  "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot",
  "requestsHash",
];
const QUANTITIES = new Set([
  "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed",
  "excessBlobGas",
]);

/** RLP has no leading zeros in numbers; zero is the empty string. */
export const quantity = (value) => (hexToBigInt(value) === 0n ? "0x" : even(numberToHex(BigInt(value))));
const even = (hex) => (hex.length % 2 ? `0x0${hex.slice(2)}` : hex);

/** keccak of the RLP of the fields that the block has (later forks add fields at the end). */
export function blockHash(block) {
  const fields = FIELDS.filter((name) => block[name] !== undefined && block[name] !== null);
  return keccak256(
    toRlp(fields.map((name) => (QUANTITIES.has(name) ? quantity(block[name]) : block[name]))),
  );
}

/** The RLP of an account as it stands in the state trie. */
export const account = ({ nonce, balance, storageHash, codeHash }) =>
  toRlp([quantity(nonce), quantity(balance), storageHash, codeHash]);

/** The value under keccak(key) that the proof's nodes lead to from `root`; null if it is absent. */
export function prove(root, key, nodes) {
  let path = keccak256(key).slice(2);
  let expected = root;
  for (const node of nodes) {
    if (keccak256(node) !== expected) throw new Error(`node ${keccak256(node)}, not ${expected}`);
    const items = fromRlp(node);
    if (items.length === 17) {
      expected = items[parseInt(path[0], 16)];
      path = path.slice(1);
      if (expected === "0x") return null;
      continue;
    }
    // Hex-prefix: the first nibble says whether this is a leaf (2) and whether it is odd (1).
    const flags = parseInt(items[0][2], 16);
    const segment = items[0].slice(flags & 1 ? 3 : 4);
    if (!path.startsWith(segment)) return null;
    path = path.slice(segment.length);
    if (flags & 2) return items[1];
    expected = items[1];
  }
  throw new Error(`the proof ends before ${expected}`);
}
