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
/// @notice What is read is bound by the hash of all of it, which a quorum signed: a header in another form has
/// another hash, and nobody signed that.
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
        bool ok;
        uint256 version;
        assembly ("memory-safe") {
            // A number of at most 8 bytes. Reading past the end gives what follows in the call data; the tail
            // then does not fit.
            function integer(from) -> value, next, bad {
                let word := calldataload(from)
                let first := byte(0, word)
                switch lt(first, 0x80)
                case 1 {
                    value := first
                    next := add(from, 1)
                }
                default {
                    let size := sub(first, 0x80)
                    next := add(from, add(size, 1))
                    value := shr(sub(256, shl(3, size)), shl(8, word))
                    bad := gt(size, 8)
                }
            }
            // The L1 references: lists of less than 128 bytes.
            function list(from) -> next, bad {
                let first := byte(0, calldataload(from))
                switch lt(first, 0xf8)
                case 1 {
                    next := add(from, sub(first, 0xbf))
                    bad := lt(first, 0xc0)
                }
                default {
                    next := add(from, add(2, byte(1, calldataload(from))))
                    bad := gt(first, 0xf8)
                }
            }
            let value, from, wrong := integer(add(rlp.offset, 3))
            let bad := wrong
            version := value
            for { let to := header } lt(to, add(header, 0x60)) { to := add(to, 0x20) } {
                value, from, wrong := integer(from)
                bad := or(bad, wrong)
                mstore(to, value)
            }
            value, from, wrong := integer(from)
            bad := or(bad, wrong)
            value, from, wrong := integer(from)
            bad := or(bad, wrong)
            mstore(add(header, 0x60), value)
            mstore(add(header, 0x80), calldataload(add(from, 1)))
            bad := or(bad, xor(byte(0, calldataload(from)), 0xa0))
            value, from, wrong := integer(add(from, 33))
            bad := or(bad, wrong)
            value, from, wrong := integer(from)
            bad := or(bad, wrong)
            mstore(add(header, 0xa0), value)
            from, wrong := list(from)
            bad := or(bad, wrong)
            from, wrong := list(from)
            bad := or(bad, wrong)
            bad := or(bad, xor(from, sub(add(rlp.offset, rlp.length), TAIL_BYTES)))
            // Six words, each after its length.
            calldatacopy(add(header, 0xc0), add(from, 1), 32)
            calldatacopy(add(header, 0xe0), add(from, 34), 32)
            calldatacopy(add(header, 0x100), add(from, 67), 32)
            calldatacopy(add(header, 0x120), add(from, 100), 32)
            calldatacopy(add(header, 0x140), add(from, 133), 32)
            calldatacopy(add(header, 0x160), add(from, 166), 32)
            ok := iszero(bad)
        }
        require(ok && version == VERSION, MalformedHeader());
    }
}
