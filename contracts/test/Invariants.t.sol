// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {Slasher} from "../src/Slasher.sol";
import {
    IRegistry,
    KeyRegistration,
    KeyState,
    Settlement,
    Stakes,
    Weight
} from "../src/interfaces/IRegistry.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {Epoch, G1Point, Gwei, HeaderHash, OperatorId, SeatsHash, Term, View} from "../src/types/Types.sol";

/// @dev What anybody may do to registry and slasher, in any order. Amounts and times are cut to what has an effect.
/// The first operator is honest: it votes once a view, and everything else is tried with its votes.
contract Anybody is Base {
    Registry public registry;
    Slasher public slasher;
    uint256 private constant OPERATORS = 3;
    uint256 private constant KEYS = 2;
    /// @dev Keys that may still join.
    uint256 private constant MORE = 6;

    TestSeat[] private seats;
    KeyRegistration[] private more;
    /// @dev Whose a key is that joined later, by number of the operator.
    mapping(uint256 seat => uint256) private owners;
    SeatsHash[] private settled;
    /// @dev When an operator's stake last counted, by the calls that were made.
    mapping(uint256 operator => uint256) private lastCounted;
    /// @dev What was confiscated for a key, by what the slasher returned.
    mapping(uint256 seat => uint256) private taken;
    uint256 private settledAt = type(uint256).max;
    /// @dev What must never happen, by name; empty as long as it did not.
    string public broken;

    constructor(Registry registry_, Slasher slasher_) {
        (registry, slasher) = (registry_, slasher_);
        for (uint256 i = 0; i < OPERATORS; ++i) {
            (, TestSeat[] memory made) = join(registry, owner(i), 64 + 32 * i, KEYS * i, KEYS);
            for (uint256 j = 0; j < KEYS; ++j) {
                seats.push(made[j]);
            }
        }
        for (uint256 i = 0; i < MORE; ++i) {
            more.push(registration(registry, owner(KEYS * OPERATORS + i), 100 + i));
        }
        vm.warp(block.timestamp + EPOCH);
        settle();
    }

    // --- stake ---

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
            broken = "stake left before evidence could be brought";
        }
    }

    function wait(uint32 time) external {
        vm.warp(block.timestamp + uint256(time) % (UNBONDING / 2));
    }

    /// @dev The next epoch, so that something can be settled.
    function waitForEpoch() external {
        vm.warp(registry.epochStart(registry.currentEpoch()) + EPOCH);
    }

    // --- keys ---

    function retire(uint256 number) external {
        uint256 seat = number % seats.length;
        (uint256 page, uint256 place) = placeOf(seat);
        vm.prank(owner(owned(seat)));
        registry.retireKey(id(owned(seat)), page, place);
    }

    function registerKey() external {
        if (more.length == 0) return;
        KeyRegistration[] memory keys = new KeyRegistration[](1);
        keys[0] = more[more.length - 1];
        uint256 number = 100 + more.length - 1;
        uint256 seat = seats.length;
        // In order, so that the owner is the one the possession was proved for.
        uint256 by = KEYS * OPERATORS + more.length - 1;
        TestSeat memory made = TestSeat(
            secretOf(number),
            keys[0].identity,
            bytes32(uint256(registry.pageCount() + 1) << 8),
            "",
            registry.keyCount()
        );
        vm.prank(owner(by));
        registry.registerKeys(id(by), keys);
        more.pop();
        seats.push(made);
        owners[seat] = by;
    }

    // --- seats ---

    function settle() public {
        uint256 epoch = now_();
        if (settledAt == epoch) {
            // Once an epoch; whatever is shown is refused before it is looked at.
            try registry.settle(listOf(new TestSeat[](0)), Gwei.wrap(1)) {
                broken = "settled twice";
            } catch {}
            return;
        }
        (Gwei price, uint256[] memory shares) = registry.allocation();
        checkShares(price, shares);
        TestSeat[] memory chosen = new TestSeat[](seats.length);
        uint256 count;
        for (uint256 i = 0; i < seats.length; ++i) {
            if (!active(keyOf(i), epoch) || shares[owned(i)] == 0) continue;
            --shares[owned(i)];
            chosen[count++] = seats[i];
        }
        if (count < 4) return;
        assembly {
            mstore(chosen, count)
        }
        registry.settle(listOf(sorted(chosen)), price);
        settledAt = epoch;
        settled.push(registry.latest());
        Settlement memory made = registry.settlement(registry.latest());
        if (made.seats != count || made.price < price) broken = "settled something else";
    }

    /// @dev The rule (R3) as it is told: one seat after the other to the highest quotient.
    function checkShares(Gwei price, uint256[] memory shares) private {
        uint256[OPERATORS] memory got;
        uint256 last;
        for (uint256 n = 0; n < 128; ++n) {
            uint256 best;
            uint256 winner;
            for (uint256 i = 0; i < OPERATORS; ++i) {
                Weight memory weight = registry.weightOf(id(i));
                uint256 quotient = got[i] < weight.keys ? Gwei.unwrap(weight.stake) / (got[i] + 1) : 0;
                if (quotient > best) (best, winner) = (quotient, i);
            }
            if (best < Gwei.unwrap(MIN_SEAT)) break;
            ++got[winner];
            last = best;
        }
        for (uint256 i = 0; i < OPERATORS; ++i) {
            if (got[i] != shares[i]) broken = "seats are not the divisor rule's";
        }
        if (last != Gwei.unwrap(price)) broken = "the price is not the last quotient";
    }

    // --- evidence ---

    /// @dev Two votes in one view by a seat that equivocates, reported by somebody or by its owner.
    function slash(uint256 number, uint256 set, bool self) external {
        uint256 seat = number % seats.length;
        if (owned(seat) == 0) return;
        SeatsHash hash = settled[set % settled.length];
        KeyState memory key = keyOf(seat);
        // Most of what is slashed already is not tried again: it is refused for ever, and signing costs time.
        if (registry.settlement(hash).price <= key.taken && number % 16 != 0) return;
        (Vote memory a, Vote memory b) = (nullify(7), finalize_(7, set));
        G1Point memory signature = sumOf(seats[seat].secret, hash, a, b);
        address reporter = self ? owner(owned(seat)) : address(0xe4e);
        uint256 before = wealth(seat, reporter);
        (uint256 page, uint256 place) = placeOf(seat);
        vm.prank(reporter);
        Gwei got = slasher.slash(uint32(page), uint8(place), hash, a, b, signature);
        settledAt = type(uint256).max;
        taken[seat] += Gwei.unwrap(got);
        if (self && Gwei.unwrap(got) > 0 && wealth(seat, reporter) >= before) broken = "self-report pays";
        if (registry.settlement(hash).price <= key.taken) broken = "slashed twice";
    }

    /// @dev Everything that can be tried with what an honest seat signed: one notarize and finalize in one view, one
    /// nullify in another, and the signatures of others.
    function accuseTheHonest(uint256 number, uint256 set, uint256 way) external {
        uint256 seat = number % KEYS;
        SeatsHash hash = settled[set % settled.length];
        Vote memory notarize = Vote(VoteKind.Notarize, Term.wrap(0), View.wrap(7), View.wrap(6), payload(set));
        Vote[3] memory firsts = [notarize, finalize_(7, set), nullify(8)];
        Vote[3] memory others = [finalize_(7, set + 1), nullify(7), notarize];
        (Vote memory a, Vote memory b) = (firsts[way % 3], others[way / 3 % 3]);
        // Most is refused for what the votes say; the rest for what was not signed.
        bool signs = slasher.conflicting(a, b) && way % 8 == 0;
        G1Point memory signature;
        if (signs) signature = sumOf(seats[KEYS].secret, hash, a, b);
        else signature.xLow = bytes32(way);
        (uint256 page, uint256 place) = placeOf(seat);
        try slasher.slash{gas: 1_000_000}(uint32(page), uint8(place), hash, a, b, signature) {
            broken = "an honest seat was slashed";
        } catch {}
    }

    // --- what must hold ---

    function check() external view {
        uint256 sum;
        for (uint256 i = 0; i < OPERATORS; ++i) {
            Stakes memory stakes = registry.stakesOf(id(i));
            Weight memory weight = registry.weightOf(id(i));
            sum += Gwei.unwrap(stakes.bonded) + Gwei.unwrap(stakes.unbonding);
            assertEq(Gwei.unwrap(weight.nextStake), Gwei.unwrap(stakes.bonded), "what counts next is bonded");
            assertTrue(weight.stake <= stakes.bonded + stakes.unbonding, "what counts can be confiscated");
        }
        assertEq(address(registry).balance, sum * 1e9, "the balance is the sum of stakes");
        assertEq(Gwei.unwrap(keyOf(0).taken) + Gwei.unwrap(keyOf(1).taken), 0, "the honest lost nothing");
        assertTrue(bytes(broken).length == 0, broken);
    }

    /// @dev Nothing is taken for a key beyond what its dearest seat had at risk. At the end of a run.
    function checkTaken() external view {
        for (uint256 i = 0; i < seats.length; ++i) {
            assertTrue(taken[i] <= Gwei.unwrap(keyOf(i).taken), "a key lost more than its seat");
        }
    }

    // --- how ---

    function owned(uint256 seat) private view returns (uint256) {
        return (seat < KEYS * OPERATORS ? seat / KEYS : owners[seat]) % OPERATORS;
    }

    function owner(uint256 number) private pure returns (address) {
        return address(uint160(0xa000 + number % OPERATORS));
    }

    function id(uint256 number) private pure returns (OperatorId) {
        return OperatorId.wrap(uint32(number % OPERATORS + 1));
    }

    function placeOf(uint256 seat) private view returns (uint256 page, uint256 place) {
        return (uint256(seats[seat].page) >> 8, uint256(seats[seat].page) & 0xff);
    }

    function keyOf(uint256 seat) private view returns (KeyState memory) {
        (uint256 page, uint256 place) = placeOf(seat);
        return registry.keyAt(page, place);
    }

    function now_() private view returns (uint256) {
        return (block.timestamp - registry.GENESIS()) / EPOCH;
    }

    function active(KeyState memory key, uint256 epoch) private pure returns (bool) {
        return Epoch.unwrap(key.from) <= epoch && epoch < Epoch.unwrap(key.until);
    }

    function wealth(uint256 seat, address reporter) private view returns (uint256) {
        Stakes memory stakes = registry.stakesOf(id(owned(seat)));
        return
            (uint256(Gwei.unwrap(stakes.bonded)) + Gwei.unwrap(stakes.unbonding)) * 1e9
                + slasher.owed(reporter);
    }

    function payload(uint256 set) private pure returns (HeaderHash) {
        return HeaderHash.wrap(bytes32(set));
    }

    function finalize_(uint64 view_, uint256 set) private pure returns (Vote memory) {
        return Vote(VoteKind.Finalize, Term.wrap(0), View.wrap(view_), View.wrap(view_ - 1), payload(set));
    }

    function nullify(uint64 view_) private pure returns (Vote memory) {
        return Vote(VoteKind.Nullify, Term.wrap(0), View.wrap(view_), View.wrap(0), HeaderHash.wrap(0));
    }

    function sumOf(uint256 secret, SeatsHash hash, Vote memory a, Vote memory b)
        private
        view
        returns (G1Point memory)
    {
        bytes memory first = abi.encode(sign(secret, Votes.message(CHAIN, hash, a)));
        bytes memory second = abi.encode(sign(secret, Votes.message(CHAIN, hash, b)));
        (bool ok, bytes memory sum) = address(0x0b).staticcall(bytes.concat(first, second));
        assertTrue(ok, "sum");
        return abi.decode(sum, (G1Point));
    }
}

contract RegistryInvariantTest is Base {
    Anybody private anybody;

    function setUp() public {
        vm.warp(START);
        address next =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(2))))));
        Registry registry = new Registry(config(next, address(0)));
        Slasher slasher = new Slasher(IRegistry(address(registry)), 1 ether);
        anybody = new Anybody(registry, slasher);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(anybody);
    }

    /// @dev One test for everything, as each would play all the calls again.
    /// forge-config: default.invariant.runs = 1600
    /// forge-config: default.invariant.depth = 256
    function invariant_stakeSeatsAndEvidence() external view {
        anybody.check();
    }

    function afterInvariant() external view {
        anybody.checkTaken();
    }
}
