// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {Slasher} from "../src/Slasher.sol";
import {IRegistry, KeyRegistration} from "../src/interfaces/IRegistry.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {G1Point, Gwei, HeaderHash, OperatorId, SeatList, SeatsHash, Term, View} from "../src/types/Types.sol";

contract SlasherTest is Base {
    Registry private registry;
    Slasher private slasher;
    address private alice = address(0xa1);
    address private bob = address(0xb2);
    address private eve = address(0xe5);
    OperatorId private operator;
    TestSeat[] private seats;
    SeatsHash private seatsHash;
    uint256 private constant BOND = 1 ether;

    function setUp() public {
        vm.warp(START);
        // The registry is given the address at which the slasher will be.
        registry = new Registry(config(predicted(), address(0)));
        slasher = new Slasher(IRegistry(address(registry)), BOND);
        TestSeat[] memory a;
        TestSeat[] memory b;
        (operator, a) = join(registry, alice, 96, 0, 3);
        (, b) = join(registry, bob, 64, 3, 2);
        nextEpoch();
        settle(join2(a, b));
        vm.deal(eve, 10 ether);
    }

    function predicted() private view returns (address) {
        // Nonces: 1 is the registry's.
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(2))))));
    }

    function settle(TestSeat[] memory all) private {
        all = sorted(all);
        delete seats;
        for (uint256 i = 0; i < all.length; ++i) {
            seats.push(all[i]);
        }
        (Gwei price,) = registry.allocation();
        registry.settle(listOf(all), price);
        seatsHash = SeatsHash.wrap(seatsHashOf(all));
    }

    function nextEpoch() private {
        vm.warp(registry.epochStart(registry.currentEpoch()) + EPOCH);
    }

    function vote(VoteKind kind, uint64 view_, uint64 parent, bytes32 payload)
        private
        pure
        returns (Vote memory)
    {
        return Vote(kind, Term.wrap(0), View.wrap(view_), View.wrap(parent), HeaderHash.wrap(payload));
    }

    function nullify(uint64 view_) private pure returns (Vote memory) {
        return vote(VoteKind.Nullify, view_, 0, 0);
    }

    function sumOf(uint256 secret, SeatsHash set, Vote memory a, Vote memory b)
        private
        view
        returns (G1Point memory)
    {
        G1Point memory first = sign(secret, Votes.message(CHAIN, set, a));
        G1Point memory second = sign(secret, Votes.message(CHAIN, set, b));
        (bool ok, bytes memory out) =
            address(0x0b).staticcall(bytes.concat(abi.encode(first), abi.encode(second)));
        assertTrue(ok, "sum");
        return abi.decode(out, (G1Point));
    }

    /// @dev Alice's key 0 stands in page 1, place 0.
    function report(Vote memory a, Vote memory b) private returns (Gwei) {
        G1Point memory signature = sumOf(secretOf(0), seatsHash, a, b);
        vm.prank(eve);
        return slasher.slash(1, 0, seatsHash, a, b, signature);
    }

    function refuse(Vote memory a, Vote memory b, bytes4 why) private {
        G1Point memory signature = sumOf(secretOf(0), seatsHash, a, b);
        vm.expectPartialRevert(why);
        slasher.slash(1, 0, seatsHash, a, b, signature);
    }

    function check(Vote memory a, Vote memory b) private {
        uint256 burnt = address(0xdead).balance;
        Gwei taken = report(a, b);
        assertEq(Gwei.unwrap(taken), 32e9, "taken");
        assertEq(slasher.owed(eve), 3.2 ether, "reward");
        assertEq(address(0xdead).balance - burnt, 28.8 ether, "burnt");
        assertEq(Gwei.unwrap(registry.stakesOf(operator).bonded), 64e9, "left");
        assertEq(registry.weightOf(operator).keys, 2, "keys");
        vm.prank(eve);
        slasher.claim(payable(eve));
        assertEq(eve.balance, 13.2 ether, "paid");
    }

    function test_twoNotarizesInOneViewCostTheSeat() public {
        check(vote(VoteKind.Notarize, 7, 6, keccak256("a")), vote(VoteKind.Notarize, 7, 6, keccak256("b")));
    }

    function test_twoNotarizesWithOtherParentsCostTheSeat() public {
        check(vote(VoteKind.Notarize, 7, 6, keccak256("a")), vote(VoteKind.Notarize, 7, 5, keccak256("a")));
    }

    function test_twoFinalizesInOneViewCostTheSeat() public {
        check(vote(VoteKind.Finalize, 7, 6, keccak256("a")), vote(VoteKind.Finalize, 7, 6, keccak256("b")));
    }

    function test_nullifyAndFinalizeInOneViewCostTheSeat() public {
        check(nullify(7), vote(VoteKind.Finalize, 7, 6, keccak256("a")));
    }

    function test_votesOfAnHonestSeatAreNoEvidence() public {
        Vote memory notarize = vote(VoteKind.Notarize, 7, 6, keccak256("a"));
        refuse(notarize, notarize, Slasher.NoConflict.selector);
        refuse(notarize, vote(VoteKind.Finalize, 7, 6, keccak256("a")), Slasher.NoConflict.selector);
        refuse(notarize, nullify(7), Slasher.NoConflict.selector);
        refuse(nullify(7), nullify(7), Slasher.NoConflict.selector);
        refuse(notarize, vote(VoteKind.Notarize, 8, 7, keccak256("b")), Slasher.NoConflict.selector);
        refuse(nullify(7), vote(VoteKind.Finalize, 8, 7, keccak256("b")), Slasher.NoConflict.selector);
        Vote memory otherTerm = vote(VoteKind.Notarize, 7, 6, keccak256("b"));
        otherTerm.term = Term.wrap(1);
        refuse(notarize, otherTerm, Slasher.NoConflict.selector);
    }

    /// @dev Whatever an honest seat signs, and however it is combined, nothing of it costs its seat.
    function test_innocentIsNeverSlashed(uint256 seed) public {
        // One notarize a view, then finalize it or nullify.
        uint64 view_ = uint64(seed % 100) + 1;
        bool finalizes = (seed >> 8) & 1 == 1;
        Vote memory a = vote(VoteKind.Notarize, view_, view_ - 1, keccak256(abi.encode(view_)));
        Vote memory b = finalizes
            ? vote(VoteKind.Finalize, view_, view_ - 1, keccak256(abi.encode(view_)))
            : nullify(view_);
        G1Point memory signature = sumOf(secretOf(0), seatsHash, a, b);
        // Claimed to be anything else.
        Vote memory c = vote(VoteKind(seed % 3), view_, uint64(seed >> 64), keccak256(abi.encode(seed)));
        (bool ok,) = address(slasher).call{gas: 3_000_000}(
            abi.encodeCall(Slasher.slash, (1, 0, seatsHash, a, (seed >> 16) & 1 == 1 ? b : c, signature))
        );
        assertTrue(!ok, "slashed");
        (ok,) = address(slasher).call{gas: 3_000_000}(
            abi.encodeCall(Slasher.slash, (1, 0, seatsHash, b, c, signature))
        );
        assertTrue(!ok, "slashed");
    }

    function test_evidenceAgainstOnesNeighbourIsRefused() public {
        Vote memory a = vote(VoteKind.Notarize, 7, 6, keccak256("a"));
        Vote memory b = vote(VoteKind.Notarize, 7, 6, keccak256("b"));
        G1Point memory signature = sumOf(secretOf(0), seatsHash, a, b);
        vm.expectRevert(Bls.WrongSignature.selector);
        slasher.slash(1, 1, seatsHash, a, b, signature);
        vm.expectRevert(Bls.InfinityKey.selector);
        slasher.slash(9, 0, seatsHash, a, b, signature);
        // One vote twice.
        signature = sumOf(secretOf(0), seatsHash, a, a);
        vm.expectRevert(Bls.WrongSignature.selector);
        slasher.slash(1, 0, seatsHash, a, b, signature);
    }

    function test_votesUnderSeatsThatNeverSatCostNothing() public {
        SeatsHash other = SeatsHash.wrap(keccak256("never"));
        Vote memory a = vote(VoteKind.Notarize, 7, 6, keccak256("a"));
        Vote memory b = vote(VoteKind.Notarize, 7, 6, keccak256("b"));
        G1Point memory signature = sumOf(secretOf(0), other, a, b);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownSeats.selector, other));
        slasher.slash(1, 0, other, a, b, signature);
    }

    function test_seatIsSlashedOnce() public {
        report(vote(VoteKind.Notarize, 7, 6, keccak256("a")), vote(VoteKind.Notarize, 7, 6, keccak256("b")));
        // Neither for the same, nor the other way round, nor for anything else.
        refuse(
            vote(VoteKind.Notarize, 7, 6, keccak256("b")),
            vote(VoteKind.Notarize, 7, 6, keccak256("a")),
            IRegistry.AlreadySlashed.selector
        );
        refuse(nullify(9), vote(VoteKind.Finalize, 9, 6, keccak256("a")), IRegistry.AlreadySlashed.selector);
    }

    function test_selfReportCostsNineTenths() public {
        Vote memory a = nullify(7);
        Vote memory b = vote(VoteKind.Finalize, 7, 6, keccak256("a"));
        G1Point memory signature = sumOf(secretOf(0), seatsHash, a, b);
        vm.startPrank(alice);
        slasher.slash(1, 0, seatsHash, a, b, signature);
        slasher.claim(payable(alice));
        assertEq(alice.balance, 3.2 ether, "back");
        vm.stopPrank();
    }

    function test_cheapSeatDoesNotShieldADearOne() public {
        // The same key sits again, at twice the price.
        SeatsHash cheap = seatsHash;
        vm.deal(address(this), 1000 ether);
        registry.deposit{value: 96 ether}(operator);
        registry.deposit{value: 64 ether}(registry.operatorOf(bob));
        nextEpoch();
        TestSeat[] memory all = new TestSeat[](4);
        // Bob lets one key go, so that it is another set.
        OperatorId other = registry.operatorOf(bob);
        vm.prank(bob);
        registry.retireKey(other, 2, 1);
        nextEpoch();
        uint256 count;
        for (uint256 i = 0; i < 5; ++i) {
            if (seats[i].identity != identityOf(4)) all[count++] = seats[i];
        }
        settle(all);
        Gwei price = registry.settlement(seatsHash).price;
        assertEq(Gwei.unwrap(price), 64e9, "price");
        Vote memory a = nullify(7);
        Vote memory b = vote(VoteKind.Finalize, 7, 6, keccak256("a"));
        G1Point memory signature = sumOf(secretOf(0), cheap, a, b);
        assertEq(Gwei.unwrap(slasher.slash(1, 0, cheap, a, b, signature)), 32e9, "cheap");
        assertEq(Gwei.unwrap(report(a, b)), 32e9, "the rest");
        refuse(a, b, IRegistry.AlreadySlashed.selector);
    }

    function test_slashFreezesExitsAndTakesWhatIsLeaving() public {
        vm.startPrank(alice);
        registry.requestExit(operator, Gwei.wrap(96e9));
        vm.warp(registry.stakesOf(operator).releaseAt - 1);
        vm.stopPrank();
        report(nullify(7), vote(VoteKind.Finalize, 7, 6, keccak256("a")));
        assertEq(Gwei.unwrap(registry.stakesOf(operator).unbonding), 64e9, "leaving");
        vm.warp(block.timestamp + 10);
        vm.prank(alice);
        vm.expectPartialRevert(IRegistry.StillFrozen.selector);
        registry.withdraw(operator, payable(alice));
        vm.warp(block.timestamp + EVIDENCE);
        vm.prank(alice);
        registry.withdraw(operator, payable(alice));
        assertEq(alice.balance, 64 ether, "paid");
    }

    function test_retiredKeyIsAccountableForTheUnbondingTimeAndNoLonger() public {
        vm.prank(alice);
        registry.retireKey(operator, 1, 0);
        uint256 end = registry.accountableUntil(registry.keyAt(1, 0));
        vm.warp(end + 1);
        refuse(nullify(7), vote(VoteKind.Finalize, 7, 6, keccak256("a")), IRegistry.KeyForgotten.selector);
        vm.warp(end);
        report(nullify(7), vote(VoteKind.Finalize, 7, 6, keccak256("a")));
        assertEq(registry.weightOf(operator).keys, 2, "counted once");
    }

    /// forge-config: default.isolate = true
    function test_gas_slash() public {
        Vote memory a = vote(VoteKind.Notarize, 1007, 1006, keccak256("a"));
        Vote memory b = vote(VoteKind.Notarize, 1007, 1006, keccak256("b"));
        G1Point memory signature = sumOf(secretOf(0), seatsHash, a, b);
        slasher.slash(1, 0, seatsHash, a, b, signature);
        assertTrue(vm.snapshotGasLastCall("slash by two votes in one view") <= 400_000, "gas");
    }

    // --- across views ---

    struct Case {
        Vote[2] votes;
        bytes[2] headers;
        HeaderHash other;
        bytes32[] peaks;
        G1Point signature;
    }

    /// @dev finalize(1, B) at height 1, then a vote in view 3 for a block at height 2 over another block 1.
    function forked() private view returns (Case memory c) {
        TestHeader memory first = headerOn(SeatsHash.unwrap(seatsHash), 1);
        c.headers[0] = encode(first);
        c.other = HeaderHash.wrap(keccak256("another block 1"));
        c.peaks = new bytes32[](1);
        c.peaks[0] = keccak256(abi.encodePacked(uint8(1), keccak256("block 0"), c.other));
        TestHeader memory second = headerOn(SeatsHash.unwrap(seatsHash), 2);
        second.view_ = 3;
        second.historyRoot = keccak256(abi.encodePacked(uint8(2), uint64(2), c.peaks[0]));
        c.headers[1] = encode(second);
        c.votes[0] = vote(VoteKind.Finalize, 1, 0, keccak256(c.headers[0]));
        c.votes[1] = vote(VoteKind.Notarize, 3, 2, keccak256(c.headers[1]));
        c.signature = sumOf(secretOf(0), seatsHash, c.votes[0], c.votes[1]);
    }

    function accuse(Case memory c) private returns (bytes32) {
        bytes32[] memory siblings = new bytes32[](1);
        siblings[0] = keccak256("block 0");
        vm.prank(eve);
        return slasher.accuse{value: BOND}(
            1, 0, seatsHash, c.votes, c.signature, c.headers, c.other, siblings, c.peaks
        );
    }

    function certificate(Vote memory by, uint256 absent)
        private
        view
        returns (G1Point memory signature, bytes memory bitmap)
    {
        signature = sign(secretSum(seats, absent), Votes.message(CHAIN, seatsHash, by));
        bitmap = bitmapOf(seats.length, absent);
    }

    function test_unansweredAccusationCostsTheSeat() public {
        bytes32 id = accuse(forked());
        vm.expectPartialRevert(Slasher.TooEarly.selector);
        slasher.convict(id);
        vm.warp(block.timestamp + ANSWER + 1);
        assertEq(Gwei.unwrap(slasher.convict(id)), 32e9, "taken");
        assertEq(slasher.owed(eve), 4.2 ether, "bond and reward");
        vm.expectRevert(abi.encodeWithSelector(Slasher.UnknownAccusation.selector, id));
        slasher.convict(id);
    }

    function test_nullificationOfTheViewExcuses() public {
        bytes32 id = accuse(forked());
        Vote memory by = nullify(1);
        (G1Point memory signature, bytes memory bitmap) = certificate(by, 1);
        SeatList memory list = listOf(seats);
        vm.prank(bob);
        slasher.answer(id, list, by, signature, bitmap);
        assertEq(slasher.owed(bob), BOND, "bond");
        vm.warp(block.timestamp + ANSWER + 1);
        vm.expectPartialRevert(Slasher.UnknownAccusation.selector);
        slasher.convict(id);
        // And nobody is accused over this view again.
        Case memory c = forked();
        bytes32[] memory siblings = new bytes32[](1);
        siblings[0] = keccak256("block 0");
        vm.prank(eve);
        vm.expectPartialRevert(Slasher.ViewNullified.selector);
        slasher.accuse{value: BOND}(
            1, 0, seatsHash, c.votes, c.signature, c.headers, c.other, siblings, c.peaks
        );
    }

    function test_notarizationOfAnotherBlockInTheViewExcuses() public {
        bytes32 id = accuse(forked());
        Vote memory by = vote(VoteKind.Notarize, 1, 0, keccak256("another block 1"));
        (G1Point memory signature, bytes memory bitmap) = certificate(by, 1);
        slasher.answer(id, listOf(seats), by, signature, bitmap);
        assertEq(slasher.owed(address(this)), BOND, "bond");
    }

    function refuseAnswer(bytes32 id, Vote memory by, uint256 absent, bytes4 why) private {
        (G1Point memory signature, bytes memory bitmap) = certificate(by, absent);
        SeatList memory list = listOf(seats);
        vm.expectPartialRevert(why);
        slasher.answer(id, list, by, signature, bitmap);
    }

    function test_answersThatExcuseNothingAreRefused() public {
        Case memory c = forked();
        bytes32 id = accuse(c);
        refuseAnswer(id, nullify(2), 1, Slasher.NoExcuse.selector);
        Vote memory same = vote(VoteKind.Notarize, 1, 0, HeaderHash.unwrap(c.votes[0].payload));
        refuseAnswer(id, same, 1, Slasher.NoExcuse.selector);
        Vote memory finalized = vote(VoteKind.Finalize, 1, 0, keccak256("x"));
        refuseAnswer(id, finalized, 1, Slasher.NoExcuse.selector);
        refuseAnswer(id, nullify(1), 2, bytes4(keccak256("BelowQuorum(uint256,uint256)")));
        vm.warp(block.timestamp + ANSWER + 1);
        refuseAnswer(id, nullify(1), 1, Slasher.TooLate.selector);
    }

    function refuseAccusation(Case memory c, uint256 bond, bytes4 why) private {
        bytes32[] memory siblings = new bytes32[](1);
        siblings[0] = keccak256("block 0");
        c.signature = sumOf(secretOf(0), seatsHash, c.votes[0], c.votes[1]);
        vm.deal(address(this), bond);
        vm.expectPartialRevert(why);
        slasher.accuse{value: bond}(
            1, 0, seatsHash, c.votes, c.signature, c.headers, c.other, siblings, c.peaks
        );
    }

    function test_accusationsWithoutGroundAreRefused() public {
        refuseAccusation(forked(), BOND - 1, Slasher.WrongBond.selector);
        // The block descends from the finalised one.
        Case memory c = forked();
        c.other = c.votes[0].payload;
        refuseAccusation(c, BOND, Slasher.Descends.selector);
        // It is the finalised one.
        c = forked();
        (c.votes[1].payload, c.headers[1]) = (c.votes[0].payload, c.headers[0]);
        refuseAccusation(c, BOND, Slasher.NoConflict.selector);
        // The later view comes first; a nullify is no vote for a block.
        c = forked();
        c.votes[0].view_ = View.wrap(4);
        refuseAccusation(c, BOND, Slasher.NoConflict.selector);
        c = forked();
        c.votes[1] = nullify(3);
        refuseAccusation(c, BOND, Slasher.NoConflict.selector);
        // Another header.
        c = forked();
        c.headers[0][200] ^= 0x01;
        refuseAccusation(c, BOND, Slasher.WrongHeader.selector);
        // Twice.
        c = forked();
        accuse(c);
        refuseAccusation(c, BOND, Slasher.AlreadyAccused.selector);
    }

    function test_accusedDoesNotGetAwayWhileTheAnswerIsDue() public {
        vm.prank(alice);
        registry.requestExit(operator, Gwei.wrap(96e9));
        vm.warp(registry.stakesOf(operator).releaseAt - 1);
        bytes32 id = accuse(forked());
        vm.warp(block.timestamp + ANSWER + 1);
        vm.prank(alice);
        vm.expectPartialRevert(IRegistry.StillFrozen.selector);
        registry.withdraw(operator, payable(alice));
        assertEq(Gwei.unwrap(slasher.convict(id)), 32e9, "taken");
    }

    function test_accusationOfASlashedSeatEndsWithoutASecondSlash() public {
        bytes32 id = accuse(forked());
        report(nullify(7), vote(VoteKind.Finalize, 7, 6, keccak256("a")));
        vm.warp(block.timestamp + ANSWER + 1);
        assertEq(Gwei.unwrap(slasher.convict(id)), 0, "taken");
        assertEq(slasher.owed(eve), 4.2 ether, "bond and one reward");
    }
}
