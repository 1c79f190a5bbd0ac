// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAVSRegistrar, IAllocationManager, OperatorSet} from "./interfaces/IEigenLayer.sol";
import {IRestaking} from "./interfaces/IRestaking.sol";
import {GWEI, Gwei} from "./types/Types.sol";

/// @title Stake restaked through EigenLayer
/// @notice This contract is the service: it has one set of operators and one strategy, whose shares are wei of
/// ether. An operator of Cortado joins the set from the address that owns it in the registry. What it allocates
/// there is allocated nowhere else, so nobody else slashes it, and it stays slashable for `DEALLOCATION_DELAY`
/// blocks after it is taken away: longer than the registry's unbonding, which is checked here.
contract EigenLayerAdapter is IRestaking, IAVSRegistrar {
    /// @notice Stake would leave before evidence can be brought.
    error DelayTooShort(uint256 delaySeconds, uint256 unbondingSeconds);
    error NotRegistry(address caller);
    error NotAllocationManager(address caller);

    /// @dev Blocks are at least this far apart.
    uint256 private constant BLOCK_SECONDS = 12;
    uint256 private constant WAD = 1e18;
    uint32 private constant SET = 0;

    address public immutable REGISTRY;
    IAllocationManager public immutable MANAGER;
    address public immutable STRATEGY;

    /// @param registry The only caller of `slash`.
    /// @param unbondingSeconds The registry's.
    constructor(
        address registry,
        uint256 unbondingSeconds,
        IAllocationManager manager,
        address strategy,
        string memory metadataURI
    ) {
        (REGISTRY, MANAGER, STRATEGY) = (registry, manager, strategy);
        uint256 delay = manager.DEALLOCATION_DELAY() * BLOCK_SECONDS;
        require(delay > unbondingSeconds, DelayTooShort(delay, unbondingSeconds));
        manager.updateAVSMetadataURI(address(this), metadataURI);
        IAllocationManager.CreateSetParams[] memory sets = new IAllocationManager.CreateSetParams[](1);
        sets[0] = IAllocationManager.CreateSetParams(SET, _one(strategy));
        manager.createOperatorSets(address(this), sets);
    }

    /// @inheritdoc IRestaking
    /// @dev What is already on its way out is not counted.
    function stakeOf(address owner) public view returns (Gwei) {
        uint32 future = uint32(block.number) + MANAGER.DEALLOCATION_DELAY();
        uint256 stake = MANAGER.getMinimumSlashableStake(
            OperatorSet(address(this), SET), _one(owner), _one(STRATEGY), future
        )[0][0];
        return Gwei.wrap(uint64(stake / GWEI));
    }

    /// @inheritdoc IRestaking
    function slash(address owner, Gwei amount) external returns (Gwei taken) {
        require(msg.sender == REGISTRY, NotRegistry(msg.sender));
        // Of what is slashable now, which may be more than what will be.
        uint256 stake = MANAGER.getMinimumSlashableStake(
            OperatorSet(address(this), SET), _one(owner), _one(STRATEGY), uint32(block.number)
        )[0][0];
        uint256 want = uint256(Gwei.unwrap(amount)) * GWEI;
        if (want > stake) want = stake;
        if (want == 0) return taken;
        uint256[] memory wads = new uint256[](1);
        wads[0] = (want * WAD + stake - 1) / stake;
        (, uint256[] memory shares) = MANAGER.slashOperator(
            address(this),
            IAllocationManager.SlashingParams(
                owner, SET, _one(STRATEGY), wads, "conflicting votes on Cortado"
            )
        );
        taken = Gwei.wrap(uint64(shares[0] / GWEI));
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev Anybody may join: what counts is what the registry takes over for its own operators.
    function registerOperator(address, address, uint32[] calldata, bytes calldata) external view {
        require(msg.sender == address(MANAGER), NotAllocationManager(msg.sender));
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev And leave: stake stays slashable for the delay.
    function deregisterOperator(address, address, uint32[] calldata) external view {
        require(msg.sender == address(MANAGER), NotAllocationManager(msg.sender));
    }

    /// @inheritdoc IAVSRegistrar
    function supportsAVS(address avs) external view returns (bool) {
        return avs == address(this);
    }

    function _one(address item) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = item;
    }
}
