// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EthereumBls} from "./libraries/EthereumBls.sol";
import {G1Point, G2Point} from "./types/Types.sol";

/// @notice A validator's key, with its signature over `ValidatorRegister.signingRoot(owner, nonce)`.
struct SignedRegistration {
    G1Point pubkey;
    G2Point signature;
    uint64 nonce;
}

/// @notice That a registration is among those of a root.
struct RegistrationProof {
    bytes32 registrationRoot;
    SignedRegistration registration;
    bytes32[] merkleProof;
}

/// @notice Who registered under a root, and when. `unregisteredAt` is the largest number while it is active.
struct OperatorData {
    address owner;
    uint80 collateralWei;
    uint16 numKeys;
    uint48 registeredAt;
    uint48 unregisteredAt;
    uint48 slashedAt;
}

/// @title L1 validators that want the right of first refusal (R17)
/// @notice The shape of the Universal Registry Contract: keys are registered in batches, by their Merkle root and
/// unchecked; whoever shows within the fraud window that a signature is none gets half of the collateral. What is
/// signed binds this contract and both chains, which that registry does not, and is what Commit-Boost signs, so
/// that validators need no new signer.
contract ValidatorRegister is ReentrancyGuardTransient {
    event OperatorRegistered(bytes32 indexed registrationRoot, uint256 collateralWei, address owner);
    event KeyRegistered(bytes32 indexed registrationRoot, uint256 index, SignedRegistration registration);
    event OperatorSlashed(
        bytes32 indexed registrationRoot, address owner, address challenger, uint256 amountWei
    );
    event OperatorUnregistered(bytes32 indexed registrationRoot);
    event CollateralClaimed(bytes32 indexed registrationRoot, uint256 collateralWei);

    error NoKeys();
    error TooManyKeys(uint256 keys, uint256 limit);
    error WrongCollateral(uint256 given, uint256 least, uint256 most);
    error AlreadyRegistered(bytes32 registrationRoot);
    error NotRegistered(bytes32 registrationRoot);
    error NotOwner(address caller, address owner);
    error NotInRoot(bytes32 leaf, bytes32 registrationRoot);
    error FraudWindowOver(uint256 end);
    error FraudWindowOpen(uint256 end);
    error SignatureValid();
    error AlreadySlashed(bytes32 registrationRoot);
    error AlreadyUnregistered(bytes32 registrationRoot);
    error NotYet(uint256 end);

    /// @dev Events list all keys: this many fit a transaction.
    uint256 public constant KEYS_MAX = 256;
    uint256 private constant NEVER = type(uint48).max;
    address private constant BURNT = 0x000000000000000000000000000000000000dEaD;

    /// @notice The Cortado chain.
    uint64 public immutable CHAIN_ID;
    uint256 public immutable MIN_COLLATERAL;
    /// @notice Seconds in which a registration can be challenged, and before which it does not count.
    uint256 public immutable FRAUD_SECONDS;
    /// @notice Seconds from leaving until the collateral is paid back.
    uint256 public immutable LEAVE_SECONDS;
    /// @notice Which module of a signer makes these signatures.
    bytes32 public immutable SIGNING_ID;
    /// @notice Commit-Boost's domain on this Ethereum network.
    bytes32 public immutable DOMAIN;

    mapping(bytes32 registrationRoot => OperatorData) private _operators;

    /// @param genesisForkVersion Of the beacon chain, e.g. 0x00000000 on mainnet.
    constructor(
        uint64 chainId,
        uint256 minCollateral,
        uint256 fraudSeconds,
        uint256 leaveSeconds,
        bytes32 signingId,
        bytes4 genesisForkVersion
    ) {
        (CHAIN_ID, MIN_COLLATERAL, FRAUD_SECONDS) = (chainId, minCollateral, fraudSeconds);
        (LEAVE_SECONDS, SIGNING_ID) = (leaveSeconds, signingId);
        bytes32 fork = sha256(abi.encodePacked(bytes32(genesisForkVersion), bytes32(0)));
        DOMAIN = bytes32(bytes4(0x6d6d6f43)) | (fork >> 32);
    }

    /// @notice Registers keys for `owner`, who alone can unregister them.
    function register(SignedRegistration[] calldata registrations, address owner)
        external
        payable
        returns (bytes32 registrationRoot)
    {
        uint256 count = registrations.length;
        require(count > 0, NoKeys());
        require(count <= KEYS_MAX, TooManyKeys(count, KEYS_MAX));
        require(
            msg.value >= MIN_COLLATERAL && msg.value <= type(uint80).max,
            WrongCollateral(msg.value, MIN_COLLATERAL, type(uint80).max)
        );
        registrationRoot = rootOf(registrations, owner);
        require(_operators[registrationRoot].owner == address(0), AlreadyRegistered(registrationRoot));
        _operators[registrationRoot] =
            OperatorData(owner, uint80(msg.value), uint16(count), uint48(block.timestamp), uint48(NEVER), 0);
        emit OperatorRegistered(registrationRoot, msg.value, owner);
        for (uint256 i = 0; i < count; ++i) {
            emit KeyRegistered(registrationRoot, i, registrations[i]);
        }
    }

    /// @notice Shows that a registered signature is not its key's over the owner. Half of the collateral goes to
    /// the caller, the other is burnt.
    function slashRegistration(RegistrationProof calldata proof)
        external
        nonReentrant
        returns (uint256 amount)
    {
        OperatorData storage operator = _registered(proof);
        bytes32 root = proof.registrationRoot;
        require(operator.slashedAt == 0, AlreadySlashed(root));
        uint256 end = operator.registeredAt + FRAUD_SECONDS;
        require(block.timestamp <= end, FraudWindowOver(end));
        SignedRegistration calldata given = proof.registration;
        bytes32 message = signingRoot(operator.owner, given.nonce);
        require(!EthereumBls.isValid(given.pubkey, message, given.signature), SignatureValid());
        amount = operator.collateralWei;
        operator.collateralWei = 0;
        operator.slashedAt = uint48(block.timestamp);
        emit OperatorSlashed(root, operator.owner, msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount / 2);
        Address.sendValue(payable(BURNT), amount - amount / 2);
    }

    /// @notice Ends the registration of all keys of a root.
    function unregister(bytes32 registrationRoot) external {
        OperatorData storage operator = _owned(registrationRoot);
        require(operator.unregisteredAt == NEVER, AlreadyUnregistered(registrationRoot));
        operator.unregisteredAt = uint48(block.timestamp);
        emit OperatorUnregistered(registrationRoot);
    }

    /// @notice Pays the collateral back to the owner, some time after leaving and after the fraud window.
    function claimCollateral(bytes32 registrationRoot) external nonReentrant {
        OperatorData storage operator = _owned(registrationRoot);
        require(operator.slashedAt == 0, AlreadySlashed(registrationRoot));
        uint256 left = uint256(operator.unregisteredAt) + LEAVE_SECONDS;
        uint256 fraud = operator.registeredAt + FRAUD_SECONDS;
        uint256 end = left > fraud ? left : fraud;
        require(block.timestamp > end, NotYet(end));
        uint256 amount = operator.collateralWei;
        address owner = operator.owner;
        delete _operators[registrationRoot];
        emit CollateralClaimed(registrationRoot, amount);
        Address.sendValue(payable(owner), amount);
    }

    /// @notice The owner of a key that counts now. Reverts if it does not.
    function verifyRegistered(RegistrationProof calldata proof) external view returns (address) {
        OperatorData storage operator = _registered(proof);
        require(operator.slashedAt == 0, AlreadySlashed(proof.registrationRoot));
        require(operator.unregisteredAt == NEVER, AlreadyUnregistered(proof.registrationRoot));
        uint256 end = operator.registeredAt + FRAUD_SECONDS;
        require(block.timestamp > end, FraudWindowOpen(end));
        return operator.owner;
    }

    /// @notice What is known of a root.
    function operatorData(bytes32 registrationRoot) external view returns (OperatorData memory) {
        return _operators[registrationRoot];
    }

    /// @notice What a module asks a validator to sign for.
    function objectRoot(address owner) public view returns (bytes32) {
        return keccak256(abi.encode("CORTADO_ROFR", CHAIN_ID, block.chainid, address(this), owner));
    }

    /// @notice What the validator signs: SSZ roots of the module's request and of the domain.
    function signingRoot(address owner, uint64 nonce) public view returns (bytes32) {
        bytes32 left = sha256(abi.encodePacked(objectRoot(owner), SIGNING_ID));
        bytes32 right = sha256(abi.encodePacked(_littleEndian(nonce), _littleEndian(block.chainid)));
        return sha256(abi.encodePacked(sha256(abi.encodePacked(left, right)), DOMAIN));
    }

    /// @notice The Merkle root of registrations: leaves keccak256(abi.encode(registration, owner)), filled up with
    /// zeros to a power of two, pairs in ascending order.
    function rootOf(SignedRegistration[] calldata registrations, address owner)
        public
        pure
        returns (bytes32)
    {
        uint256 width = 1;
        while (width < registrations.length) width *= 2;
        bytes32[] memory nodes = new bytes32[](width);
        for (uint256 i = 0; i < registrations.length; ++i) {
            nodes[i] = leafOf(registrations[i], owner);
        }
        for (; width > 1; width /= 2) {
            for (uint256 i = 0; i < width / 2; ++i) {
                nodes[i] = Hashes.commutativeKeccak256(nodes[2 * i], nodes[2 * i + 1]);
            }
        }
        return nodes[0];
    }

    /// @notice The leaf of one registration. It is longer than a pair of nodes, so no node passes for it.
    function leafOf(SignedRegistration calldata registration, address owner) public pure returns (bytes32) {
        return keccak256(abi.encode(registration, owner));
    }

    function _registered(RegistrationProof calldata proof)
        private
        view
        returns (OperatorData storage operator)
    {
        operator = _operators[proof.registrationRoot];
        require(operator.owner != address(0), NotRegistered(proof.registrationRoot));
        bytes32 leaf = leafOf(proof.registration, operator.owner);
        require(
            MerkleProof.verifyCalldata(proof.merkleProof, proof.registrationRoot, leaf),
            NotInRoot(leaf, proof.registrationRoot)
        );
    }

    function _owned(bytes32 registrationRoot) private view returns (OperatorData storage operator) {
        operator = _operators[registrationRoot];
        require(operator.owner != address(0), NotRegistered(registrationRoot));
        require(operator.owner == msg.sender, NotOwner(msg.sender, operator.owner));
    }

    function _littleEndian(uint256 value) private pure returns (bytes32 out) {
        for (uint256 i = 0; i < 32; ++i) {
            out |= bytes32(((value >> (8 * i)) & 0xff) << (8 * (31 - i)));
        }
    }
}
