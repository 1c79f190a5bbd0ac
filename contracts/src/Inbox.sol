// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "./interfaces/IInbox.sol";

/// @title The queue of L1→L2 calls of one rollup (R12, R13, R23)
/// @notice It takes deposits. Ether stays: there is no owner and no way out but that of the rollup's contract,
/// which is to hold this queue.
contract Inbox is IInbox {
    /// @inheritdoc IInbox
    /// @dev What the simplest transaction pays. To credit one account is cheaper, so no rollup that measures its
    /// import limit by this gas is asked to do more than it allows for.
    uint64 public constant DEPOSIT_GAS = 21_000;

    /// @inheritdoc IInbox
    uint64 public immutable NAMESPACE;

    /// @inheritdoc IInbox
    bytes32 public accumulator;
    /// @inheritdoc IInbox
    uint256 public count;

    constructor(uint64 namespace) {
        NAMESPACE = namespace;
    }

    /// @inheritdoc IInbox
    function deposit(address to) external payable returns (uint256 index) {
        require(to != address(0), ZeroAddress());
        require(msg.value > 0, ZeroValue());
        return _queue(DEPOSIT_GAS, abi.encodePacked(to, msg.value));
    }

    function _queue(uint64 gas_, bytes memory payload) private returns (uint256 index) {
        index = count;
        count = index + 1;
        bytes32 entry = keccak256(abi.encodePacked(gas_, payload));
        bytes32 next = keccak256(abi.encodePacked(accumulator, entry));
        accumulator = next;
        emit Queued(index, gas_, payload, next);
    }
}
