// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Registry} from "../src/Registry.sol";
import {Slasher} from "../src/Slasher.sol";
import {SignedRegistration, ValidatorRegister} from "../src/ValidatorRegister.sol";
import {IRegistry} from "../src/interfaces/IRegistry.sol";
import {IRestaking} from "../src/interfaces/IRestaking.sol";
import {Vote, VoteKind, Votes} from "../src/libraries/Votes.sol";
import {G1Point, Gwei, HeaderHash, OperatorId, SeatsHash, Term, View} from "../src/types/Types.sol";

/// @dev Whatever calls it is called back, once, with what it was told.
contract CallsBack is IRestaking {
    address private target;
    bytes private data;
    bool public tried;
    bool public refused;

    function prepare(address target_, bytes calldata data_) external {
        (target, data, tried, refused) = (target_, data_, false, false);
    }

    function act(address to, bytes calldata call_) external payable returns (bytes memory out) {
        bool ok;
        (ok, out) = to.call{value: msg.value}(call_);
        if (!ok) {
            assembly {
                revert(add(out, 0x20), mload(out))
            }
        }
    }

    function again() private {
        if (tried || target == address(0)) return;
        tried = true;
        (bool ok,) = target.call(data);
        refused = !ok;
    }

    receive() external payable {
        again();
    }

    function stakeOf(address) external view returns (Gwei) {
        return Gwei.wrap(0);
    }

    function slash(address, Gwei amount) external returns (Gwei) {
        again();
        return amount;
    }
}

/// @dev Every place where a contract calls one that it does not know: the second call is refused.
contract ReentrancyTest is Base {
    Registry private registry;
    Slasher private slasher;
    CallsBack private evil;
    address private alice = address(0xa1);
    OperatorId private operator;
    TestSeat[] private seats;
    SeatsHash private seatsHash;

    function setUp() public {
        vm.warp(START);
        evil = new CallsBack();
        address next =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(3))))));
        registry = new Registry(config(next, address(evil)));
        slasher = new Slasher(IRegistry(address(registry)), 1 ether);
        assertTrue(address(slasher) == next, "place of the slasher");
        TestSeat[] memory made;
        (operator, made) = join(registry, alice, 128, 0, 4);
        vm.warp(START + EPOCH);
        made = sorted(made);
        for (uint256 i = 0; i < 4; ++i) {
            seats.push(made[i]);
        }
        (Gwei price,) = registry.allocation();
        registry.settle(listOf(made), price);
        seatsHash = registry.latest();
    }

    function evidence(uint256 seat) private view returns (bytes memory) {
        Vote memory a = Vote(VoteKind.Nullify, Term.wrap(0), View.wrap(7), View.wrap(0), HeaderHash.wrap(0));
        Vote memory b = Vote(
            VoteKind.Finalize, Term.wrap(0), View.wrap(7), View.wrap(6), HeaderHash.wrap(keccak256("a"))
        );
        bytes memory first = abi.encode(sign(seats[seat].secret, Votes.message(CHAIN, seatsHash, a)));
        bytes memory second = abi.encode(sign(seats[seat].secret, Votes.message(CHAIN, seatsHash, b)));
        (bool ok, bytes memory sum) = address(0x0b).staticcall(bytes.concat(first, second));
        assertTrue(ok, "sum");
        return abi.encodeCall(
            Slasher.slash, (1, uint8(uint256(seats[seat].page)), seatsHash, a, b, abi.decode(sum, (G1Point)))
        );
    }

    function test_claimantThatCallsBackIsPaidOnce() public {
        evil.act(address(slasher), evidence(0));
        uint256 owed = slasher.owed(address(evil));
        bytes memory claim = abi.encodeCall(Slasher.claim, (payable(address(evil))));
        evil.prepare(address(slasher), claim);
        evil.act(address(slasher), claim);
        assertTrue(owed > 0 && evil.tried() && evil.refused(), "refused");
        assertEq(address(evil).balance, owed, "once");
    }

    function test_restakingThatCallsBackSlashesNothingElse() public {
        // All ether has left, so that the registry turns to the adapter.
        vm.prank(alice);
        registry.requestExit(operator, Gwei.wrap(128e9));
        vm.warp(registry.stakesOf(operator).releaseAt);
        vm.prank(alice);
        registry.withdraw(operator, payable(alice));
        evil.prepare(address(slasher), evidence(1));
        evil.act(address(slasher), evidence(0));
        assertTrue(evil.tried() && evil.refused(), "second evidence in the first");
        // Nor what the registry itself offers while it is confiscating.
        evil.prepare(address(registry), abi.encodeCall(Registry.syncRestaked, (operator)));
        evil.act(address(slasher), evidence(1));
        assertTrue(evil.tried() && evil.refused(), "sync while slashing");
    }

    function test_validatorsOwnerThatCallsBackIsPaidOnce() public {
        ValidatorRegister register =
            new ValidatorRegister(CHAIN, 1 ether, 100, 100, keccak256("m"), bytes4(0));
        SignedRegistration[] memory keys = new SignedRegistration[](1);
        vm.deal(address(this), 2 ether);
        bytes32 root = register.register{value: 1 ether}(keys, address(evil));
        register.register{value: 1 ether}(keys, alice);
        evil.act(address(register), abi.encodeCall(ValidatorRegister.unregister, (root)));
        vm.warp(START + EPOCH + 101);
        bytes memory claim = abi.encodeCall(ValidatorRegister.claimCollateral, (root));
        evil.prepare(address(register), claim);
        evil.act(address(register), claim);
        assertTrue(evil.tried() && evil.refused(), "refused");
        assertEq(address(evil).balance, 1 ether, "once");
    }
}
