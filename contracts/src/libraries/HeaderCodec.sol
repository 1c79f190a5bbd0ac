// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {HeaderHash, Height, SeatsHash, Term, View} from "../types/Types.sol";

/// @notice What contracts read of a header of the finality chain (R4).
struct Header {
    uint64 chainId;
    Term term;
    View view_;
    Height height;
    HeaderHash parent;
    uint64 timestampMs;
    bytes32 lanesRoot;
    bytes32 operationsRoot;
    bytes32 stateRoot;
    bytes32 historyRoot;
    SeatsHash seatsHash;
    SeatsHash nextSeatsHash;
}

/// @title Reads headers
/// @notice One form only: the list has its 17 fields and nothing else, and integers have no leading zeros.
library HeaderCodec {
    /// @notice The bytes are not the RLP of a header of this version.
    error MalformedHeader();

    uint256 private constant VERSION = 1;
    /// @dev The six roots and hashes at the end, 33 bytes each.
    uint256 private constant TAIL_BYTES = 198;

    /// @notice The name of the header with this RLP.
    function hashOf(bytes calldata rlp) internal pure returns (HeaderHash) {
        return HeaderHash.wrap(keccak256(rlp));
    }

    /// @notice Reads a header.
    function decode(bytes calldata rlp) internal pure returns (Header memory header) {
        // The shortest header is longer than 255 bytes and the longest shorter than 512, so the list's
        // length takes two bytes.
        require(
            rlp.length > TAIL_BYTES + 3 && uint8(rlp[0]) == 0xf9
                && uint16(bytes2(rlp[1:3])) == rlp.length - 3,
            MalformedHeader()
        );
        uint256 pos = 3;
        uint64 value;
        (value, pos) = _integer(rlp, pos);
        require(value == VERSION, MalformedHeader());
        (header.chainId, pos) = _integer(rlp, pos);
        (value, pos) = _integer(rlp, pos);
        header.term = Term.wrap(value);
        (value, pos) = _integer(rlp, pos);
        header.view_ = View.wrap(value);
        (, pos) = _integer(rlp, pos);
        (value, pos) = _integer(rlp, pos);
        header.height = Height.wrap(value);
        header.parent = HeaderHash.wrap(_word(rlp, pos));
        (, pos) = _integer(rlp, pos + 33);
        (header.timestampMs, pos) = _integer(rlp, pos);
        pos = _skipList(rlp, _skipList(rlp, pos));
        require(pos == rlp.length - TAIL_BYTES, MalformedHeader());
        header.lanesRoot = _word(rlp, pos);
        header.operationsRoot = _word(rlp, pos + 33);
        header.stateRoot = _word(rlp, pos + 66);
        header.historyRoot = _word(rlp, pos + 99);
        header.seatsHash = SeatsHash.wrap(_word(rlp, pos + 132));
        header.nextSeatsHash = SeatsHash.wrap(_word(rlp, pos + 165));
    }

    /// @dev A number of at most 8 bytes, in its one form. Reading past the end gives zeros or what follows in
    /// the call data; the position of the tail then does not fit.
    function _integer(bytes calldata rlp, uint256 pos) private pure returns (uint64 value, uint256 next) {
        bool ok;
        assembly ("memory-safe") {
            let word := calldataload(add(rlp.offset, pos))
            let first := byte(0, word)
            switch lt(first, 0x80)
            case 1 {
                value := first
                next := add(pos, 1)
                ok := first
            }
            default {
                let size := sub(first, 0x80)
                next := add(add(pos, 1), size)
                value := shr(sub(256, shl(3, size)), shl(8, word))
                switch size
                case 0 { ok := 1 }
                case 1 { ok := gt(value, 0x7f) }
                default { ok := and(lt(size, 9), iszero(iszero(byte(1, word)))) }
            }
        }
        require(ok, MalformedHeader());
    }

    function _word(bytes calldata rlp, uint256 pos) private pure returns (bytes32 word) {
        bool ok;
        assembly ("memory-safe") {
            ok := eq(byte(0, calldataload(add(rlp.offset, pos))), 0xa0)
            word := calldataload(add(rlp.offset, add(pos, 1)))
        }
        require(ok, MalformedHeader());
    }

    /// @dev The L1 references: lists of less than 128 bytes.
    function _skipList(bytes calldata rlp, uint256 pos) private pure returns (uint256 next) {
        bool ok;
        assembly ("memory-safe") {
            let word := calldataload(add(rlp.offset, pos))
            let first := byte(0, word)
            switch eq(first, 0xf8)
            case 1 {
                let size := byte(1, word)
                next := add(add(pos, 2), size)
                ok := gt(size, 55)
            }
            default {
                next := add(add(pos, 1), sub(first, 0xc0))
                ok := and(gt(first, 0xbf), lt(first, 0xf8))
            }
        }
        require(ok, MalformedHeader());
    }
}
