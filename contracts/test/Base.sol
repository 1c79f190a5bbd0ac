// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibRLP} from "solady/utils/LibRLP.sol";
import {LibSort} from "solady/utils/LibSort.sol";
import {Vm} from "./Vm.sol";
import {LightClient} from "../src/LightClient.sol";
import {Registry} from "../src/Registry.sol";
import {KeyRegistration, RegistryConfig} from "../src/interfaces/IRegistry.sol";
import {IRestaking} from "../src/interfaces/IRestaking.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {Ed25519} from "../src/libraries/Ed25519.sol";
import {SeatPages} from "../src/libraries/SeatPages.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {
    G1Point,
    G2Point,
    Gwei,
    HeaderHash,
    OperatorId,
    SeatList,
    SeatsHash,
    Term,
    View
} from "../src/types/Types.sol";

/// @dev Signs like an attester, by the precompiles: keys and signatures are products of a generator and of hashed
/// messages. That hashing and messages are those of other implementations is checked in Bls.t.sol.
abstract contract Base {
    using LibRLP for LibRLP.List;

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint64 internal constant CHAIN = 9009;
    uint256 internal constant START = 1_700_000_000;
    uint32 internal constant EPOCH = 384;
    uint32 internal constant TRUST = 3 days;
    uint32 internal constant ANSWER = 2 days;
    uint32 internal constant EVIDENCE = 3 days;
    uint32 internal constant UNBONDING = 9 days;
    Gwei internal constant MIN_SEAT = Gwei.wrap(32e9);
    uint256 internal constant ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    error Failed(string what, uint256 got, uint256 want);

    /// @dev A seat of the tests: its secrets follow from its number.
    struct TestSeat {
        uint256 secret;
        bytes32 identity;
        bytes32 page; // page << 8 | place
        bytes compressed;
        uint32 index;
    }

    struct TestHeader {
        uint64 chainId;
        uint64 term;
        uint64 view_;
        uint64 height;
        bytes32 parent;
        uint64 timestampMs;
        bytes32 lanesRoot;
        bytes32 stateRoot;
        bytes32 historyRoot;
        bytes32 seatsHash;
        bytes32 nextSeatsHash;
    }

    function assertEq(uint256 got, uint256 want, string memory what) internal pure {
        if (got != want) revert Failed(what, got, want);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert Failed(what, 0, 1);
    }

    // --- deployment ---

    function config(address slasher, address restaking) internal view returns (RegistryConfig memory) {
        return RegistryConfig({
            chainId: CHAIN,
            genesis: uint48(block.timestamp),
            epochSeconds: EPOCH,
            trustSeconds: TRUST,
            answerSeconds: ANSWER,
            evidenceSeconds: EVIDENCE,
            unbondingSeconds: UNBONDING,
            minSeat: MIN_SEAT,
            seatsMax: 128,
            slasher: slasher,
            restaking: IRestaking(restaking)
        });
    }

    function newRegistry(address slasher) internal returns (Registry) {
        vm.warp(START);
        return new Registry(config(slasher, address(0)));
    }

    // --- keys ---

    function secretOf(uint256 number) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("seat", number))) % ORDER;
    }

    /// @dev A hash that is an ed25519 key, as about every other is.
    function identityOf(uint256 number) internal view returns (bytes32 identity) {
        identity = keccak256(abi.encode("identity", number));
        while (!Ed25519.isKey(identity)) identity = keccak256(abi.encode(identity));
    }

    function publicKey(uint256 secret) internal view returns (G2Point memory key) {
        bytes memory input = bytes.concat(
            hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e",
            hex"000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be",
            bytes32(secret)
        );
        (bool ok, bytes memory out) = address(0x0e).staticcall(input);
        assertTrue(ok, "G2 product");
        return abi.decode(out, (G2Point));
    }

    function signHashed(uint256 secret, bytes memory message, bytes32 domain)
        internal
        view
        returns (G1Point memory)
    {
        bytes memory input = new bytes(160);
        uint256 from;
        assembly {
            from := add(input, 0x20)
            mstore(add(from, 128), secret)
        }
        Bls.hashToG1(message, domain, from);
        (bool ok, bytes memory out) = address(0x0c).staticcall(input);
        assertTrue(ok, "G1 product");
        return abi.decode(out, (G1Point));
    }

    function sign(uint256 secret, bytes memory message) internal view returns (G1Point memory) {
        return signHashed(secret, message, Bls.DOMAIN_VOTE);
    }

    function registration(Registry registry, address owner, uint256 number)
        internal
        view
        returns (KeyRegistration memory given)
    {
        uint256 secret = secretOf(number);
        given.identity = identityOf(number);
        given.key = publicKey(secret);
        bytes memory message = registry.possessionMessage(owner, Bls.compress(given.key));
        given.possession = signHashed(secret, message, Bls.DOMAIN_POSSESSION);
    }

    /// @dev Registers an operator with a stake and keys `first … first + count − 1` in one page.
    function join(Registry registry, address owner, uint256 stakeEther, uint256 first, uint256 count)
        internal
        returns (OperatorId operator, TestSeat[] memory seats)
    {
        vm.deal(owner, stakeEther * 1 ether);
        vm.prank(owner);
        operator = registry.registerOperator{value: stakeEther * 1 ether}();
        seats = addKeys(registry, owner, operator, first, count);
    }

    function addKeys(Registry registry, address owner, OperatorId operator, uint256 first, uint256 count)
        internal
        returns (TestSeat[] memory seats)
    {
        KeyRegistration[] memory keys = new KeyRegistration[](count);
        seats = new TestSeat[](count);
        uint32 index = registry.keyCount();
        uint256 page = registry.pageCount() + 1;
        for (uint256 i = 0; i < count; ++i) {
            keys[i] = registration(registry, owner, first + i);
            seats[i] = TestSeat(
                secretOf(first + i),
                keys[i].identity,
                bytes32((page << 8) | i),
                Bls.compress(keys[i].key),
                index + uint32(i)
            );
        }
        vm.prank(owner);
        registry.registerKeys(operator, keys);
    }

    function join2(TestSeat[] memory a, TestSeat[] memory b) internal pure returns (TestSeat[] memory out) {
        out = new TestSeat[](a.length + b.length);
        for (uint256 i = 0; i < a.length; ++i) {
            out[i] = a[i];
        }
        for (uint256 i = 0; i < b.length; ++i) {
            out[a.length + i] = b[i];
        }
    }

    /// @dev In ascending order of identity.
    function sorted(TestSeat[] memory seats) internal pure returns (TestSeat[] memory out) {
        bytes32[] memory order = new bytes32[](seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            order[i] = seats[i].identity;
        }
        LibSort.sort(order);
        out = new TestSeat[](seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            (, uint256 place) = LibSort.searchSorted(order, seats[i].identity);
            out[place] = seats[i];
        }
    }

    function listOf(TestSeat[] memory seats) internal pure returns (SeatList memory list) {
        uint256[] memory pages = new uint256[](seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            pages[i] = uint256(seats[i].page) >> 8;
        }
        LibSort.sort(pages);
        LibSort.uniquifySorted(pages);
        for (uint256 i = 0; i < pages.length; ++i) {
            list.pages = bytes.concat(list.pages, bytes4(uint32(pages[i])));
        }
        for (uint256 i = 0; i < seats.length; ++i) {
            (, uint256 ordinal) = LibSort.searchSorted(pages, uint256(seats[i].page) >> 8);
            list.entries =
                bytes.concat(list.entries, bytes1(uint8(ordinal)), bytes1(uint8(uint256(seats[i].page))));
        }
    }

    /// @dev From the definition (R4), without the pages.
    function seatsHashOf(TestSeat[] memory seats) internal pure returns (bytes32) {
        LibRLP.List memory list = LibRLP.p();
        for (uint256 i = 0; i < seats.length; ++i) {
            LibRLP.List memory seat = LibRLP.p(abi.encodePacked(seats[i].identity));
            list = list.p(seat.p(seats[i].compressed).p(seats[i].index));
        }
        return keccak256(list.encode());
    }

    // --- headers and votes ---

    function headerOn(bytes32 seatsHash, uint64 height) internal view returns (TestHeader memory header) {
        header.chainId = CHAIN;
        header.view_ = height;
        header.height = height;
        header.parent = keccak256(abi.encode("parent", height));
        header.timestampMs = uint64(block.timestamp * 1000);
        header.lanesRoot = keccak256("lanes");
        header.stateRoot = keccak256("state");
        header.historyRoot = keccak256("history");
        (header.seatsHash, header.nextSeatsHash) = (seatsHash, seatsHash);
    }

    function encode(TestHeader memory header) internal pure returns (bytes memory) {
        LibRLP.List memory l1 = LibRLP.p(uint256(100)).p(abi.encodePacked(keccak256("l1")));
        LibRLP.List memory l1Head = LibRLP.p(l1).p(LibRLP.p());
        LibRLP.List memory out = LibRLP.p(uint256(1)).p(header.chainId).p(header.term).p(header.view_);
        out = out.p(header.view_ == 0 ? 0 : header.view_ - 1).p(header.height)
            .p(abi.encodePacked(header.parent));
        out = out.p((header.timestampMs - 1_690_000_000_000) / 2000).p(header.timestampMs).p(l1Head).p(l1);
        out = out.p(abi.encodePacked(header.lanesRoot)).p(abi.encodePacked(keccak256("operations")));
        out = out.p(abi.encodePacked(header.stateRoot)).p(abi.encodePacked(header.historyRoot));
        return out.p(abi.encodePacked(header.seatsHash)).p(abi.encodePacked(header.nextSeatsHash)).encode();
    }

    function finalize(TestHeader memory header, bytes32 hash) internal pure returns (bytes memory) {
        Vote memory vote = Vote(
            VoteKind.Finalize,
            Term.wrap(header.term),
            View.wrap(header.view_),
            View.wrap(header.view_ - 1),
            HeaderHash.wrap(hash)
        );
        return Votes.message(header.chainId, SeatsHash.wrap(header.seatsHash), vote);
    }

    /// @dev All but `absent` seats, which are spread over the set.
    function bitmapOf(uint256 seats, uint256 absent) internal pure returns (bytes memory bitmap) {
        bitmap = new bytes((seats + 7) / 8);
        for (uint256 i = 0; i < seats; ++i) {
            if (!isAbsent(i, seats, absent)) bitmap[i / 8] |= bytes1(uint8(1 << (i % 8)));
        }
    }

    function isAbsent(uint256 seat, uint256 seats, uint256 absent) internal pure returns (bool) {
        return (seat * absent) % seats < absent;
    }

    function secretSum(TestSeat[] memory seats, uint256 absent) internal pure returns (uint256 sum) {
        for (uint256 i = 0; i < seats.length; ++i) {
            if (!isAbsent(i, seats.length, absent)) sum = addmod(sum, seats[i].secret, ORDER);
        }
    }
}
