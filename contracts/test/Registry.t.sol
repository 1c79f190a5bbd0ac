// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {IRegistry, KeyRegistration, RegistryConfig, Stakes, Weight} from "../src/interfaces/IRegistry.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {Divisor} from "../src/libraries/Divisor.sol";
import {SeatTable} from "../src/libraries/SeatTable.sol";
import {Epoch, G1Point, G2Point, Gwei, OperatorId, SeatList, SeatsHash} from "../src/types/Types.sol";

/// @dev An owner that calls back when it is paid.
contract Greedy {
    Registry private registry;
    OperatorId private operator;
    bool public refused;

    constructor(Registry registry_) payable {
        registry = registry_;
        operator = registry_.registerOperator{value: msg.value}();
    }

    function exit() external {
        registry.requestExit(operator, Gwei.wrap(32e9));
    }

    function withdraw() external {
        registry.withdraw(operator, payable(address(this)));
    }

    receive() external payable {
        try registry.withdraw(operator, payable(address(this))) {}
        catch {
            refused = true;
        }
    }
}

contract DivisorCaller {
    function check(
        uint256[] calldata stakes,
        uint256[] calldata keys,
        uint256[] calldata seats,
        uint256 price,
        uint256 min,
        uint256 max
    ) external pure {
        Divisor.check(stakes, keys, seats, price, min, max);
    }
}

contract RegistryTest is Base {
    Registry private registry;
    address private alice = address(0xa1);
    address private bob = address(0xb2);
    DivisorCaller private divisor = new DivisorCaller();

    function setUp() public {
        registry = newRegistry(address(this));
    }

    receive() external payable {}

    function nextEpoch() private {
        vm.warp(registry.epochStart(registry.currentEpoch()) + EPOCH);
    }

    // --- stake ---

    function test_stakeCountsFromTheNextEpochOn() public {
        (OperatorId operator,) = join(registry, alice, 100, 0, 1);
        assertEq(Gwei.unwrap(registry.weightOf(operator).stake), 0, "now");
        nextEpoch();
        assertEq(Gwei.unwrap(registry.weightOf(operator).stake), 100e9, "then");
    }

    function test_exitStopsCountingAtTheNextEpochAndLeavesAfterUnbonding() public {
        (OperatorId operator,) = join(registry, alice, 100, 0, 1);
        nextEpoch();
        vm.startPrank(alice);
        registry.requestExit(operator, Gwei.wrap(60e9));
        assertEq(Gwei.unwrap(registry.weightOf(operator).stake), 100e9, "still counts");
        uint256 release = registry.stakesOf(operator).releaseAt;
        assertEq(release, registry.epochStart(registry.currentEpoch()) + EPOCH + UNBONDING, "release");
        nextEpoch();
        assertEq(Gwei.unwrap(registry.weightOf(operator).stake), 40e9, "counts no more");
        vm.warp(release - 1);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.StillBonded.selector, release));
        registry.withdraw(operator, payable(alice));
        vm.warp(release);
        registry.withdraw(operator, payable(alice));
        assertEq(alice.balance, 60 ether, "paid");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NothingToWithdraw.selector, operator));
        registry.withdraw(operator, payable(alice));
    }

    function test_moreThanIsThereDoesNotLeave() public {
        (OperatorId operator,) = join(registry, alice, 100, 0, 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.TooMuch.selector, 101e9, 100e9));
        registry.requestExit(operator, Gwei.wrap(101e9));
    }

    function test_onlyTheOwnerActs() public {
        (OperatorId operator,) = join(registry, alice, 100, 0, 1);
        vm.startPrank(bob);
        bytes memory why = abi.encodeWithSelector(IRegistry.NotOwner.selector, operator, bob);
        vm.expectRevert(why);
        registry.requestExit(operator, Gwei.wrap(1));
        vm.expectRevert(why);
        registry.withdraw(operator, payable(bob));
        vm.expectRevert(why);
        registry.retireKey(operator, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotSlasher.selector, bob));
        registry.slash(1, 0, SeatsHash.wrap(0), bob, 0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotSlasher.selector, bob));
        registry.freeze(operator, type(uint48).max);
    }

    function test_partsOfAGweiAndTooLittleAreRefused() public {
        vm.deal(alice, 100 ether);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotWholeGwei.selector, 40 ether + 1));
        registry.registerOperator{value: 40 ether + 1}();
        vm.expectRevert(abi.encodeWithSelector(IRegistry.TooLittle.selector, 31e9, 32e9));
        registry.registerOperator{value: 31 ether}();
        registry.registerOperator{value: 32 ether}();
        vm.expectRevert(abi.encodeWithSelector(IRegistry.OwnerTaken.selector, alice, 1));
        registry.registerOperator{value: 32 ether}();
    }

    function test_unbondingThatDoesNotCoverEvidenceIsRefused() public {
        RegistryConfig memory wrong = config(address(this), address(0));
        wrong.unbondingSeconds = TRUST + ANSWER + EVIDENCE;
        vm.expectRevert(IRegistry.BadConfig.selector);
        new Registry(wrong);
        wrong.unbondingSeconds += 1;
        new Registry(wrong);
    }

    function test_receiverThatCallsBackIsPaidOnce() public {
        Greedy greedy = new Greedy{value: 64 ether}(registry);
        join(registry, alice, 100, 0, 1);
        nextEpoch();
        greedy.exit();
        vm.warp(block.timestamp + UNBONDING + EPOCH);
        greedy.withdraw();
        assertTrue(greedy.refused(), "called back");
        assertEq(address(greedy).balance, 32 ether, "paid");
        assertEq(address(registry).balance, 132 ether, "kept");
    }

    // --- keys ---

    function register(KeyRegistration memory key, bytes4 why) private {
        KeyRegistration[] memory keys = new KeyRegistration[](1);
        keys[0] = key;
        OperatorId operator = registry.operatorOf(alice);
        vm.prank(alice);
        if (why != 0) vm.expectPartialRevert(why);
        registry.registerKeys(operator, keys);
    }

    function test_rogueKeyWithoutItsSecretIsRefused() public {
        join(registry, alice, 100, 0, 1);
        // The key that cancels another in a sum: its secret is nobody's.
        KeyRegistration memory rogue = registration(registry, alice, 7);
        Bls.negate(rogue.key);
        register(rogue, Bls.WrongSignature.selector);
        rogue = registration(registry, alice, 7);
        rogue.possession = registration(registry, alice, 8).possession;
        register(rogue, Bls.WrongSignature.selector);
    }

    function test_possessionIsProvedForOneOwnerOneRegistryAndInItsDomain() public {
        join(registry, alice, 100, 0, 1);
        register(registration(registry, bob, 7), Bls.WrongSignature.selector);
        Registry other = new Registry(config(address(this), address(0)));
        register(registration(other, alice, 7), Bls.WrongSignature.selector);
        KeyRegistration memory vote = registration(registry, alice, 7);
        bytes memory message = registry.possessionMessage(alice, Bls.compress(vote.key));
        vote.possession = sign(secretOf(7), message);
        register(vote, Bls.WrongSignature.selector);
        register(registration(registry, alice, 7), 0);
    }

    function test_keyAtInfinityAndKeysOffTheCurveAreRefused() public {
        join(registry, alice, 100, 0, 1);
        KeyRegistration memory wrong = registration(registry, alice, 7);
        G2Point memory infinity;
        wrong.key = infinity;
        register(wrong, Bls.InfinityKey.selector);
        wrong = registration(registry, alice, 7);
        wrong.key.x0Low = bytes32(uint256(wrong.key.x0Low) ^ 1);
        register(wrong, Bls.InvalidPoint.selector);
        wrong = registration(registry, alice, 7);
        G1Point memory nothing;
        wrong.possession = nothing;
        register(wrong, Bls.InfinitySignature.selector);
    }

    function test_keysAndIdentitiesAreRegisteredOnce() public {
        join(registry, alice, 100, 0, 2);
        register(registration(registry, alice, 1), IRegistry.KeyTaken.selector);
        KeyRegistration memory twin = registration(registry, alice, 7);
        twin.identity = identityOf(1);
        register(twin, IRegistry.IdentityTaken.selector);
    }

    function test_rotatedKeysCountFromTheNextEpochOn() public {
        (OperatorId operator,) = join(registry, alice, 100, 0, 2);
        nextEpoch();
        KeyRegistration[] memory keys = new KeyRegistration[](2);
        (keys[0], keys[1]) = (registration(registry, alice, 7), registration(registry, alice, 8));
        vm.startPrank(alice);
        registry.rotateKey(operator, 1, 0, keys);
        assertEq(registry.weightOf(operator).keys, 2, "now");
        assertEq(registry.weightOf(operator).nextKeys, 3, "next");
        nextEpoch();
        assertEq(registry.weightOf(operator).keys, 3, "then");
        vm.expectPartialRevert(IRegistry.KeyRetiring.selector);
        registry.retireKey(operator, 1, 0);
    }

    function test_repackedKeysAreTheSameKeys() public {
        (, TestSeat[] memory a) = join(registry, alice, 100, 0, 3);
        (, TestSeat[] memory b) = join(registry, bob, 100, 3, 3);
        TestSeat[] memory all = sorted(join2(a, b));
        nextEpoch();
        registry.repack(listOf(all));
        assertEq(registry.pageCount(), 3, "pages");
        SeatList memory packed = SeatList(hex"00000003", hex"000000010002000300040005");
        registry.settle(packed, Gwei.wrap(33333333333));
        assertTrue(SeatsHash.unwrap(registry.latest()) == seatsHashOf(all), "hash");
    }

    /// forge-config: default.isolate = true
    function test_gas_registerOneKey() public {
        vm.deal(alice, 100 ether);
        vm.prank(alice);
        OperatorId operator = registry.registerOperator{value: 100 ether}();
        KeyRegistration[] memory keys = new KeyRegistration[](1);
        keys[0] = registration(registry, alice, 7);
        vm.prank(alice);
        registry.registerKeys(operator, keys);
        assertTrue(vm.snapshotGasLastCall("register one key with proof of possession") <= 300_000, "gas");
    }

    // --- seats ---

    /// @dev Seat by seat, as the rule reads.
    function naive(uint256[] memory stakes, uint256[] memory keys, uint256 min, uint256 max)
        private
        pure
        returns (uint256 price, uint256[] memory seats)
    {
        seats = new uint256[](stakes.length);
        for (uint256 awarded = 0; awarded < max; ++awarded) {
            uint256 best = 0;
            uint256 winner;
            for (uint256 i = 0; i < stakes.length; ++i) {
                if (seats[i] == keys[i]) continue;
                uint256 quotient = stakes[i] / (seats[i] + 1);
                if (quotient > best) (best, winner) = (quotient, i);
            }
            if (best < min) break;
            ++seats[winner];
            price = best;
        }
    }

    function random(uint256 seed, bool even)
        private
        pure
        returns (uint256[] memory stakes, uint256[] memory keys, uint256 max)
    {
        uint256 count = 1 + seed % 9;
        (stakes, keys) = (new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            // Even stakes make many ties.
            stakes[i] = even ? 60 * (seed % 12) : seed % 5000;
            keys[i] = (seed >> 128) % 12;
        }
        max = 1 + (seed >> 200) % 30;
    }

    function test_divisorRuleIsTheNaiveOne(uint256 seed, bool even) public {
        (uint256[] memory stakes, uint256[] memory keys, uint256 max) = random(seed, even);
        (uint256 price, uint256[] memory seats) = naive(stakes, keys, 32, max);
        (uint256 got, uint256[] memory fast) = Divisor.allocate(stakes, keys, 32, max);
        assertEq(got, price, "price");
        assertTrue(keccak256(abi.encode(seats)) == keccak256(abi.encode(fast)), "seats");
        if (price == 0) return;
        divisor.check(stakes, keys, seats, price, 32, max);
        // Any other price, and any seat moved, is refused.
        vm.expectRevert();
        divisor.check(stakes, keys, seats, price + 1, 32, max);
        vm.expectRevert();
        divisor.check(stakes, keys, seats, price - 1, 32, max);
        uint256 from = seed % seats.length;
        uint256 to = (seed >> 8) % seats.length;
        if (seats[from] == 0 || from == to) return;
        (--seats[from], ++seats[to]);
        vm.expectRevert();
        divisor.check(stakes, keys, seats, price, 32, max);
    }

    function test_seatsAreSettledOnceAnEpoch() public {
        (, TestSeat[] memory a) = join(registry, alice, 96, 0, 3);
        (, TestSeat[] memory b) = join(registry, bob, 64, 3, 2);
        TestSeat[] memory all = sorted(join2(a, b));
        SeatList memory list = listOf(all);
        vm.expectPartialRevert(IRegistry.KeyNotActive.selector);
        registry.settle(list, Gwei.wrap(32e9));
        nextEpoch();
        (Gwei price,) = registry.allocation();
        registry.settle(list, price);
        assertEq(Gwei.unwrap(price), 32e9, "price");
        SeatsHash hash = SeatsHash.wrap(seatsHashOf(all));
        assertEq(Gwei.unwrap(registry.settlement(hash).price), 32e9, "recorded");
        vm.expectPartialRevert(IRegistry.AlreadySettled.selector);
        registry.settle(list, price);
        nextEpoch();
        registry.settle(list, price);
    }

    function test_dearestPriceOfASetIsKeptAsLongAsItsVotesCanBeAccused() public {
        (OperatorId operator, TestSeat[] memory a) = join(registry, alice, 128, 0, 2);
        (OperatorId other, TestSeat[] memory b) = join(registry, bob, 128, 2, 2);
        SeatList memory list = listOf(sorted(join2(a, b)));
        nextEpoch();
        registry.settle(list, Gwei.wrap(64e9));
        uint256 dear = block.timestamp;
        vm.prank(alice);
        registry.requestExit(operator, Gwei.wrap(64e9));
        vm.prank(bob);
        registry.requestExit(other, Gwei.wrap(64e9));
        SeatsHash hash = registry.latest();
        for (uint256 i = 0; i < 3; ++i) {
            nextEpoch();
            registry.settle(list, Gwei.wrap(32e9));
            assertEq(Gwei.unwrap(registry.settlement(hash).price), 64e9, "dear");
        }
        vm.warp(dear + UNBONDING);
        registry.settle(list, Gwei.wrap(32e9));
        assertEq(Gwei.unwrap(registry.settlement(hash).price), 32e9, "cheap");
    }

    function test_wrongSeatsAreNotSettled() public {
        (, TestSeat[] memory a) = join(registry, alice, 96, 0, 3);
        (, TestSeat[] memory b) = join(registry, bob, 64, 3, 2);
        nextEpoch();
        TestSeat[] memory all = sorted(join2(a, b));
        SeatList memory list = listOf(all);
        vm.expectPartialRevert(Divisor.WrongPrice.selector);
        registry.settle(list, Gwei.wrap(32e9 - 1));
        vm.expectPartialRevert(Divisor.WrongPrice.selector);
        registry.settle(list, Gwei.wrap(32e9 + 1));
        // Out of order, and one twice.
        (list.entries[0], list.entries[1], list.entries[2], list.entries[3]) =
        (list.entries[2], list.entries[3], list.entries[0], list.entries[1]);
        vm.expectPartialRevert(IRegistry.SeatsOutOfOrder.selector);
        registry.settle(list, Gwei.wrap(32e9));
        (list.entries[0], list.entries[1]) = (list.entries[2], list.entries[3]);
        vm.expectPartialRevert(IRegistry.SeatsOutOfOrder.selector);
        registry.settle(list, Gwei.wrap(32e9));
        // One seat too few.
        assembly {
            mstore(all, 4)
        }
        list = listOf(all);
        vm.expectPartialRevert(Divisor.WrongSeatTotal.selector);
        registry.settle(list, Gwei.wrap(32e9));
    }

    function test_fewerThanFourSeatsAreNoSet() public {
        (, TestSeat[] memory a) = join(registry, alice, 96, 0, 3);
        nextEpoch();
        SeatList memory list = listOf(sorted(a));
        vm.expectRevert(abi.encodeWithSelector(SeatTable.SeatCount.selector, 3));
        registry.settle(list, Gwei.wrap(32e9));
    }

    // --- proposers ---

    function test_proposerIsNamedByItsOwnSignature() public {
        (OperatorId operator,) = join(registry, alice, 100, 0, 1);
        uint256 secret = 77;
        address signer = vm.addr(secret);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, registry.proposerDigest(operator));
        bytes memory signature = abi.encodePacked(r, s, v);
        vm.startPrank(alice);
        vm.expectPartialRevert(IRegistry.WrongSigner.selector);
        registry.setProposer(operator, bob, bytes32(0), signature);
        registry.setProposer(operator, signer, bytes32(0), signature);
        assertTrue(registry.proposerOf(operator) == address(0), "now");
        vm.stopPrank();
        nextEpoch();
        assertTrue(registry.proposerOf(operator) == signer, "then");
        (OperatorId other,) = join(registry, bob, 100, 1, 1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.SignerTaken.selector, signer, operator));
        registry.setProposer(other, signer, bytes32(0), signature);
    }
}
