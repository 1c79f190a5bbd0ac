// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice A set of operators that a service names and slashes together.
struct OperatorSet {
    address avs;
    uint32 id;
}

/// @title What is used of EigenLayer's `AllocationManager`, with the slashing release
interface IAllocationManager {
    struct SlashingParams {
        address operator;
        uint32 operatorSetId;
        address[] strategies;
        uint256[] wadsToSlash;
        string description;
    }

    struct CreateSetParams {
        uint32 operatorSetId;
        address[] strategies;
    }

    /// @notice Blocks for which stake stays slashable after an operator takes it away from a set.
    function DEALLOCATION_DELAY() external view returns (uint32);

    /// @notice Makes the caller known as a service.
    function updateAVSMetadataURI(address avs, string calldata metadataURI) external;

    function createOperatorSets(address avs, CreateSetParams[] calldata params) external;

    /// @notice Stake of each operator and strategy that will still be slashable at a block.
    function getMinimumSlashableStake(
        OperatorSet calldata operatorSet,
        address[] calldata operators,
        address[] calldata strategies,
        uint32 futureBlock
    ) external view returns (uint256[][] memory);

    /// @notice Takes parts of 10^18 of what an operator has allocated to a set. Called by the service.
    function slashOperator(address avs, SlashingParams calldata params)
        external
        returns (uint256 slashId, uint256[] memory shares);
}

/// @title What EigenLayer calls on a service when operators come and go
interface IAVSRegistrar {
    function registerOperator(
        address operator,
        address avs,
        uint32[] calldata operatorSetIds,
        bytes calldata data
    ) external;

    function deregisterOperator(address operator, address avs, uint32[] calldata operatorSetIds) external;

    function supportsAVS(address avs) external view returns (bool);
}
