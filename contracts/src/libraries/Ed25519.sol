// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibBit} from "solady/utils/LibBit.sol";

/// @title Public keys of ed25519
/// @notice A key is the coordinate y of a point, little endian, and in the top bit the sign of x (RFC 8032). The
/// chain decodes the identities of its seats as ZIP 215 does, which takes whatever is the y of a point; here y must
/// in addition be below the field's modulus, so that a point has one y.
library Ed25519 {
    /// @dev 2²⁵⁵ − 19.
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    /// @dev (P − 1) / 2.
    uint256 private constant HALF = 0x3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff6;
    /// @dev −121665 / 121666 modulo P; not a square.
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;

    /// @notice Whether `key` is a point of the curve x² = (y² − 1) / (dy² + 1).
    /// @dev The quotient is a square or zero exactly if the product is: by Euler's criterion, if its power is 1 or 0.
    /// The divisor is never zero.
    function isKey(bytes32 key) internal view returns (bool yes) {
        uint256 y = LibBit.reverseBytes(uint256(key)) & (type(uint256).max >> 1);
        assembly ("memory-safe") {
            let square := mulmod(y, y, P)
            let product := mulmod(addmod(square, sub(P, 1), P), addmod(mulmod(D, square, P), 1, P), P)
            let free := mload(0x40)
            mstore(free, 32)
            mstore(add(free, 0x20), 32)
            mstore(add(free, 0x40), 32)
            mstore(add(free, 0x60), product)
            mstore(add(free, 0x80), HALF)
            mstore(add(free, 0xa0), P)
            yes := staticcall(gas(), 0x05, free, 192, 0, 32)
            yes := and(and(yes, lt(y, P)), lt(mload(0), 2))
        }
    }
}
