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

    uint256 private constant MODEXP = 0x05;
    uint256 private constant SHA256 = 0x02;
    uint256 private constant G1_ADD = 0x0b;
    uint256 private constant PAIRING = 0x0f;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

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
        bytes memory pairs = _pairs(key, signature);
        hashToG1(message, domain, _hashSlot(pairs));
        _check(pairs);
    }

    /// @notice Reverts unless `signature` is the sum of `key`'s signatures over both messages.
    /// @dev This is the `AggregateVerify` of the IETF draft for two messages under one key. A sum of two
    /// signatures cannot be made without having both, as the messages differ.
    function verifyBoth(
        G2Point memory key,
        bytes memory first,
        bytes memory second,
        bytes32 domain,
        G1Point calldata signature
    ) internal view {
        bytes memory pairs = _pairs(key, signature);
        uint256 slot = _hashSlot(pairs);
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

    /// @notice Whether the point is infinity.
    function isInfinity(G2Point memory point) internal pure returns (bool zero) {
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
        require(!isInfinity(point), InfinityKey());
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

    /// @dev Room for both pairs, with the signature, minus the generator of G2, and the key in place.
    function _pairs(G2Point memory key, G1Point calldata signature) private pure returns (bytes memory out) {
        require(
            (signature.xHigh | signature.xLow | signature.yHigh | signature.yLow) != 0, InfinitySignature()
        );
        require(!isInfinity(key), InfinityKey());
        assembly ("memory-safe") {
            out := mload(0x40)
            mstore(out, 768)
            let pos := add(out, 0x20)
            mstore(0x40, add(pos, 768))
            calldatacopy(pos, signature, 128)
            pos := add(pos, 128)
            mstore(pos, 0x00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051)
            mstore(add(pos, 0x20), 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8)
            mstore(add(pos, 0x40), 0x0000000000000000000000000000000013e02b6052719f607dacd3a088274f65)
            mstore(add(pos, 0x60), 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e)
            mstore(add(pos, 0x80), 0x000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bc)
            mstore(add(pos, 0xa0), 0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa)
            mstore(add(pos, 0xc0), 0x0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d)
            mstore(add(pos, 0xe0), 0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed)
            mcopy(add(pos, 384), key, 256)
        }
    }

    /// @dev Where in the pairs the hashed message belongs.
    function _hashSlot(bytes memory pairs) private pure returns (uint256 pos) {
        assembly ("memory-safe") {
            pos := add(pairs, 416)
        }
    }

    /// @dev e(signature, −G2) · e(H(message), key) = 1.
    function _check(bytes memory pairs) private view {
        bool ok;
        uint256 one;
        assembly ("memory-safe") {
            ok := staticcall(gas(), PAIRING, add(pairs, 0x20), 768, 0, 32)
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

            // Each half modulo p: modexp with lengths 64, 1 and 48, and exponent 1.
            mstore(free, 64)
            mstore(add(free, 32), 1)
            mstore(add(free, 64), 48)
            mstore8(add(free, 160), 1)
            mstore(add(free, 161), shl(128, P_HIGH))
            mstore(add(free, 177), P_LOW)
            let point := add(free, 512)
            let field := add(free, 224)
            mstore(field, 0)
            mcopy(add(free, 96), wide, 64)
            ok := and(ok, staticcall(gas(), MODEXP, free, 209, add(field, 16), 48))
            ok := and(ok, staticcall(gas(), MAP_FP_TO_G1, field, 64, point, 128))
            mcopy(add(free, 96), add(wide, 64), 64)
            ok := and(ok, staticcall(gas(), MODEXP, free, 209, add(field, 16), 48))
            ok := and(ok, staticcall(gas(), MAP_FP_TO_G1, field, 64, add(point, 128), 128))
            ok := and(ok, staticcall(gas(), G1_ADD, point, 256, out, 128))
        }
        require(ok, InvalidPoint());
    }
}
