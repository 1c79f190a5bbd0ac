// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Gwei} from "../types/Types.sol";

/// @title Stake that is held elsewhere and can be slashed by the registry
/// @notice What an adapter promises: stake that it reports stays slashable for the registry's unbonding time
/// after it stops reporting it, no one else can slash the same stake, and `slash` can only be called by the
/// registry.
interface IRestaking {
    /// @notice Stake of an operator, by the address that owns it in the registry.
    function stakeOf(address owner) external view returns (Gwei);

    /// @notice Takes up to `amount`; returns what was taken.
    function slash(address owner, Gwei amount) external returns (Gwei taken);
}
