// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {G1Point, G2Point} from "../types/Types.sol";

/// @title BLS signatures of Ethereum's validators: keys in G1, signatures in G2
/// @notice Messages are hashed by RFC 9380's `BLS12381G2_XMD:SHA-256_SSWU_RO_`.
library EthereumBls {
    /// @notice Too little gas to tell an invalid signature from an unfinished check.
    error TooLittleGas(uint256 left, uint256 least);

    /// @dev "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_", and its length, which RFC 9380 appends.
    bytes32 private constant DOMAIN = "BLS_SIG_BLS12381G2_XMD:SHA-256_S";
    bytes32 private constant DOMAIN_TAIL = "SWU_RO_POP_\x2b";
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    /// @dev Five times what the check needs. A precompile that fails takes all gas it is given, so whoever gains
    /// by a failure must not be able to bring it about.
    uint256 private constant GAS_LEAST = 1_000_000;

    /// @notice Whether `signature` is `key`'s over `message`. Points that are none, and infinity, are invalid.
    function isValid(G1Point memory key, bytes32 message, G2Point memory signature)
        internal
        view
        returns (bool)
    {
        require(gasleft() >= GAS_LEAST, TooLittleGas(gasleft(), GAS_LEAST));
        bytes memory pairs = bytes.concat(
            // Minus the generator of G1.
            hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca",
            abi.encode(signature),
            abi.encode(key),
            new bytes(256)
        );
        bool ok = (key.xHigh | key.xLow | key.yHigh | key.yLow) != 0 && _hashToG2(message, pairs);
        uint256 one;
        assembly ("memory-safe") {
            if ok {
                ok := staticcall(gas(), 0x0f, add(pairs, 0x20), 768, 0, 32)
                one := mload(0)
            }
        }
        return ok && one == 1;
    }

    /// @dev RFC 9380 `hash_to_curve`, to the last 256 bytes of `pairs`.
    function _hashToG2(bytes32 message, bytes memory pairs) private view returns (bool ok) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            // expand_message_xmd to 256 bytes: b0 = H(64 zeros ‖ message ‖ 0x0100 ‖ 0 ‖ domain ‖ length).
            calldatacopy(free, calldatasize(), 64)
            mstore(add(free, 64), message)
            mstore(add(free, 96), shl(232, 0x010000))
            mstore(add(free, 99), DOMAIN)
            mstore(add(free, 131), DOMAIN_TAIL)
            ok := staticcall(gas(), 0x02, free, 143, 0, 32)
            let b0 := mload(0)
            mstore(add(free, 33), DOMAIN)
            mstore(add(free, 65), DOMAIN_TAIL)
            let wide := add(free, 512)
            let before := 0
            for { let i := 1 } lt(i, 9) { i := add(i, 1) } {
                mstore(free, xor(b0, before))
                mstore8(add(free, 32), i)
                let b := add(wide, shl(5, sub(i, 1)))
                ok := and(ok, staticcall(gas(), 0x02, free, 77, b, 32))
                before := mload(b)
            }
            // Each quarter modulo p, by modexp with exponent 1: two elements of Fp2.
            mstore(free, 64)
            mstore(add(free, 32), 1)
            mstore(add(free, 64), 48)
            mstore8(add(free, 160), 1)
            mstore(add(free, 161), shl(128, P_HIGH))
            mstore(add(free, 177), P_LOW)
            let fields := add(free, 768)
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mcopy(add(free, 96), add(wide, shl(6, i)), 64)
                let field := add(fields, shl(6, i))
                mstore(field, 0)
                ok := and(ok, staticcall(gas(), 0x05, free, 209, add(field, 16), 48))
            }
            let points := add(free, 1024)
            ok := and(ok, staticcall(gas(), 0x11, fields, 128, points, 256))
            ok := and(ok, staticcall(gas(), 0x11, add(fields, 128), 128, add(points, 256), 256))
            ok := and(ok, staticcall(gas(), 0x0d, points, 512, add(pairs, 544), 256))
        }
    }
}
