// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {Slasher} from "../src/Slasher.sol";
import {IRegistry, KeyState, Stakes, Weight} from "../src/interfaces/IRegistry.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {G1Point, Gwei, HeaderHash, OperatorId, SeatsHash, Term, View} from "../src/types/Types.sol";

/// @dev What anybody may do to registry and slasher, in any order. Amounts and times are cut to what has an effect.
contract Anybody is Base {
    Registry public registry;
    Slasher public slasher;
    uint256 private constant OPERATORS = 3;
    uint256 private constant KEYS = 2;
    TestSeat[] private seats;
    SeatsHash[] private settled;
    /// @dev When an operator's stake last counted, by the calls that were made.
    mapping(uint256 operator => uint256) public lastCounted;
    bool public leftEarly;

    constructor(Registry registry_, Slasher slasher_) {
        (registry, slasher) = (registry_, slasher_);
        for (uint256 i = 0; i < OPERATORS; ++i) {
            (, TestSeat[] memory made) = join(registry, owner(i), 64 + 32 * i, KEYS * i, KEYS);
            for (uint256 j = 0; j < KEYS; ++j) {
                seats.push(made[j]);
            }
        }
        vm.warp(block.timestamp + EPOCH);
        settle();
    }

    function owner(uint256 operator) private pure returns (address) {
        return address(uint160(0xa000 + operator % OPERATORS));
    }

    function id(uint256 operator) private pure returns (OperatorId) {
        return OperatorId.wrap(uint32(operator % OPERATORS + 1));
    }

    function deposit(uint256 operator, uint64 amount) external {
        uint256 value = (uint256(amount) % 100e9 + 1) * 1e9;
        vm.deal(address(this), value);
        registry.deposit{value: value}(id(operator));
    }

    function requestExit(uint256 operator, uint64 amount) external {
        Gwei bonded = registry.stakesOf(id(operator)).bonded;
        if (Gwei.unwrap(bonded) == 0) return;
        lastCounted[operator % OPERATORS] = registry.epochStart(registry.currentEpoch()) + EPOCH;
        vm.prank(owner(operator));
        registry.requestExit(id(operator), Gwei.wrap(amount % Gwei.unwrap(bonded) + 1));
    }

    function withdraw(uint256 operator) external {
        vm.prank(owner(operator));
        registry.withdraw(id(operator), payable(owner(operator)));
        // Only reached if something left.
        if (block.timestamp < lastCounted[operator % OPERATORS] + TRUST + ANSWER + EVIDENCE) {
            leftEarly = true;
        }
    }

    function wait(uint32 time) external {
        vm.warp(block.timestamp + uint256(time) % (UNBONDING / 2));
    }

    function retire(uint256 number) external {
        uint256 place = uint256(seats[number % seats.length].page);
        vm.prank(owner(number % seats.length / KEYS));
        registry.retireKey(id(number % seats.length / KEYS), place >> 8, place & 0xff);
    }

    function settle() public {
        (Gwei price, uint256[] memory shares) = registry.allocation();
        TestSeat[] memory chosen = new TestSeat[](seats.length);
        uint256 count;
        for (uint256 i = 0; i < seats.length; ++i) {
            KeyState memory key = registry.keyAt(uint256(seats[i].page) >> 8, uint256(seats[i].page) & 0xff);
            bool active = key.from <= registry.currentEpoch() && registry.currentEpoch() < key.until;
            if (!active || shares[i / KEYS] == 0) continue;
            --shares[i / KEYS];
            chosen[count++] = seats[i];
        }
        assembly {
            mstore(chosen, count)
        }
        registry.settle(listOf(sorted(chosen)), price);
        settled.push(registry.latest());
    }

    function slash(uint256 number, uint256 set, address reporter) external {
        TestSeat memory seat = seats[number % seats.length];
        SeatsHash hash = settled[set % settled.length];
        Vote memory a = Vote(VoteKind.Nullify, Term.wrap(0), View.wrap(7), View.wrap(0), HeaderHash.wrap(0));
        Vote memory b =
            Vote(VoteKind.Finalize, Term.wrap(0), View.wrap(7), View.wrap(6), HeaderHash.wrap(bytes32(set)));
        bytes memory first = abi.encode(sign(seat.secret, Votes.message(CHAIN, hash, a)));
        bytes memory second = abi.encode(sign(seat.secret, Votes.message(CHAIN, hash, b)));
        (bool ok, bytes memory sum) = address(0x0b).staticcall(bytes.concat(first, second));
        assertTrue(ok, "sum");
        vm.prank(reporter);
        slasher.slash(
            uint32(uint256(seat.page) >> 8), uint8(uint256(seat.page)), hash, a, b, abi.decode(sum, (G1Point))
        );
    }
}

contract InvariantTest is Base {
    Registry private registry;
    Slasher private slasher;
    Anybody private anybody;

    function setUp() public {
        vm.warp(START);
        address next =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(2))))));
        registry = new Registry(config(next, address(0)));
        slasher = new Slasher(IRegistry(address(registry)), 1 ether);
        anybody = new Anybody(registry, slasher);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(anybody);
    }

    function sum() private view returns (uint256 gwei_) {
        for (uint32 i = 1; i <= registry.operatorCount(); ++i) {
            Stakes memory stakes = registry.stakesOf(OperatorId.wrap(i));
            gwei_ += Gwei.unwrap(stakes.bonded) + Gwei.unwrap(stakes.unbonding);
        }
    }

    function invariant_balanceIsTheSumOfStakes() external view {
        assertEq(address(registry).balance, sum() * 1e9, "balance");
    }

    function invariant_whatCountsIsBackedByStake() external view {
        for (uint32 i = 1; i <= registry.operatorCount(); ++i) {
            Stakes memory stakes = registry.stakesOf(OperatorId.wrap(i));
            Weight memory weight = registry.weightOf(OperatorId.wrap(i));
            assertEq(Gwei.unwrap(weight.nextStake), Gwei.unwrap(stakes.bonded), "next");
            assertTrue(weight.stake <= stakes.bonded + stakes.unbonding, "present");
        }
    }

    function invariant_nothingLeavesBeforeEvidenceCanBeBrought() external view {
        assertTrue(!anybody.leftEarly(), "left early");
    }
}
