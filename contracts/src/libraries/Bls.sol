// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {G1Point, G2Point} from "../types/Types.sol";

/// @title BLS12-381 signatures with keys in G2 and signatures in G1, by the precompiles of EIP-2537
/// @notice Messages are hashed by RFC 9380's `BLS12381G1_XMD:SHA-256_SSWU_RO_`. The precompiles refuse
/// coordinates that are not below the field's modulus, points off the curve and, in the pairing, points
/// outside of the group of prime order. Infinity is refused here: it is a signature of anything by nobody.
library Bls {
    /// @notice A precompile refused its input: not canonical, off the curve or outside of the group.
    error InvalidPoint();
    /// @notice The key, or the sum of the keys, is infinity.
    error InfinityKey();
    /// @notice The signature is infinity.
    error InfinitySignature();
    /// @notice Valid points, but the signature is not of this key over this message.
    error WrongSignature();

    /// @dev First 32 of the 43 bytes of the domain of votes, and of that of proofs of possession.
    bytes32 internal constant DOMAIN_VOTE = "BLS_SIG_BLS12381G1_XMD:SHA-256_S";
    bytes32 internal constant DOMAIN_POSSESSION = "BLS_POP_BLS12381G1_XMD:SHA-256_S";
    /// @dev The other 11 bytes of both, and the length, which RFC 9380 appends.
    bytes32 private constant DOMAIN_TAIL = "SWU_RO_POP_\x2b";

    uint256 private constant SHA256 = 0x02;
    uint256 private constant G1_ADD = 0x0b;
    uint256 private constant PAIRING = 0x0f;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

    /// @dev Where in the pairs the hashed message and the key are.
    uint256 private constant HASH_AT = 384;
    uint256 private constant KEY_AT = 512;

    /// @dev The field's modulus, 48 bytes, as EIP-2537 pads it.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    /// @dev (p − 1) / 2: a coordinate above it has the sign bit in compressed form.
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @notice Reverts unless `signature` is `key`'s over `message`.
    function verify(G2Point memory key, bytes memory message, bytes32 domain, G1Point calldata signature)
        internal
        view
    {
        uint256 pos = _at(key);
        require(!isInfinity(pos), InfinityKey());
        uint256 pairs = _pairs(pos, signature);
        negateAt(pairs + KEY_AT);
        hashToG1(message, domain, pairs + HASH_AT);
        _check(pairs);
    }

    /// @notice As `verify`, with minus the key, at a place in memory. Infinity has no signature but infinity, which
    /// is refused.
    function verifyMinus(uint256 minusKey, bytes memory message, bytes32 domain, G1Point calldata signature)
        internal
        view
    {
        uint256 pairs = _pairs(minusKey, signature);
        hashToG1(message, domain, pairs + HASH_AT);
        _check(pairs);
    }

    /// @notice Reverts unless `signature` is the sum of `key`'s signatures over both messages.
    /// @dev This is the `AggregateVerify` of the IETF draft for two messages under one key. A sum of two
    /// signatures cannot be made without having both, as the messages differ.
    /// @param key Where in memory the key is.
    function verifyBoth(
        uint256 key,
        bytes memory first,
        bytes memory second,
        bytes32 domain,
        G1Point calldata signature
    ) internal view {
        require(!isInfinity(key), InfinityKey());
        uint256 pairs = _pairs(key, signature);
        negateAt(pairs + KEY_AT);
        uint256 slot = pairs + HASH_AT;
        bytes memory sum = new bytes(256);
        uint256 pos;
        assembly ("memory-safe") {
            pos := add(sum, 0x20)
        }
        hashToG1(first, domain, pos);
        hashToG1(second, domain, pos + 128);
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gas(), G1_ADD, pos, 256, slot, 128)
        }
        require(ok, InvalidPoint());
        _check(pairs);
    }

    /// @notice Replaces `point` by its inverse. Infinity is its own.
    function negate(G2Point memory point) internal pure {
        negateAt(_at(point));
    }

    /// @notice As `negate`, of the point at a place in memory.
    function negateAt(uint256 point) internal pure {
        assembly ("memory-safe") {
            function flip(pos) {
                let high := mload(pos)
                let low := mload(add(pos, 0x20))
                if or(high, low) {
                    mstore(pos, sub(sub(P_HIGH, high), gt(low, P_LOW)))
                    mstore(add(pos, 0x20), sub(P_LOW, low))
                }
            }
            flip(add(point, 128))
            flip(add(point, 192))
        }
    }

    /// @notice Whether the point at a place in memory is infinity.
    function isInfinity(uint256 point) internal pure returns (bool zero) {
        assembly ("memory-safe") {
            let bits := or(mload(point), mload(add(point, 0x20)))
            bits := or(bits, or(mload(add(point, 0x40)), mload(add(point, 0x60))))
            bits := or(bits, or(mload(add(point, 0x80)), mload(add(point, 0xa0))))
            bits := or(bits, or(mload(add(point, 0xc0)), mload(add(point, 0xe0))))
            zero := iszero(bits)
        }
    }

    /// @notice The compressed form: x with c1 first, and flags in the top three bits.
    function compress(G2Point memory point) internal pure returns (bytes memory out) {
        require(!isInfinity(_at(point)), InfinityKey());
        out = new bytes(96);
        assembly ("memory-safe") {
            function above(high, low) -> yes {
                yes := or(gt(high, HALF_HIGH), and(eq(high, HALF_HIGH), gt(low, HALF_LOW)))
            }
            mcopy(add(out, 0x20), add(point, 80), 48)
            mcopy(add(out, 0x50), add(point, 16), 48)
            let high := mload(add(point, 192))
            let low := mload(add(point, 224))
            if iszero(or(high, low)) {
                high := mload(add(point, 128))
                low := mload(add(point, 160))
            }
            let first := byte(0, mload(add(out, 0x20)))
            mstore8(add(out, 0x20), or(first, or(0x80, shl(5, above(high, low)))))
        }
    }

    /// @dev Where in memory a point is.
    function _at(G2Point memory point) private pure returns (uint256 pos) {
        assembly ("memory-safe") {
            pos := point
        }
    }

    /// @dev Room for both pairs, with the signature, the generator of G2, and minus the key in place.
    function _pairs(uint256 key, G1Point calldata signature) private pure returns (uint256 out) {
        require(
            (signature.xHigh | signature.xLow | signature.yHigh | signature.yLow) != 0, InfinitySignature()
        );
        assembly ("memory-safe") {
            out := mload(0x40)
            let pos := out
            mstore(0x40, add(pos, 768))
            calldatacopy(pos, signature, 128)
            pos := add(pos, 128)
            mstore(pos, 0x00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051)
            mstore(add(pos, 0x20), 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8)
            mstore(add(pos, 0x40), 0x0000000000000000000000000000000013e02b6052719f607dacd3a088274f65)
            mstore(add(pos, 0x60), 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e)
            mstore(add(pos, 0x80), 0x000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351a)
            mstore(add(pos, 0xa0), 0xadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801)
            mstore(add(pos, 0xc0), 0x000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99)
            mstore(add(pos, 0xe0), 0xcb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be)
            mcopy(add(pos, 384), key, 256)
        }
    }

    /// @dev e(signature, G2) · e(H(message), −key) = 1.
    function _check(uint256 pairs) private view {
        bool ok;
        uint256 one;
        assembly ("memory-safe") {
            ok := staticcall(gas(), PAIRING, pairs, 768, 0, 32)
            one := mload(0)
        }
        require(ok, InvalidPoint());
        require(one == 1, WrongSignature());
    }

    /// @dev RFC 9380 `hash_to_curve`; writes 128 bytes to `out`. Clearing of the cofactor is part of the
    /// precompile, and distributes over the sum.
    function hashToG1(bytes memory message, bytes32 domain, uint256 out) internal view {
        bool ok;
        assembly ("memory-safe") {
            let free := mload(0x40)

            // expand_message_xmd to 128 bytes: b0 = H(64 zeros ‖ message ‖ 0x0080 ‖ 0 ‖ domain ‖ length).
            let size := mload(message)
            calldatacopy(free, calldatasize(), 64)
            mcopy(add(free, 64), add(message, 0x20), size)
            let pos := add(add(free, 64), size)
            mstore(pos, shl(232, 0x008000))
            mstore(add(pos, 3), domain)
            mstore(add(pos, 35), DOMAIN_TAIL)
            ok := staticcall(gas(), SHA256, free, add(size, 111), 0, 32)
            let b0 := mload(0)

            // b1 … b4, each of (b0 xor the one before) ‖ i ‖ domain ‖ length.
            mstore(add(free, 33), domain)
            mstore(add(free, 65), DOMAIN_TAIL)
            let wide := add(free, 320)
            let before := 0
            for { let i := 1 } lt(i, 5) { i := add(i, 1) } {
                mstore(free, xor(b0, before))
                mstore8(add(free, 32), i)
                let b := add(wide, shl(5, sub(i, 1)))
                ok := and(ok, staticcall(gas(), SHA256, free, 77, b, 32))
                before := mload(b)
            }

            // Each half modulo p, to the curve.
            let point := add(free, 512)
            for { let i := 0 } lt(i, 2) { i := add(i, 1) } {
                let half := add(wide, shl(6, i))
                let high, low := reduce(mload(half), mload(add(half, 32)))
                mstore(half, high)
                mstore(add(half, 32), low)
                ok := and(ok, staticcall(gas(), MAP_FP_TO_G1, half, 64, add(point, shl(7, i)), 128))
            }
            ok := and(ok, staticcall(gas(), G1_ADD, point, 256, out, 128))

            // A number of 512 bits modulo p, by division of its upper half: the quotient of the upper halves, with the
            // divisor's rounded up, is never too large, and short by less than 2^8. (The precompile for powers costs
            // three times as much.)
            function reduce(high, low) -> high_, low_ {
                high_ := high
                low_ := low
                for { let i := 0 } lt(i, 2) { i := add(i, 1) } {
                    let quotient := div(high_, add(P_HIGH, 1))
                    let upper := mulmod(quotient, P_LOW, not(0))
                    let lower := mul(quotient, P_LOW)
                    upper := add(sub(sub(upper, lower), lt(upper, lower)), mul(quotient, P_HIGH))
                    high_ := sub(sub(high_, upper), lt(low_, lower))
                    low_ := sub(low_, lower)
                }
                for {} or(gt(high_, P_HIGH), and(eq(high_, P_HIGH), iszero(lt(low_, P_LOW)))) {} {
                    high_ := sub(sub(high_, P_HIGH), lt(low_, P_LOW))
                    low_ := sub(low_, P_LOW)
                }
            }
        }
        require(ok, InvalidPoint());
    }
}
