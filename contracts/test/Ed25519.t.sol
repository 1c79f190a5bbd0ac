// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibBit} from "solady/utils/LibBit.sol";
import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {IRegistry, KeyRegistration} from "../src/interfaces/IRegistry.sol";
import {Ed25519} from "../src/libraries/Ed25519.sol";
import {OperatorId} from "../src/types/Types.sol";

contract Ed25519Test is Base {
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    uint256 private constant SIGN = 1 << 255;

    function little(uint256 y) private pure returns (bytes32) {
        return bytes32(LibBit.reverseBytes(y));
    }

    function power(uint256 value, uint256 exponent) private view returns (uint256) {
        (bool ok, bytes memory out) = address(0x05).staticcall(abi.encode(32, 32, 32, value, exponent, P));
        assertTrue(ok, "power");
        return abi.decode(out, (uint256));
    }

    /// @dev By looking for x, as RFC 8032, 5.1.3 does: the root of u / v is (u / v)^((p + 3) / 8), or that times the
    /// root of −1, or there is none.
    function hasX(uint256 y) private view returns (bool) {
        if (y >= P) return false;
        uint256 square = mulmod(y, y, P);
        uint256 u = addmod(square, P - 1, P);
        uint256 inverse = power(addmod(mulmod(D, square, P), 1, P), P - 2);
        uint256 want = mulmod(u, inverse, P);
        uint256 x = power(want, (P + 3) / 8);
        uint256 got = mulmod(x, x, P);
        return got == want || addmod(got, want, P) == 0;
    }

    function test_keysOfRfc8032AreKeys() public view {
        bytes32[3] memory keys = [
            bytes32(0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a),
            0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c,
            0xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025
        ];
        for (uint256 i = 0; i < 3; ++i) {
            assertTrue(Ed25519.isKey(keys[i]), "key");
            assertTrue(Ed25519.isKey(keys[i] ^ bytes32(uint256(0x80))), "with the other x");
        }
    }

    function test_identitiesOfTheRecordedSeatsAreKeys() public view {
        string memory json = vm.readFile("test/fixtures/recorded.json");
        for (uint256 i = 0; i < 4; ++i) {
            string memory where = string.concat(".seats[", vm.toString(i), "].identity");
            assertTrue(Ed25519.isKey(vm.parseJsonBytes32(json, where)), where);
        }
    }

    function test_coordinatesOfNoPointAreNoKeys() public view {
        uint256[8] memory wrong = [uint256(2), 7, 8, 11, 12, 13, 17, P - 2];
        for (uint256 i = 0; i < 8; ++i) {
            assertTrue(!Ed25519.isKey(little(wrong[i])), "no point");
            assertTrue(!Ed25519.isKey(little(wrong[i] | SIGN)), "no point, of the other sign");
        }
    }

    function test_coordinatesThatAreNotBelowTheModulusAreNoKeys() public view {
        // 0, 1, 3 … are coordinates of points, and so would these be if they were reduced.
        for (uint256 y = P; y < SIGN; ++y) {
            assertTrue(!Ed25519.isKey(little(y)), "not reduced");
            assertTrue(!Ed25519.isKey(little(y | SIGN)), "not reduced, of the other sign");
        }
        assertTrue(
            Ed25519.isKey(little(0)) && Ed25519.isKey(little(1)) && Ed25519.isKey(little(P - 1)), "reduced"
        );
    }

    function test_aKeyIsWhatHasAnX(uint256 seed) public view {
        uint256 y = seed & ~SIGN;
        assertTrue(Ed25519.isKey(little(seed)) == hasX(y), "as RFC 8032");
    }

    function test_keysWhoseIdentityTheChainCannotDecodeAreRefused() public {
        address alice = address(0xa1);
        Registry registry = newRegistry(address(1));
        (OperatorId operator,) = join(registry, alice, 64, 0, 1);
        KeyRegistration[] memory keys = new KeyRegistration[](2);
        (keys[0], keys[1]) = (registration(registry, alice, 7), registration(registry, alice, 8));
        bytes32 right = keys[1].identity;
        bytes32[3] memory wrong = [little(2), little(P), little(P + 1)];
        for (uint256 i = 0; i < 3; ++i) {
            keys[1].identity = wrong[i];
            vm.prank(alice);
            vm.expectRevert(abi.encodeWithSelector(IRegistry.InvalidIdentity.selector, wrong[i]));
            registry.registerKeys(operator, keys);
            vm.prank(alice);
            vm.expectRevert(abi.encodeWithSelector(IRegistry.InvalidIdentity.selector, wrong[i]));
            registry.rotateKey(operator, 1, 0, keys);
        }
        keys[1].identity = right;
        vm.prank(alice);
        registry.registerKeys(operator, keys);
        assertEq(registry.keyCount(), 3, "keys");
    }
}
