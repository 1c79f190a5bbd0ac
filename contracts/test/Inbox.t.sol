// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";
import {Inbox} from "../src/Inbox.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";

/// @dev What depositors may do to an inbox, in any order. It keeps the entries of what was queued.
contract Depositors is Base {
    Inbox public inbox = new Inbox(9010);
    /// @dev Entries, and what was paid for them.
    bytes[] public entries;
    uint256 public paid;
    string public broken;

    constructor() {
        vm.deal(address(this), type(uint256).max / 2);
    }

    function deposit(address to, uint128 value) external {
        if (to == address(0) || value == 0) return;
        vm.recordLogs();
        uint256 index = inbox.deposit{value: value}(to);
        paid += value;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes memory payload = abi.encodePacked(to, uint256(value));
        entries.push(abi.encodePacked(inbox.DEPOSIT_GAS(), payload));
        if (index + 1 != entries.length) broken = "index is not contiguous";
        if (logs.length != 1) broken = "one event";
        bytes memory want = abi.encode(inbox.DEPOSIT_GAS(), payload, inbox.accumulator());
        if (keccak256(logs[0].data) != keccak256(want)) broken = "event does not say what was queued";
        if (uint256(logs[0].topics[1]) != index) broken = "event has another index";
    }

    function nothing(address to) external {
        try inbox.deposit{value: 0}(to) {
            broken = "zero value";
        } catch {}
    }

    function nobody(uint128 value) external {
        try inbox.deposit{value: value}(address(0)) {
            broken = "zero address";
        } catch {}
    }

    function send(uint128 value, bytes calldata data) external {
        if (bytes4(data) == IInbox.deposit.selector) return;
        (bool ok,) = address(inbox).call{value: uint256(value) + 1}(data);
        if (ok) broken = "ether that queues nothing";
    }

    // --- what must hold ---

    function check() external view {
        assertTrue(bytes(broken).length == 0, broken);
        assertEq(inbox.count(), entries.length, "count");
        assertEq(address(inbox).balance, paid, "balance is what was paid");
        bytes32 accumulator;
        uint256 sum;
        for (uint256 i = 0; i < entries.length; ++i) {
            accumulator = keccak256(abi.encodePacked(accumulator, keccak256(entries[i])));
            sum += weiOf(entries[i]);
        }
        assertTrue(inbox.accumulator() == accumulator, "accumulator follows from the entries");
        assertEq(address(inbox).balance, sum, "balance is the sum of the payloads");
    }

    /// @dev The last word of a deposit's entry.
    function weiOf(bytes memory entry) private pure returns (uint256 value) {
        assertEq(entry.length, 8 + 20 + 32, "entry of a deposit");
        assembly {
            value := mload(add(entry, 60))
        }
    }
}

contract InboxInvariantTest is Base {
    Depositors private depositors;

    function setUp() public {
        depositors = new Depositors();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(depositors);
    }

    /// forge-config: default.invariant.runs = 64
    /// forge-config: default.invariant.depth = 128
    function invariant_queueIsWhatWasPaidFor() external view {
        depositors.check();
    }
}

contract InboxTest is Base {
    Inbox private inbox = new Inbox(9010);
    address private alice = address(0xa1);

    function test_inboxNamesItsRollup() public view {
        assertEq(inbox.NAMESPACE(), 9010, "namespace");
        assertEq(inbox.count(), 0, "nothing is queued");
        assertTrue(inbox.accumulator() == 0, "from zero");
    }

    function test_depositIsQueuedAndKept(address to, uint128 value) public {
        vm.assume(to != address(0) && value > 0);
        vm.deal(address(this), value);
        vm.recordLogs();
        assertEq(inbox.deposit{value: value}(to), 0, "index");
        Vm.Log memory log = vm.getRecordedLogs()[0];
        bytes memory payload = abi.encodePacked(to, uint256(value));
        bytes32 accumulator =
            keccak256(abi.encodePacked(bytes32(0), keccak256(abi.encodePacked(uint64(21_000), payload))));
        assertTrue(log.topics[0] == keccak256("Queued(uint256,uint64,bytes,bytes32)"), "event");
        assertTrue(log.topics[1] == 0, "index");
        assertTrue(
            keccak256(log.data) == keccak256(abi.encode(uint64(21_000), payload, accumulator)), "what it says"
        );
        assertTrue(inbox.accumulator() == accumulator, "accumulator");
        assertEq(address(inbox).balance, value, "ether stays");
    }

    function test_depositOfNothingOrToNobodyIsRefused() public {
        vm.deal(address(this), 2 ether);
        vm.expectRevert(IInbox.ZeroValue.selector);
        inbox.deposit(alice);
        vm.expectRevert(IInbox.ZeroAddress.selector);
        inbox.deposit{value: 1 ether}(address(0));
        assertEq(inbox.count(), 0, "nothing is queued");
    }

    function test_etherThatQueuesNothingIsRefused() public {
        vm.deal(address(this), 2 ether);
        (bool ok,) = address(inbox).call{value: 1 ether}("");
        assertTrue(!ok, "plain transfer");
        (ok,) = address(inbox).call{value: 1 ether}(abi.encodeCall(IInbox.count, ()));
        assertTrue(!ok, "a call that is no deposit");
    }

    function test_sameDepositTwiceIsTwoEntries() public {
        vm.deal(address(this), 2 ether);
        inbox.deposit{value: 1 ether}(alice);
        bytes32 first = inbox.accumulator();
        assertEq(inbox.deposit{value: 1 ether}(alice), 1, "index");
        assertTrue(inbox.accumulator() != first, "accumulator");
        assertEq(inbox.count(), 2, "both count");
    }

    /// forge-config: default.isolate = true
    function test_gas_deposit() public {
        vm.deal(address(this), 2 ether);
        inbox.deposit{value: 1 ether}(alice);
        vm.snapshotGasLastCall("deposit, the first");
        inbox.deposit{value: 1 ether}(alice);
        uint256 used = vm.snapshotGasLastCall("deposit");
        assertTrue(used <= 40_000, "a deposit costs less than two transfers");
    }
}
