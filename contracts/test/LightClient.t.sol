// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LightClientBase} from "./LightClientBase.sol";
import {LightClient} from "../src/LightClient.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {HeaderCodec} from "../src/libraries/HeaderCodec.sol";
import {SeatPages} from "../src/libraries/SeatPages.sol";
import {SeatTable} from "../src/libraries/SeatTable.sol";
import {G1Point, HeaderHash, Height, SeatList, View} from "../src/types/Types.sol";

contract LightClientTest is LightClientBase {
    function setUp() public {
        begin(7);
        vm.warp(START + 600);
    }

    function send(bytes memory rlp, uint64 view_, G1Point memory signature, bytes memory bitmap) private {
        client.update(rlp, View.wrap(view_), View.wrap(view_ - 1), signature, bitmap);
    }

    function stored(uint64 height) private view returns (bytes32) {
        return HeaderHash.unwrap(client.headerAt(Height.wrap(height)));
    }

    function test_quorumOfSeatsMakesAHeaderFinal() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        bytes memory rlp = encode(header);
        assertTrue(!client.isFinal(rlp), "before");
        push(header, 2);
        assertTrue(client.isFinal(rlp), "after");
        assertTrue(stored(5) == keccak256(rlp), "hash");
    }

    function test_everyNumberOfSignersFromAQuorumUpIsEnough(uint256 missing) public {
        push(headerOn(seatsHash, 9), missing % 3);
        assertTrue(stored(9) != 0, "stored");
    }

    function test_oneSignerBelowQuorumIsRefused() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 3);
        vm.expectRevert(abi.encodeWithSelector(SeatTable.BelowQuorum.selector, 4, 5));
        send(rlp, 5, signature, bitmap);
    }

    function test_emptyBitmapWithTheInfinitySignatureIsRefused() public {
        bytes memory rlp = encode(headerOn(seatsHash, 5));
        G1Point memory infinity;
        vm.expectRevert(abi.encodeWithSelector(SeatTable.BelowQuorum.selector, 0, 5));
        send(rlp, 5, infinity, hex"00");
        bytes memory all = bitmapOf(7, 0);
        vm.expectRevert(Bls.InfinitySignature.selector);
        send(rlp, 5, infinity, all);
    }

    function test_bitmapOfAnotherLengthOrWithABitPastTheLastSeatIsRefused() public {
        (bytes memory rlp, G1Point memory signature,) = certify(headerOn(seatsHash, 5), seats, 0);
        bytes[4] memory wrong = [bytes(hex""), hex"ff", hex"7f00", hex"80"];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectRevert(abi.encodeWithSelector(SeatTable.WrongBitmap.selector, wrong[i].length, 7));
            send(rlp, 5, signature, wrong[i]);
        }
    }

    function test_bitmapThatNamesOthersThanTheSignersIsRefused(uint256 seed) public {
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) =
            certify(headerOn(seatsHash, 5), seats, 1);
        uint256 other = seed % 128;
        vm.assume(other != uint8(bitmap[0]));
        vm.expectRevert();
        send(rlp, 5, signature, abi.encodePacked(uint8(other)));
        assertTrue(stored(5) == 0, "stored");
    }

    /// @dev Four in each run, anywhere in the call data but for padding.
    function test_anyFlippedBitIsRefused(uint256 seed) public {
        for (uint256 i = 0; i < 4; ++i) {
            (bytes memory rlp, G1Point memory signature, bytes memory bitmap) =
                certify(headerOn(seatsHash, 5), seats, 1);
            View view_ = View.wrap(5);
            bytes memory data =
                abi.encodeCall(ILightClient.update, (rlp, view_, View.wrap(4), signature, bitmap));
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 bit = (seed % (data.length * 8));
            // What pads the arrays is no part of them.
            uint256 at_ = bit / 8;
            if (at_ >= data.length - 31 || (at_ >= 4 + 32 * 9 + rlp.length && at_ < data.length - 64)) {
                continue;
            }
            data[at_] = bytes1(uint8(data[at_]) ^ uint8(1 << (bit % 8)));
            (bool ok,) = address(client).call{gas: 2_000_000}(data);
            assertTrue(!ok, "flipped bit");
        }
        assertTrue(stored(5) == 0, "stored");
    }

    function test_signatureOfAnotherViewTermOrKindIsRefused() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 0);
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 6, signature, bitmap);
        bytes memory message = finalize(header, keccak256(rlp));
        // "_FINALIZE" to "_NOTARIZE", of the same length.
        bytes memory kind = "_NOTARIZE";
        for (uint256 i = 0; i < 9; ++i) {
            message[48 + i] = kind[i];
        }
        signature = sign(secretSum(seats, 0), message);
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 5, signature, bitmap);
        // Over another term than the header's.
        header.term = 1;
        signature = sign(secretSum(seats, 0), finalize(header, keccak256(rlp)));
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 5, signature, bitmap);
    }

    function test_negatedDoubledAndRepeatedSignaturesAreRefused() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 0);
        uint256 sum = secretSum(seats, 0);
        bytes memory message = finalize(header, keccak256(rlp));
        G1Point memory other = sign(ORDER - sum, message);
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 5, other, bitmap);
        other = sign(addmod(sum, sum, ORDER), message);
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 5, other, bitmap);
        // One seat's signature twice, in the place of one that is absent.
        sum = addmod(secretSum(seats, 1), seats[1].secret, ORDER);
        other = sign(sum, message);
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 5, other, bitmap);
        send(rlp, 5, signature, bitmap);
        vm.expectPartialRevert(ILightClient.AlreadyStored.selector);
        send(rlp, 5, signature, bitmap);
    }

    function test_headerOfAnotherChainIsRefused() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        header.chainId = CHAIN + 1;
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 0);
        vm.expectRevert(abi.encodeWithSelector(ILightClient.WrongChain.selector, CHAIN + 1, CHAIN));
        send(rlp, 5, signature, bitmap);
        // Or of this chain, but signed for another.
        TestHeader memory mine = headerOn(seatsHash, 5);
        rlp = encode(mine);
        mine.chainId = CHAIN + 1;
        signature = sign(secretSum(seats, 0), finalize(mine, keccak256(rlp)));
        vm.expectRevert(Bls.WrongSignature.selector);
        send(rlp, 5, signature, bitmap);
    }

    function test_headerOfOtherSeatsIsRefused() public {
        bytes32 other = keccak256("others");
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) =
            certify(headerOn(other, 5), seats, 0);
        vm.expectRevert(abi.encodeWithSelector(ILightClient.StaleSeats.selector, other, seatsHash));
        send(rlp, 5, signature, bitmap);
    }

    function test_headerThatIsNoHeaderIsRefused(uint256 cut) public {
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) =
            certify(headerOn(seatsHash, 5), seats, 0);
        bytes memory longer = bytes.concat(rlp, hex"00");
        vm.expectRevert(HeaderCodec.MalformedHeader.selector);
        send(longer, 5, signature, bitmap);
        bytes memory shorter = new bytes(cut % rlp.length);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = rlp[i];
        }
        vm.expectRevert(HeaderCodec.MalformedHeader.selector);
        send(shorter, 5, signature, bitmap);
        vm.expectRevert(HeaderCodec.MalformedHeader.selector);
        client.isFinal(shorter);
    }

    function test_rightHashUnderAWrongHeightIsNotFinal() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        push(header, 0);
        header.height = 6;
        assertTrue(!client.isFinal(encode(header)), "other height");
    }

    function test_sameHeaderIsNotStoredTwice() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        push(header, 0);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 1);
        vm.expectRevert(abi.encodeWithSelector(ILightClient.AlreadyStored.selector, 5, keccak256(rlp)));
        send(rlp, 5, signature, bitmap);
    }

    function test_twoCertifiedHeadersOfOneHeightStopTheClient() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        push(header, 0);
        bytes memory first = encode(header);
        header.stateRoot = keccak256("fork");
        header.view_ = 6;
        push(header, 1);
        assertTrue(!client.isFinal(first), "nothing is final on a fork");
        assertTrue(stored(5) == keccak256(first), "the first stays");
        TestHeader memory next = headerOn(seatsHash, 7);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(next, seats, 0);
        vm.expectRevert(ILightClient.ClientStopped.selector);
        send(rlp, 7, signature, bitmap);
    }

    function test_olderHeaderOfThePresentSeatsIsStoredOnDemand() public {
        push(headerOn(seatsHash, 50), 0);
        push(headerOn(seatsHash, 20), 0);
        assertTrue(stored(20) != 0 && stored(50) != 0, "both");
    }

    function test_seatsAreNotBelievedAfterTheTrustPeriod() public {
        vm.warp(START + TRUST);
        push(headerOn(seatsHash, 5), 0);
        vm.warp(START + 2 * TRUST + 1);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) =
            certify(headerOn(seatsHash, 6), seats, 0);
        vm.expectPartialRevert(ILightClient.TrustExpired.selector);
        send(rlp, 6, signature, bitmap);
    }

    function test_timeFromTheFutureProlongsNoTrust() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        header.timestampMs += 1000 * uint64(10 * TRUST);
        vm.warp(START + 5000);
        push(header, 0);
        (, uint64 time,,) = client.renewal();
        assertEq(time, START + 5000, "time");
    }

    function test_termsWithTheSameSeatsAreSkipped() public {
        TestHeader memory header = headerOn(seatsHash, 5);
        header.term = 9;
        push(header, 0);
        assertTrue(stored(5) != 0, "stored");
    }

    // --- change of seats ---

    function changed() private returns (TestSeat[] memory next) {
        // Two leave, three join.
        TestSeat[] memory joined = addKeys(registry, owner, operator, 100, 3);
        next = new TestSeat[](8);
        for (uint256 i = 0; i < 5; ++i) {
            next[i] = seats[i + 2];
        }
        for (uint256 i = 0; i < 3; ++i) {
            next[5 + i] = joined[i];
        }
        next = sorted(next);
    }

    function adopt(TestSeat[] memory next) private {
        delete seats;
        for (uint256 i = 0; i < next.length; ++i) {
            seats.push(next[i]);
        }
        seatsHash = seatsHashOf(seats);
    }

    function boundary(TestSeat[] memory next, uint64 height) private view returns (TestHeader memory header) {
        header = headerOn(seatsHash, height);
        header.nextSeatsHash = seatsHashOf(next);
    }

    function test_seatsOfTheNextTermTakeOver() public {
        TestSeat[] memory next = changed();
        pushSeats(boundary(next, 5), 1, next);
        TestHeader memory late = headerOn(seatsHash, 6);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(late, seats, 0);
        bytes32 old = seatsHash;
        adopt(next);
        vm.expectRevert(abi.encodeWithSelector(ILightClient.StaleSeats.selector, old, seatsHash));
        send(rlp, 6, signature, bitmap);
        TestHeader memory header = headerOn(seatsHash, 6);
        header.term = 1;
        push(header, 2);
        assertTrue(stored(6) != 0, "stored");
        // And once more, back again.
        TestSeat[] memory again = changed2();
        header = boundary(again, 7);
        header.term = 1;
        pushSeats(header, 0, again);
        adopt(again);
        header = headerOn(seatsHash, 8);
        header.term = 2;
        push(header, 1);
        assertTrue(stored(8) != 0, "stored");
    }

    function changed2() private returns (TestSeat[] memory next) {
        TestSeat[] memory joined = addKeys(registry, owner, operator, 200, 2);
        next = join2(joined, seats);
        next[3] = next[9];
        assembly {
            mstore(next, 9)
        }
        next = sorted(next);
    }

    function test_sumDerivedFromTheOneBeforeIsTheSumOfAll(uint256 seed) public {
        TestSeat[] memory pool = join2(seats, addKeys(registry, owner, operator, 300, 6));
        for (uint256 round = 0; round < 2; ++round) {
            seed = uint256(keccak256(abi.encode(seed)));
            TestSeat[] memory next = new TestSeat[](13);
            uint256 count;
            for (uint256 i = 0; i < 13; ++i) {
                if ((seed >> i) & 1 == 1 || i < 4) next[count++] = pool[(i + seed) % 13];
            }
            assembly {
                mstore(next, count)
            }
            next = sorted(next);
            if (seatsHashOf(next) == seatsHash) return;
            TestHeader memory header = boundary(next, uint64(5 + 2 * round));
            header.term = uint64(round);
            pushSeats(header, 0, next);
            adopt(next);
            header = headerOn(seatsHash, uint64(6 + 2 * round));
            header.term = uint64(round + 1);
            push(header, (count - 1) / 3);
        }
    }

    function test_certificateOfATermBeforeTheSeatsSatIsRefused() public {
        TestSeat[] memory next = changed();
        TestHeader memory header = boundary(next, 5);
        header.term = 3;
        pushSeats(header, 1, next);
        adopt(next);
        header = headerOn(seatsHash, 6);
        header.term = 3;
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 0);
        vm.expectRevert(abi.encodeWithSelector(ILightClient.WrongTerm.selector, 3, 4));
        send(rlp, 6, signature, bitmap);
    }

    function test_changeOfSeatsWithoutTheSeatsIsRefused() public {
        TestSeat[] memory next = changed();
        TestHeader memory header = boundary(next, 5);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 0);
        vm.expectRevert(abi.encodeWithSelector(ILightClient.SeatsMissing.selector, header.nextSeatsHash));
        send(rlp, 5, signature, bitmap);
    }

    function refuseSeats(TestHeader memory header, SeatList memory list, bytes4 why) private {
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, 0);
        vm.expectPartialRevert(why);
        client.updateWithSeats(rlp, View.wrap(5), View.wrap(4), signature, bitmap, list);
    }

    function test_seatsThatTheHeaderDoesNotNameAreRefused() public {
        TestSeat[] memory next = changed();
        TestHeader memory header = boundary(next, 5);
        SeatList memory list = listOf(next);
        // Another order.
        (list.entries[0], list.entries[1], list.entries[2], list.entries[3]) =
        (list.entries[2], list.entries[3], list.entries[0], list.entries[1]);
        refuseSeats(header, list, SeatTable.WrongSeats.selector);
        // The present ones.
        refuseSeats(header, listOf(seats), SeatTable.WrongSeats.selector);
        // One twice.
        list = listOf(next);
        list.entries[0] = list.entries[2];
        list.entries[1] = list.entries[3];
        refuseSeats(header, list, SeatTable.WrongSeats.selector);
        // A page that is not listed, a place that is empty, a page that does not exist.
        list = listOf(next);
        list.entries[0] = 0xff;
        refuseSeats(header, list, SeatPages.NoEntry.selector);
        list = listOf(next);
        list.entries[1] = 0x60;
        refuseSeats(header, list, SeatPages.NoEntry.selector);
        list = listOf(next);
        list.pages[3] = 0x09;
        refuseSeats(header, list, SeatPages.NoEntry.selector);
        list.pages = hex"000000";
        refuseSeats(header, list, SeatPages.MalformedList.selector);
    }

    function test_seatsWithAHeaderThatDoesNotChangeThemAreRefused() public {
        refuseSeats(headerOn(seatsHash, 5), listOf(seats), ILightClient.SeatsUnchanged.selector);
    }

    function test_clientStartsOnceFromItsAnchorOnly() public {
        bytes memory anchor = encode(headerOn(seatsHash, 3));
        SeatList memory list = listOf(seats);
        vm.expectRevert(ILightClient.AlreadyStarted.selector);
        client.start(anchor, list);
        LightClient other =
            new LightClient(address(registry), CHAIN, TRUST * 1000, HeaderHash.wrap(keccak256(anchor)));
        bytes memory wrong = encode(headerOn(seatsHash, 4));
        vm.expectPartialRevert(ILightClient.WrongAnchor.selector);
        other.start(wrong, list);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) =
            certify(headerOn(seatsHash, 5), seats, 0);
        vm.expectRevert(ILightClient.NotStarted.selector);
        other.update(rlp, View.wrap(5), View.wrap(4), signature, bitmap);
        other.start(anchor, list);
        other.update(rlp, View.wrap(5), View.wrap(4), signature, bitmap);
    }
}
