// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle-Patricia proofs, of presence and of absence
/// @notice A proof lists the nodes from the root that are named by hash; a node shorter than 32 bytes stands
/// inside its parent. Nodes left over are refused. (OpenZeppelin's `TrieProof` proves presence alone.)
library Trie {
    /// @notice More nodes than any path has.
    error ProofTooDeep(uint256 nodes);
    /// @notice A node is longer than the longest that there can be.
    error NodeTooLong(uint256 node, uint256 size);
    /// @notice The proof ends before the value, or before it shows that there is none.
    error NodeMissing(uint256 node);
    /// @notice A node does not have the hash that its parent names.
    error WrongNode(uint256 node, bytes32 got, bytes32 want);
    /// @notice Nodes are left over.
    error NodesLeft(uint256 used, uint256 given);
    /// @notice Not a node, or not in its one form.
    error MalformedNode(uint256 node);

    /// @dev 64 nibbles of a hashed key, and the leaf.
    uint256 internal constant PROOF_NODES_MAX = 66;
    /// @dev Sixteen hashes, or a leaf with the largest transaction (128 KiB).
    uint256 internal constant NODE_BYTES_MAX = (128 << 10) + 1024;
    /// @dev keccak256 of the RLP of the empty string: a trie without entries.
    bytes32 internal constant EMPTY_ROOT = 0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421;

    /// @dev Where the reader is. Positions are in memory.
    struct Cursor {
        // Next node of the proof.
        uint256 used;
        // Nibbles of the key that are behind.
        uint256 depth;
        // Node that is being read: from here to there.
        uint256 start;
        uint256 end;
    }

    /// @notice What stands at `key` under `root`. Reverts if the nodes show neither a value nor its absence.
    function get(bytes32 root, bytes memory key, bytes[] calldata proof)
        internal
        pure
        returns (bool present, bytes memory value)
    {
        require(proof.length <= PROOF_NODES_MAX, ProofTooDeep(proof.length));
        if (proof.length == 0 && root == EMPTY_ROOT) return (false, value);
        Cursor memory pos;
        _next(pos, root, proof);
        uint256 nibbles = key.length * 2;
        for (;;) {
            // The empty trie, spelled out.
            if (pos.end == pos.start + 1 && _byte(pos.start) == 0x80 && root == EMPTY_ROOT) break;
            (uint256 items, uint256[18] memory bounds) = _items(pos);
            uint256 child;
            if (items == 17) {
                if (pos.depth == nibbles) {
                    (present, value) = _value(pos, bounds[16], bounds[17]);
                    break;
                }
                child = _nibble(key, pos.depth++);
            } else {
                require(items == 2, MalformedNode(pos.used - 1));
                (bool leaf, bool fits, uint256 length) = _path(pos, bounds[0], bounds[1], key);
                if (!fits || (leaf && pos.depth + length != nibbles)) break;
                pos.depth += length;
                child = 1;
                if (leaf) {
                    (present, value) = _value(pos, bounds[1], bounds[2]);
                    require(present, MalformedNode(pos.used - 1));
                    break;
                }
            }
            uint256 size = bounds[child + 1] - bounds[child];
            uint256 first = _byte(bounds[child]);
            if (first == 0xa0) {
                bytes32 hash;
                uint256 from = bounds[child] + 1;
                assembly ("memory-safe") {
                    hash := mload(from)
                }
                _next(pos, hash, proof);
            } else if (first >= 0xc0 && size < 32) {
                (pos.start, pos.end) = (bounds[child], bounds[child + 1]);
            } else {
                // Nothing there; an extension always leads somewhere.
                require(first == 0x80 && items == 17, MalformedNode(pos.used - 1));
                break;
            }
        }
        require(pos.used == proof.length, NodesLeft(pos.used, proof.length));
    }

    /// @dev Moves to the next node of the proof, which has this hash.
    function _next(Cursor memory pos, bytes32 want, bytes[] calldata proof) private pure {
        require(pos.used < proof.length, NodeMissing(pos.used));
        bytes calldata raw = proof[pos.used];
        require(raw.length <= NODE_BYTES_MAX, NodeTooLong(pos.used, raw.length));
        bytes memory node = raw;
        bytes32 got = keccak256(node);
        require(got == want, WrongNode(pos.used, got, want));
        ++pos.used;
        uint256 start;
        assembly ("memory-safe") {
            start := add(node, 0x20)
        }
        (pos.start, pos.end) = (start, start + node.length);
    }

    /// @dev Where the items of the node start; the last bound is the end. At most 17.
    function _items(Cursor memory pos) private pure returns (uint256 items, uint256[18] memory bounds) {
        (uint256 from, uint256 to) = _span(pos, pos.start, true);
        require(to == pos.end, MalformedNode(pos.used - 1));
        bounds[0] = from;
        while (from < to) {
            require(items < 17, MalformedNode(pos.used - 1));
            from = _end(pos, from, to);
            bounds[++items] = from;
        }
    }

    /// @dev End of the item at `from`, which must lie before `to`.
    function _end(Cursor memory pos, uint256 from, uint256 to) private pure returns (uint256 end) {
        (, end) = _span(pos, from, _byte(from) >= 0xc0);
        require(end <= to, MalformedNode(pos.used - 1));
    }

    /// @dev Payload of the item at `from`: a list or a string, in its one form.
    function _span(Cursor memory pos, uint256 from, bool list)
        private
        pure
        returns (uint256 start, uint256 end)
    {
        uint256 first = _byte(from);
        bool ok;
        if (!list && first < 0x80) {
            (start, end, ok) = (from, from + 1, true);
        } else {
            uint256 short = list ? 0xc0 : 0x80;
            ok = first >= short && (list || first < 0xc0);
            if (ok) {
                uint256 length = first - short;
                start = from + 1;
                if (length > 55) {
                    uint256 size = length - 55;
                    (start, length) = (start + size, _number(start, size));
                    // In its shortest form, and bounded, so that nothing overflows.
                    ok = size <= 3 && _byte(from + 1) != 0 && length > 55;
                } else if (!list && length == 1) {
                    ok = _byte(start) >= 0x80;
                }
                end = start + length;
            }
        }
        require(ok && end <= pos.end, MalformedNode(pos.used - 1));
    }

    /// @dev The value in an item; nothing if it is empty.
    function _value(Cursor memory pos, uint256 from, uint256 to)
        private
        pure
        returns (bool present, bytes memory value)
    {
        (uint256 start, uint256 end) = _span(pos, from, false);
        require(end == to, MalformedNode(pos.used - 1));
        value = new bytes(end - start);
        assembly ("memory-safe") {
            mcopy(add(value, 0x20), start, sub(end, start))
        }
        present = end > start;
    }

    /// @dev Reads the path of a leaf or an extension and compares it with what is left of the key.
    function _path(Cursor memory pos, uint256 from, uint256 to, bytes memory key)
        private
        pure
        returns (bool leaf, bool fits, uint256 length)
    {
        (uint256 start, uint256 end) = _span(pos, from, false);
        require(end == to && end > start, MalformedNode(pos.used - 1));
        uint256 first = _byte(start);
        uint256 flag = first >> 4;
        leaf = flag >= 2;
        bool odd = flag % 2 == 1;
        length = 2 * (end - start - 1) + (odd ? 1 : 0);
        require(flag < 4 && (odd || first & 0xf == 0) && (leaf || length > 0), MalformedNode(pos.used - 1));
        if (length > key.length * 2 - pos.depth) return (leaf, false, length);
        uint256 skip = odd ? 1 : 2;
        for (uint256 i = 0; i < length; ++i) {
            uint256 packed = _byte(start + (i + skip) / 2);
            uint256 nibble = (i + skip) % 2 == 0 ? packed >> 4 : packed & 0xf;
            if (nibble != _nibble(key, pos.depth + i)) return (leaf, false, length);
        }
        fits = true;
    }

    function _nibble(bytes memory key, uint256 pos) private pure returns (uint256) {
        uint256 packed = uint8(key[pos / 2]);
        return pos % 2 == 0 ? packed >> 4 : packed & 0xf;
    }

    function _byte(uint256 pos) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, mload(pos))
        }
    }

    function _number(uint256 pos, uint256 size) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, size)), mload(pos))
        }
    }
}
