// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {EigenLayerAdapter} from "../src/EigenLayerAdapter.sol";
import {Registry} from "../src/Registry.sol";
import {Slasher} from "../src/Slasher.sol";
import {IAllocationManager, OperatorSet} from "../src/interfaces/IEigenLayer.sol";
import {IRegistry, RegistryConfig} from "../src/interfaces/IRegistry.sol";
import {IRestaking} from "../src/interfaces/IRestaking.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {G1Point, Gwei, HeaderHash, OperatorId, SeatsHash, Term, View} from "../src/types/Types.sol";

/// @dev An allocation manager with one strategy: allocations, and what is on its way out.
contract Manager is IAllocationManager {
    uint32 public constant DEALLOCATION_DELAY = 100_800;
    address public avs;
    mapping(address operator => uint256) public allocated;
    mapping(address operator => uint256) public leaving;

    function allocate(address operator, uint256 amount, uint256 out) external {
        (allocated[operator], leaving[operator]) = (amount, out);
    }

    function updateAVSMetadataURI(address who, string calldata) external {
        require(who == msg.sender, "not the service");
        avs = who;
    }

    function createOperatorSets(address who, CreateSetParams[] calldata params) external view {
        require(who == avs && msg.sender == avs && params.length == 1, "not the service");
    }

    function getMinimumSlashableStake(
        OperatorSet calldata set,
        address[] calldata operators,
        address[] calldata,
        uint32 futureBlock
    ) external view returns (uint256[][] memory out) {
        require(set.avs == avs, "another service");
        out = new uint256[][](1);
        out[0] = new uint256[](1);
        bool later = futureBlock >= block.number + DEALLOCATION_DELAY;
        out[0][0] = allocated[operators[0]] - (later ? leaving[operators[0]] : 0);
    }

    function slashOperator(address who, SlashingParams calldata params)
        external
        returns (uint256, uint256[] memory shares)
    {
        require(who == avs && msg.sender == avs, "not the service");
        shares = new uint256[](1);
        shares[0] = allocated[params.operator] * params.wadsToSlash[0] / 1e18;
        allocated[params.operator] -= shares[0];
        return (1, shares);
    }
}

contract EigenLayerTest is Base {
    Manager private manager = new Manager();
    EigenLayerAdapter private adapter;
    Registry private registry;
    Slasher private slasher;
    address private alice = address(0xa1);

    function created(uint8 nonce) private view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), nonce)))));
    }

    function setUp() public {
        vm.warp(START);
        // Nonce 1 was the manager's; registry, slasher and adapter name one another.
        registry = new Registry(config(created(3), created(4)));
        slasher = new Slasher(IRegistry(address(registry)), 1 ether);
        adapter = new EigenLayerAdapter(address(registry), UNBONDING, manager, address(1), "");
        assertTrue(address(registry.RESTAKING()) == address(adapter), "adapter");
    }

    function test_restakedStakeCountsAndIsSlashedAfterTheEther() public {
        (OperatorId operator, TestSeat[] memory seats) = join(registry, alice, 32, 0, 4);
        manager.allocate(alice, 300 ether, 44 ether);
        registry.syncRestaked(operator);
        vm.warp(block.timestamp + EPOCH);
        assertEq(Gwei.unwrap(registry.weightOf(operator).stake), 288e9, "what leaves does not count");
        seats = sorted(seats);
        registry.settle(listOf(seats), Gwei.wrap(72e9));
        SeatsHash hash = registry.latest();
        Vote memory a = Vote(VoteKind.Nullify, Term.wrap(0), View.wrap(7), View.wrap(0), HeaderHash.wrap(0));
        Vote memory b = Vote(VoteKind.Finalize, Term.wrap(0), View.wrap(7), View.wrap(6), HeaderHash.wrap(0));
        bytes memory first = abi.encode(sign(secretOf(0), Votes.message(CHAIN, hash, a)));
        bytes memory second = abi.encode(sign(secretOf(0), Votes.message(CHAIN, hash, b)));
        (, bytes memory sum) = address(0x0b).staticcall(bytes.concat(first, second));
        Gwei taken = slasher.slash(1, 0, hash, a, b, abi.decode(sum, (G1Point)));
        assertEq(Gwei.unwrap(taken), 72e9, "taken");
        // The part of what is allocated is rounded up.
        assertEq((manager.allocated(alice) + 1e9 - 1) / 1e9, 260e9, "restaked");
        assertEq(slasher.owed(address(this)), 3.2 ether, "reward, of the ether");
        assertEq(Gwei.unwrap(registry.weightOf(operator).stake), 216e9, "left");
    }

    function test_onlyTheRegistrySlashes() public {
        vm.expectPartialRevert(EigenLayerAdapter.NotRegistry.selector);
        adapter.slash(alice, Gwei.wrap(1));
    }

    function test_stakeThatLeavesBeforeEvidenceCanComeIsRefused() public {
        uint256 delay = uint256(manager.DEALLOCATION_DELAY()) * 12;
        vm.expectPartialRevert(EigenLayerAdapter.DelayTooShort.selector);
        new EigenLayerAdapter(address(registry), delay, manager, address(1), "");
    }
}
