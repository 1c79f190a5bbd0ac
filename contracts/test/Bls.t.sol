// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {KeyRegistration} from "../src/interfaces/IRegistry.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {G1Point, G2Point, HeaderHash, OperatorId, SeatsHash, Term, View} from "../src/types/Types.sol";

/// @dev The library's functions take call data.
contract BlsCaller {
    function verify(G2Point calldata key, bytes calldata message, G1Point calldata signature) external view {
        Bls.verify(key, message, Bls.DOMAIN_VOTE, signature);
    }

    function verifyBoth(G2Point calldata key, bytes calldata a, bytes calldata b, G1Point calldata signature)
        external
        view
    {
        G2Point memory copy = key;
        uint256 pos;
        assembly {
            pos := copy
        }
        Bls.verifyBoth(pos, a, b, Bls.DOMAIN_VOTE, signature);
    }
}

contract BlsTest is Base {
    string private json;
    BlsCaller private caller;

    function setUp() public {
        json = vm.readFile("test/fixtures/bls.json");
        caller = new BlsCaller();
    }

    function path(string memory list, uint256 index, string memory field)
        private
        pure
        returns (string memory)
    {
        return string.concat(".", list, "[", vm.toString(index), "].", field);
    }

    function test_messagesHashToThePointsOfAnotherImplementation() public view {
        for (uint256 i = 0; i < 10; ++i) {
            bytes memory message = vm.parseJsonBytes(json, path("hashes", i, "message"));
            bytes memory vote = new bytes(128);
            bytes memory possession = new bytes(128);
            uint256 to;
            uint256 to2;
            assembly {
                to := add(vote, 0x20)
                to2 := add(possession, 0x20)
            }
            Bls.hashToG1(message, Bls.DOMAIN_VOTE, to);
            Bls.hashToG1(message, Bls.DOMAIN_POSSESSION, to2);
            assertTrue(
                keccak256(vote) == keccak256(vm.parseJsonBytes(json, path("hashes", i, "vote"))), "vote"
            );
            bytes memory want = vm.parseJsonBytes(json, path("hashes", i, "possession"));
            assertTrue(keccak256(possession) == keccak256(want), "possession");
        }
    }

    function test_keysCompressAndNegateLikeAnotherImplementation() public view {
        for (uint256 i = 0; i < 12; ++i) {
            G2Point memory key = abi.decode(vm.parseJsonBytes(json, path("keys", i, "point")), (G2Point));
            bytes memory want = vm.parseJsonBytes(json, path("keys", i, "compressed"));
            assertTrue(keccak256(Bls.compress(key)) == keccak256(want), "compressed");
            Bls.negate(key);
            bytes memory negated = vm.parseJsonBytes(json, path("keys", i, "negated"));
            assertTrue(keccak256(abi.encode(key)) == keccak256(negated), "negated");
            // Minus a key has the other sign bit.
            want[0] = want[0] ^ 0x20;
            assertTrue(keccak256(Bls.compress(key)) == keccak256(want), "compressed minus");
        }
    }

    function test_messagesOfVotesAreThoseOfTheEngine() public view {
        for (uint256 i = 0; i < 12; ++i) {
            Vote memory vote = Vote(
                VoteKind(vm.parseJsonUint(json, path("votes", i, "kind"))),
                Term.wrap(uint64(vm.parseJsonUint(json, path("votes", i, "term")))),
                View.wrap(uint64(vm.parseJsonUint(json, path("votes", i, "view")))),
                View.wrap(uint64(vm.parseJsonUint(json, path("votes", i, "parent")))),
                HeaderHash.wrap(vm.parseJsonBytes32(json, path("votes", i, "payload")))
            );
            SeatsHash seats = SeatsHash.wrap(vm.parseJsonBytes32(json, path("votes", i, "seats")));
            bytes memory want = vm.parseJsonBytes(json, path("votes", i, "message"));
            assertTrue(keccak256(Votes.message(CHAIN, seats, vote)) == keccak256(want), "message");
        }
    }

    function test_possessionProvedByAnotherImplementationIsAccepted() public {
        Registry made = newRegistry(address(1));
        // The proof is for a registry at this address.
        Registry registry = Registry(vm.parseJsonAddress(json, ".possession.registry"));
        vm.etch(address(registry), address(made).code);
        vm.setNonce(address(registry), 1);
        address owner = vm.parseJsonAddress(json, ".possession.owner");
        vm.deal(owner, 100 ether);
        vm.startPrank(owner);
        OperatorId operator = registry.registerOperator{value: 100 ether}();
        KeyRegistration[] memory keys = new KeyRegistration[](1);
        keys[0].identity = identityOf(1);
        keys[0].key = abi.decode(vm.parseJsonBytes(json, ".possession.key"), (G2Point));
        keys[0].possession = abi.decode(vm.parseJsonBytes(json, ".possession.signature"), (G1Point));
        bytes memory message = registry.possessionMessage(owner, Bls.compress(keys[0].key));
        assertTrue(keccak256(message) == keccak256(vm.parseJsonBytes(json, ".possession.message")), "message");
        registry.registerKeys(operator, keys);
        assertEq(registry.keyCount(), 1, "keys");
    }

    function test_signatureIsOfOneKeyAndOneMessage(uint256 seed, bytes calldata message, bytes calldata other)
        public
    {
        vm.assume(keccak256(message) != keccak256(other) && message.length < 300 && other.length < 300);
        uint256 secret = secretOf(seed);
        G2Point memory key = publicKey(secret);
        G1Point memory signature = sign(secret, message);
        caller.verify(key, message, signature);
        vm.expectRevert(Bls.WrongSignature.selector);
        caller.verify(key, other, signature);
        G2Point memory stranger = publicKey(secret ^ 1);
        vm.expectRevert(Bls.WrongSignature.selector);
        caller.verify(stranger, message, signature);
    }

    function test_sumOfTwoSignaturesIsOfBothMessages(uint256 seed) public {
        uint256 secret = secretOf(seed);
        G2Point memory key = publicKey(secret);
        G1Point memory sum = addG1(sign(secret, "a"), sign(secret, "b"));
        caller.verifyBoth(key, "a", "b", sum);
        vm.expectRevert(Bls.WrongSignature.selector);
        caller.verifyBoth(key, "a", "c", sum);
        G1Point memory one = sign(secret, "a");
        vm.expectRevert(Bls.WrongSignature.selector);
        caller.verifyBoth(key, "a", "b", one);
    }

    function addG1(G1Point memory a, G1Point memory b) internal view returns (G1Point memory) {
        (bool ok, bytes memory out) = address(0x0b).staticcall(bytes.concat(abi.encode(a), abi.encode(b)));
        assertTrue(ok, "G1 sum");
        return abi.decode(out, (G1Point));
    }

    function test_infinityIsNoSignatureAndNoKey() public {
        uint256 secret = secretOf(1);
        G2Point memory key = publicKey(secret);
        G1Point memory infinity;
        vm.expectRevert(Bls.InfinitySignature.selector);
        caller.verify(key, "m", infinity);
        G2Point memory nobody;
        G1Point memory signature = sign(secret, "m");
        vm.expectRevert(Bls.InfinityKey.selector);
        caller.verify(nobody, "m", signature);
        vm.expectRevert(Bls.InfinityKey.selector);
        caller.verify(nobody, "m", infinity);
    }

    function test_coordinatesNotBelowTheModulusAreRefused() public {
        uint256 secret = secretOf(1);
        G2Point memory key = publicKey(secret);
        G1Point memory signature = sign(secret, "m");
        // The same x plus the modulus: the same point in other clothes.
        unchecked {
            uint256 low = uint256(signature.xLow);
            uint256 sum = low + 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
            signature.xHigh =
                bytes32(uint256(signature.xHigh) + 0x1a0111ea397fe69a4b1ba7b6434bacd7 + (sum < low ? 1 : 0));
            signature.xLow = bytes32(sum);
        }
        vm.expectRevert(Bls.InvalidPoint.selector);
        caller.verify(key, "m", signature);
        signature = sign(secret, "m");
        signature.xHigh |= bytes32(uint256(1) << 255);
        vm.expectRevert(Bls.InvalidPoint.selector);
        caller.verify(key, "m", signature);
    }

    function test_pointsOffTheCurveOrOutsideOfTheGroupAreRefused() public {
        uint256 secret = secretOf(1);
        G2Point memory key = publicKey(secret);
        G1Point memory off = sign(secret, "m");
        off.yLow = bytes32(uint256(off.yLow) ^ 1);
        vm.expectRevert(Bls.InvalidPoint.selector);
        caller.verify(key, "m", off);
        // (0, 2) is on the curve y² = x³ + 4, but of order 3.
        G1Point memory small;
        small.yLow = bytes32(uint256(2));
        vm.expectRevert(Bls.InvalidPoint.selector);
        caller.verify(key, "m", small);
        G2Point memory wrong = publicKey(secret);
        wrong.y1Low = bytes32(uint256(wrong.y1Low) ^ 1);
        G1Point memory signature = sign(secret, "m");
        vm.expectRevert(Bls.InvalidPoint.selector);
        caller.verify(wrong, "m", signature);
    }
}
