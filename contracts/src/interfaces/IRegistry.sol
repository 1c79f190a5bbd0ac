// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Epoch, G1Point, G2Point, Gwei, KeyIndex, OperatorId, SeatList, SeatsHash} from "../types/Types.sol";
import {IRestaking} from "./IRestaking.sol";

/// @notice What a registry is set up with. Times are in seconds.
/// @param chainId The Cortado chain.
/// @param genesis When epoch 0 began; not in the future.
/// @param epochSeconds Length of an epoch.
/// @param trustSeconds How long light clients believe seats without news.
/// @param answerSeconds How long an accused seat has to answer (R2).
/// @param evidenceSeconds How long evidence may take to be brought.
/// @param unbondingSeconds How long stake takes to leave: more than the three together.
/// @param minSeat Least stake of a seat.
/// @param seatsMax Most seats in a set, 4 to 1024.
/// @param slasher The one contract that may confiscate.
/// @param restaking Stake held elsewhere; zero for none.
struct RegistryConfig {
    uint64 chainId;
    uint48 genesis;
    uint32 epochSeconds;
    uint32 trustSeconds;
    uint32 answerSeconds;
    uint32 evidenceSeconds;
    uint32 unbondingSeconds;
    Gwei minSeat;
    uint16 seatsMax;
    address slasher;
    IRestaking restaking;
}

/// @notice A key with what proves that its owner knows the secret.
/// @param identity ed25519 key of the seat on the p2p network, which must be one; seats are ordered by it.
/// @param key BLS key.
/// @param possession Signature over `Registry.possessionMessage`, in the domain of proofs of possession.
struct KeyRegistration {
    bytes32 identity;
    G2Point key;
    G1Point possession;
}

/// @notice What is known of a key.
/// @param index Its number.
/// @param operator Whose it is; 0 if there is no such key.
/// @param from First epoch in which it may have a seat.
/// @param until First epoch in which it may not any more.
/// @param taken Stake confiscated for it.
struct KeyState {
    KeyIndex index;
    OperatorId operator;
    Epoch from;
    Epoch until;
    Gwei taken;
}

/// @notice What counts for seats, now and from an epoch on.
struct Weight {
    Gwei stake;
    Gwei nextStake;
    uint16 keys;
    uint16 nextKeys;
    // When `next…` becomes the present; past once it has.
    Epoch from;
}

/// @notice Where an operator's stake is.
/// @param bonded Ether that counts.
/// @param unbonding Ether that is leaving: it does not count, and can be confiscated.
/// @param releaseAt When it may leave.
/// @param restaked Stake held elsewhere, when last looked at.
struct Stakes {
    Gwei bonded;
    Gwei unbonding;
    uint48 releaseAt;
    Gwei restaked;
}

/// @notice A seat set as it was settled.
/// @param price What each seat has at risk (R3): the highest price that votes can still be accused for.
/// @param priced When this was last the price.
/// @param epoch When the set was last settled.
/// @param seats How many.
struct Settlement {
    Gwei price;
    Epoch priced;
    Epoch epoch;
    uint16 seats;
}

/// @title Operators, their keys and their stake (R2, R3, R10)
interface IRegistry {
    event OperatorRegistered(OperatorId indexed operator, address indexed owner);
    event Deposited(OperatorId indexed operator, Gwei amount, Epoch from);
    event ExitRequested(OperatorId indexed operator, Gwei amount, uint48 releaseAt, Epoch from);
    event Withdrawn(OperatorId indexed operator, Gwei amount, address to);
    event RestakedSynced(OperatorId indexed operator, Gwei amount, Epoch from);
    event KeyRegistered(
        OperatorId indexed operator,
        KeyIndex indexed index,
        bytes32 identity,
        bytes key,
        uint32 page,
        uint8 place,
        Epoch from
    );
    event KeyRetired(OperatorId indexed operator, KeyIndex indexed index, Epoch until);
    event PageWritten(uint32 indexed page, uint256 entries);
    event ProposerSet(OperatorId indexed operator, address indexed signer, bytes32 identity, Epoch from);
    event Settled(
        Epoch indexed epoch, SeatsHash indexed seats, Gwei price, uint256 count, bytes pages, bytes entries
    );
    event Slashed(
        OperatorId indexed operator, KeyIndex indexed index, address indexed reporter, Gwei taken, Gwei reward
    );
    event Frozen(OperatorId indexed operator, uint48 until);

    error BadConfig();
    error NotOwner(OperatorId operator, address caller);
    error NotSlasher(address caller);
    error OwnerTaken(address owner, OperatorId operator);
    error TooManyOperators(uint256 limit);
    error NotWholeGwei(uint256 weiGiven);
    error TooLittle(Gwei given, Gwei least);
    error TooMuch(Gwei asked, Gwei there_);
    error NothingToWithdraw(OperatorId operator);
    error StillBonded(uint48 releaseAt);
    error StillFrozen(uint48 until);
    error KeyCount(uint256 keys, uint256 limit);
    error KeyTaken(KeyIndex index);
    error IdentityTaken(bytes32 identity);
    error InvalidIdentity(bytes32 identity);
    error UnknownKey(bytes32 keyHash);
    error KeyNotActive(KeyIndex index, Epoch epoch);
    error KeyRetiring(KeyIndex index, Epoch until);
    error KeyForgotten(KeyIndex index, uint256 until);
    error AlreadySlashed(KeyIndex index, Gwei taken, Gwei price);
    error SignerTaken(address signer, OperatorId operator);
    error WrongSigner(address recovered, address want);
    error SeatsOutOfOrder(uint256 seat);
    error AlreadySettled(Epoch epoch);
    error UnknownSeats(SeatsHash seats);

    /// @notice Confiscates what a seat of `seats` has at risk from the owner of a key: once, but for the
    /// difference if evidence of a dearer seat follows. The key is retired at once and exits are frozen.
    /// @param reporter For the event; its share goes to the caller.
    /// @param broughtAt When the evidence was brought.
    /// @return taken What was confiscated.
    /// @return reward What of it was sent to the caller; the rest is burnt.
    function slash(uint256 page, uint256 place, SeatsHash seats, address reporter, uint48 broughtAt)
        external
        returns (Gwei taken, Gwei reward);

    /// @notice Freezes the exit of a key's operator until a time.
    function freeze(OperatorId operator, uint48 until) external;

    /// @notice What is known of the key at a place. Reverts if there is none.
    function keyAt(uint256 page, uint256 place) external view returns (KeyState memory);

    /// @notice Until when evidence against a key can be brought: as long as its stake cannot have left.
    function accountableUntil(KeyState memory key) external view returns (uint256);

    /// @notice The settlement of a seat set; its price is zero if there is none.
    function settlement(SeatsHash seats) external view returns (Settlement memory);

    function CHAIN_ID() external view returns (uint64);
    function ANSWER_SECONDS() external view returns (uint32);
    function EVIDENCE_SECONDS() external view returns (uint32);
}
