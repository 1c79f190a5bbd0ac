// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {LightClientBase} from "./LightClientBase.sol";
import {G1Point, HeaderHash, Height, View} from "../src/types/Types.sol";

/// @dev What a relayer, a liar and time may do to a light client, in any order.
contract Relayer is LightClientBase {
    uint64 private constant HEIGHTS = 64;
    /// @dev The hash that was stored first at a height.
    mapping(uint64 height => bytes32) private stored;
    uint64[] private heights;
    uint64 private term;
    uint64 private newest;
    bool private forked;
    TestSeat[] private other;
    bytes32 private otherHash;
    string public broken;

    constructor() {
        begin(4);
        TestSeat[] memory pool = addKeys(registry, owner, operator, 50, 1);
        // One seat gives way to another.
        pool = join2(pool, seats);
        TestSeat[] memory next = new TestSeat[](4);
        for (uint256 i = 0; i < 4; ++i) {
            next[i] = pool[i];
        }
        next = sorted(next);
        for (uint256 i = 0; i < 4; ++i) {
            other.push(next[i]);
        }
        otherHash = seatsHashOf(other);
        vm.warp(START + 600);
        stored[0] = HeaderHash.unwrap(client.headerAt(Height.wrap(0)));
        heights.push(0);
    }

    /// @dev A header that a quorum certified.
    function finalise(uint64 height, bool oneAbsent) external {
        if (forked) return;
        TestHeader memory header = headerAt(height % HEIGHTS + 1);
        if (stored[header.height] != 0) return refuse(header, seats, oneAbsent ? 1 : 0, "stored twice");
        push(header, oneAbsent ? 1 : 0);
        note(header);
    }

    /// @dev Another seat set takes over, and the other way round.
    function changeSeats(uint64 more) external {
        if (forked) return;
        TestHeader memory header = headerAt(newest + 1 + more % 3);
        if (stored[header.height] != 0) return;
        header.nextSeatsHash = otherHash;
        TestSeat[] memory next = other;
        pushSeats(header, 0, next);
        note(header);
        ++term;
        for (uint256 i = 0; i < 4; ++i) {
            TestSeat memory leaves = seats[i];
            seats[i] = other[i];
            other[i] = leaves;
        }
        (seatsHash, otherHash) = (otherHash, seatsHash);
    }

    /// @dev Two certified headers for one height, rarely: nothing can follow.
    function fork(uint64 number, uint16 luck) external {
        if (forked || luck % 64 != 0) return;
        uint64 height = heights[number % heights.length];
        if (height == 0) return;
        TestHeader memory header = headerAt(height);
        header.stateRoot = keccak256("fork");
        push(header, 0);
        forked = true;
    }

    // --- what is refused, without a signature that would have to be made ---

    function belowQuorum(uint64 height, uint8 absent) external {
        refuse(headerAt(height % HEIGHTS + 1), seats, 2 + absent % 3, "below quorum");
    }

    function staleSeats(uint64 height) external {
        TestHeader memory header = headerAt(height % HEIGHTS + 1);
        header.seatsHash = otherHash;
        refuse(header, other, 0, "stale seats");
    }

    function earlierTerm(uint64 height) external {
        if (term == 0) return;
        TestHeader memory header = headerAt(height % HEIGHTS + 1);
        header.term = term - 1;
        refuse(header, seats, 0, "an earlier term");
    }

    function otherChain(uint64 height, uint64 chain) external {
        TestHeader memory header = headerAt(height % HEIGHTS + 1);
        header.chainId = chain == CHAIN ? chain + 1 : chain;
        refuse(header, seats, 0, "another chain");
    }

    function anyBytes(bytes calldata rlp, bytes calldata bitmap, G1Point calldata signature) external {
        try client.update{gas: 400_000}(rlp, View.wrap(1), View.wrap(0), signature, bitmap) {
            broken = "any bytes";
        } catch {}
    }

    function startAgain() external {
        try client.start("", listOf(new TestSeat[](0))) {
            broken = "started again";
        } catch {}
    }

    function wait(uint32 time) external {
        // Within trust for the most part; when it ends, nothing more is stored.
        vm.warp(block.timestamp + uint256(time) % (TRUST / 16));
    }

    // --- what must hold ---

    function check() external view {
        (Height height, uint64 time,, bool stopped) = client.renewal();
        assertTrue(stopped == forked, "stops when it must, and for good");
        assertTrue(Height.unwrap(height) <= newest, "height of a stored header");
        assertTrue(time <= block.timestamp, "no trust from the future");
        // One header at each height, and it stays: the first, the last, and one between.
        same(heights[0]);
        same(heights[heights.length - 1]);
        same(heights[block.timestamp % heights.length]);
        assertTrue(bytes(broken).length == 0, broken);
    }

    // --- how ---

    function headerAt(uint64 height) private view returns (TestHeader memory header) {
        header = headerOn(seatsHash, height);
        header.term = term;
    }

    function note(TestHeader memory header) private {
        stored[header.height] = keccak256(encode(header));
        heights.push(header.height);
        if (header.height > newest) newest = header.height;
    }

    function same(uint64 height) private view {
        assertTrue(HeaderHash.unwrap(client.headerAt(Height.wrap(height))) == stored[height], "one header");
    }

    /// @dev The signature is none; what is claimed decides before it is looked at.
    function refuse(TestHeader memory header, TestSeat[] memory by, uint256 absent, string memory why)
        private
    {
        G1Point memory signature;
        signature.xLow = bytes32(uint256(1));
        bytes memory rlp = encode(header);
        bytes memory bitmap = bitmapOf(by.length, absent);
        try client.update{gas: 400_000}(
            rlp, View.wrap(header.view_), View.wrap(header.view_ - 1), signature, bitmap
        ) {
            broken = why;
        } catch {}
    }
}

contract LightClientInvariantTest is Base {
    Relayer private relayer;

    function setUp() public {
        relayer = new Relayer();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(relayer);
    }

    /// forge-config: default.invariant.runs = 800
    /// forge-config: default.invariant.depth = 128
    function invariant_oneChainOfHeaders() external view {
        relayer.check();
    }
}
