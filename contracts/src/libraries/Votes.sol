// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {HeaderHash, SeatsHash, Term, View} from "../types/Types.sol";

/// @notice What the engine lets a seat say in a view (R2).
enum VoteKind {
    Notarize,
    Finalize,
    Nullify
}

/// @notice A vote without its signature. A nullify has no parent and no payload: both are zero.
struct Vote {
    VoteKind kind;
    Term term;
    View view_;
    View parentView;
    HeaderHash payload;
}

/// @title The bytes that seats sign
/// @notice `varint(length of ns) ‖ ns ‖ varint(term) ‖ varint(view) [‖ varint(parent view) ‖ payload]` with
/// `ns = "CORTADO" ‖ chain id ‖ seats hash ‖ suffix of the kind`. So a signature is of one chain, one set of
/// seats, one term and one kind of vote (R4).
library Votes {
    /// @notice The message of a vote.
    function message(uint64 chainId, SeatsHash seats, Vote memory vote) internal pure returns (bytes memory) {
        return message(chainId, seats, vote.kind, vote.term, vote.view_, vote.parentView, vote.payload);
    }

    /// @notice The message of a vote, field by field.
    function message(
        uint64 chainId,
        SeatsHash seats,
        VoteKind kind,
        Term term,
        View view_,
        View parentView,
        HeaderHash payload
    ) internal pure returns (bytes memory out) {
        assembly ("memory-safe") {
            // At most 57 + 3 · 10 + 32 bytes.
            out := mload(0x40)
            mstore(0x40, add(out, 0xa0))
            function varint(to, value) -> next {
                for {} gt(value, 0x7f) { value := shr(7, value) } {
                    mstore8(to, or(value, 0x80))
                    to := add(to, 1)
                }
                mstore8(to, value)
                next := add(to, 1)
            }
            let start := add(out, 0x20)
            // The longest namespace is 56 bytes, so its length is one.
            mstore(add(start, 1), shl(200, 0x434f525441444f)) // "CORTADO"
            mstore(add(start, 8), shl(192, chainId))
            mstore(add(start, 16), seats)
            let pos := add(start, 48)
            switch kind
            case 0 { mstore(pos, "_NOTARIZE") }
            case 1 { mstore(pos, "_FINALIZE") }
            default { mstore(pos, "_NULLIFY") }
            pos := add(pos, sub(9, eq(kind, 2)))
            mstore8(start, sub(sub(pos, start), 1))
            pos := varint(varint(pos, term), view_)
            if lt(kind, 2) {
                pos := varint(pos, parentView)
                mstore(pos, payload)
                pos := add(pos, 32)
            }
            mstore(out, sub(pos, start))
        }
    }
}
