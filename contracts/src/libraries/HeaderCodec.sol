// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {HeaderHash, Height, SeatsHash, Term} from "../types/Types.sol";

/// @notice A header of the finality chain (R4) that was read: where in memory is what contracts need of it. (A struct
/// would be filled with zeros first, for a fifth of what an update costs beyond its precompiles.)
///
/// ```text
///   0  chain id   32  term   64  height   96  time in ms   128  parent
/// 160  the six roots and hashes at the end, 33 bytes each: RLP's length and 32 bytes
/// ```
type Header is uint256;

using {
    chainId,
    term,
    height,
    timestampMs,
    parent,
    lanesRoot,
    stateRoot,
    historyRoot,
    seatsHash,
    nextSeatsHash
} for Header global;

function word(Header header, uint256 offset) pure returns (bytes32 value) {
    assembly ("memory-safe") {
        value := mload(add(header, offset))
    }
}

function chainId(Header header) pure returns (uint64) {
    return uint64(uint256(word(header, 0)));
}

function term(Header header) pure returns (Term) {
    return Term.wrap(uint64(uint256(word(header, 32))));
}

function height(Header header) pure returns (Height) {
    return Height.wrap(uint64(uint256(word(header, 64))));
}

/// @dev Milliseconds since 1970.
function timestampMs(Header header) pure returns (uint64) {
    return uint64(uint256(word(header, 96)));
}

function parent(Header header) pure returns (HeaderHash) {
    return HeaderHash.wrap(word(header, 128));
}

function lanesRoot(Header header) pure returns (bytes32) {
    return word(header, 161);
}

function stateRoot(Header header) pure returns (bytes32) {
    return word(header, 227);
}

function historyRoot(Header header) pure returns (bytes32) {
    return word(header, 260);
}

function seatsHash(Header header) pure returns (SeatsHash) {
    return SeatsHash.wrap(word(header, 293));
}

function nextSeatsHash(Header header) pure returns (SeatsHash) {
    return SeatsHash.wrap(word(header, 326));
}

/// @title Reads headers
/// @notice What is read is bound by the hash of all of it, which a quorum signed: a header in another form has
/// another hash, and nobody signed that.
library HeaderCodec {
    /// @notice The bytes are not the RLP of a header of this version.
    error MalformedHeader();

    uint256 private constant VERSION = 1;
    /// @dev The six roots and hashes at the end, 33 bytes each.
    uint256 private constant TAIL_BYTES = 198;
    /// @dev Of what is read, in whole words.
    uint256 private constant ROOM_BYTES = 384;

    /// @notice The name of the header with this RLP.
    function hashOf(bytes calldata rlp) internal pure returns (HeaderHash hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, rlp.offset, rlp.length)
            hash := keccak256(free, rlp.length)
        }
    }

    /// @notice Reads a header.
    function decode(bytes calldata rlp) internal pure returns (Header header) {
        bool ok;
        assembly ("memory-safe") {
            // What follows a number: one below 0x80 is its own RLP.
            function skip(from) -> next {
                let first := byte(0, calldataload(from))
                next := add(add(from, 1), mul(gt(first, 0x7f), sub(first, 0x80)))
            }
            // A number, of at most 8 bytes, as is checked below. Reading past the end gives what follows in the call
            // data; the tail then does not fit.
            function integer(from) -> value, next {
                let first := byte(0, calldataload(from))
                let long := gt(first, 0x7f)
                let size := add(mul(long, sub(first, 0x81)), 1)
                next := add(from, long)
                value := shr(sub(256, shl(3, size)), calldataload(next))
                next := add(next, size)
            }
            // The L1 references: lists of less than 256 bytes.
            function list(from) -> next {
                let first := byte(0, calldataload(from))
                next := add(from, sub(first, 0xbf))
                if eq(first, 0xf8) { next := add(from, add(2, byte(1, calldataload(from)))) }
            }
            header := mload(0x40)
            mstore(0x40, add(header, ROOM_BYTES))

            // The shortest header is longer than 255 bytes and the longest shorter than 65536: the list's length
            // takes two bytes. Then the version.
            let start := rlp.offset
            let head := shr(224, calldataload(start))
            ok := eq(head, or(shl(8, or(0xf90000, sub(rlp.length, 3))), VERSION))
            ok := and(ok, gt(rlp.length, add(TAIL_BYTES, 4)))

            let value, from := integer(add(start, 4))
            mstore(header, value)
            let all := value
            value, from := integer(from)
            mstore(add(header, 32), value)
            all := or(all, value)
            // View and parent's view.
            from := skip(from)
            from := skip(from)
            value, from := integer(from)
            mstore(add(header, 64), value)
            all := or(all, value)
            // Parent, slot.
            ok := and(ok, eq(byte(0, calldataload(from)), 0xa0))
            mstore(add(header, 128), calldataload(add(from, 1)))
            from := add(from, 33)
            from := skip(from)
            value, from := integer(from)
            mstore(add(header, 96), value)
            all := or(all, value)
            from := list(list(from))

            ok := and(ok, eq(from, sub(add(start, rlp.length), TAIL_BYTES)))
            ok := and(ok, iszero(shr(64, all)))
            calldatacopy(add(header, 160), from, TAIL_BYTES)
        }
        require(ok, MalformedHeader());
    }
}
