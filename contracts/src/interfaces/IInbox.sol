// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The queue of L1→L2 calls of one rollup (R12, R13, R23)
/// @notice The rollup imports what is queued here in order, from the event alone. The entry of a call is
/// `gas (8 bytes, big endian) ‖ payload`; the payload of a deposit is `address (20) ‖ wei (32)`.
interface IInbox {
    /// @notice A call was queued.
    /// @param index Its place in the queue, from 0.
    /// @param gas What it is granted on L2; counts against the rollup's import limit.
    /// @param payload What the rollup does with it.
    /// @param accumulator The accumulator after it.
    event Queued(uint256 indexed index, uint64 gas, bytes payload, bytes32 accumulator);

    /// @notice A deposit of nothing.
    error ZeroValue();
    /// @notice A deposit to nobody.
    error ZeroAddress();

    /// @notice The rollup, by its namespace.
    function NAMESPACE() external view returns (uint64);
    /// @notice Gas that a deposit is granted on L2.
    function DEPOSIT_GAS() external view returns (uint64);

    /// @notice Commits to the whole queue: keccak256(accumulator ‖ keccak256(entry)) for each call, from zero.
    function accumulator() external view returns (bytes32);
    /// @notice How many calls were queued.
    function count() external view returns (uint256);

    /// @notice Queues the ether that comes with the call for `to` on the rollup.
    /// @return index Its place in the queue.
    function deposit(address to) external payable returns (uint256 index);
}
