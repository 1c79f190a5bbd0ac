// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {RegistrationProof, SignedRegistration, ValidatorRegister} from "../src/ValidatorRegister.sol";
import {EthereumBls} from "../src/libraries/EthereumBls.sol";
import {G1Point, G2Point} from "../src/types/Types.sol";

contract ValidatorRegisterTest is Base {
    ValidatorRegister private register;
    SignedRegistration[] private registrations;
    address private owner = address(0xa1);
    address private eve = address(0xe5);
    bytes32 private root;

    /// @dev The signatures are another implementation's, for a register at a fixed address.
    function setUp() public {
        vm.warp(START);
        string memory json = vm.readFile("test/fixtures/validators.json");
        register = ValidatorRegister(vm.parseJsonAddress(json, ".register"));
        vm.etch(
            address(register),
            address(new ValidatorRegister(CHAIN, 1 ether, 1 days, 2 days, keccak256("module"), 0x10000038))
            .code
        );
        for (uint256 i = 0; i < 3; ++i) {
            string memory one = string.concat(".signed[", vm.toString(i), "]");
            registrations.push(
                SignedRegistration(
                    abi.decode(vm.parseJsonBytes(json, string.concat(one, ".pubkey")), (G1Point)),
                    abi.decode(vm.parseJsonBytes(json, string.concat(one, ".signature")), (G2Point)),
                    uint64(i)
                )
            );
            bytes32 want = vm.parseJsonBytes32(json, string.concat(one, ".signingRoot"));
            assertTrue(register.signingRoot(owner, uint64(i)) == want, "signing root");
        }
    }

    /// @dev A challenger is paid.
    receive() external payable {}

    function enter(address by) private {
        vm.deal(address(this), 1 ether);
        root = register.register{value: 1 ether}(registrations, by);
    }

    function proofOf(uint256 index, address by) private view returns (RegistrationProof memory proof) {
        bytes32[4] memory leaves;
        for (uint256 i = 0; i < 3; ++i) {
            leaves[i] = register.leafOf(registrations[i], by);
        }
        proof.registrationRoot = root;
        proof.registration = registrations[index];
        proof.merkleProof = new bytes32[](2);
        proof.merkleProof[0] = leaves[index ^ 1];
        proof.merkleProof[1] = index < 2 ? pair(leaves[2], leaves[3]) : pair(leaves[0], leaves[1]);
    }

    function pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function test_validSignaturesCannotBeChallengedAndCountAfterTheWindow() public {
        enter(owner);
        for (uint256 i = 0; i < 3; ++i) {
            RegistrationProof memory proof = proofOf(i, owner);
            vm.expectRevert(ValidatorRegister.SignatureValid.selector);
            register.slashRegistration(proof);
            vm.expectPartialRevert(ValidatorRegister.FraudWindowOpen.selector);
            register.verifyRegistered(proof);
        }
        vm.warp(block.timestamp + 1 days + 1);
        assertTrue(register.verifyRegistered(proofOf(1, owner)) == owner, "owner");
    }

    function test_registrationForAnotherOwnerCostsTheCollateral() public {
        enter(eve);
        RegistrationProof memory proof = proofOf(0, eve);
        vm.prank(owner);
        register.slashRegistration(proof);
        assertEq(owner.balance, 0.5 ether, "half");
        assertEq(address(register).balance, 0, "the rest is burnt");
        vm.expectPartialRevert(ValidatorRegister.AlreadySlashed.selector);
        register.slashRegistration(proof);
        vm.warp(block.timestamp + 1 days + 1);
        vm.expectPartialRevert(ValidatorRegister.AlreadySlashed.selector);
        register.verifyRegistered(proof);
    }

    function test_pointsThatAreNoneCostTheCollateral() public {
        registrations[1].signature.y1Low ^= bytes32(uint256(1));
        enter(owner);
        RegistrationProof memory proof = proofOf(1, owner);
        register.slashRegistration(proof);
    }

    function test_keyAtInfinityCostsTheCollateral() public {
        G1Point memory key;
        G2Point memory signature;
        registrations[2] = SignedRegistration(key, signature, 2);
        enter(owner);
        RegistrationProof memory proof = proofOf(2, owner);
        register.slashRegistration(proof);
    }

    function test_tooLittleGasMakesNoSignatureInvalid(uint256 gas) public {
        enter(owner);
        bytes memory data = abi.encodeCall(ValidatorRegister.slashRegistration, (proofOf(0, owner)));
        (bool ok,) = address(register).call{gas: 100_000 + gas % 1_500_000}(data);
        assertTrue(!ok, "slashed");
    }

    function test_strangersAndWrongProofsAreRefused() public {
        enter(owner);
        RegistrationProof memory proof = proofOf(0, owner);
        proof.registration.nonce = 9;
        vm.expectPartialRevert(ValidatorRegister.NotInRoot.selector);
        register.slashRegistration(proof);
        proof.registrationRoot = keccak256("other");
        vm.expectPartialRevert(ValidatorRegister.NotRegistered.selector);
        register.slashRegistration(proof);
        vm.prank(eve);
        vm.expectPartialRevert(ValidatorRegister.NotOwner.selector);
        register.unregister(root);
        vm.deal(address(this), 1 ether);
        vm.expectPartialRevert(ValidatorRegister.AlreadyRegistered.selector);
        register.register{value: 1 ether}(registrations, owner);
    }

    function test_collateralComesBackAfterTheDelayOnce() public {
        enter(owner);
        vm.startPrank(owner);
        vm.expectPartialRevert(ValidatorRegister.NotYet.selector);
        register.claimCollateral(root);
        register.unregister(root);
        vm.warp(block.timestamp + 2 days);
        vm.expectPartialRevert(ValidatorRegister.NotYet.selector);
        register.claimCollateral(root);
        vm.warp(block.timestamp + 1);
        register.claimCollateral(root);
        assertEq(owner.balance, 1 ether, "back");
        vm.expectPartialRevert(ValidatorRegister.NotRegistered.selector);
        register.claimCollateral(root);
    }
}
