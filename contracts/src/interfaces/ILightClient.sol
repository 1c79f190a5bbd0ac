// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ancestry, G1Point, HeaderHash, Height, SeatList, SeatsHash, Term, View} from "../types/Types.sol";
import {LaneBlock} from "../libraries/Lanes.sol";

/// @title What other contracts ask of Cortado's light client (R23)
interface ILightClient {
    /// @notice The client follows the finality chain from here.
    event Started(Height indexed height, HeaderHash hash, SeatsHash seats);
    /// @notice A header was certified and stored.
    event HeaderStored(Height indexed height, HeaderHash hash);
    /// @notice From `term` on, these seats finalise. `table` is the contract that holds what is known of them.
    event SeatsChanged(Term indexed term, SeatsHash seats, uint256 count, address table);
    /// @notice Two certified headers for one height: nothing more is accepted.
    event Stopped(Height indexed height, HeaderHash stored, HeaderHash other);

    /// @notice The header is not the one this client starts from.
    error WrongAnchor(HeaderHash got, HeaderHash want);
    /// @notice It has started.
    error AlreadyStarted();
    /// @notice It has not.
    error NotStarted();
    /// @notice Two certified headers for one height are known.
    error ClientStopped();
    /// @notice No news for longer than seats are believed.
    error TrustExpired(uint64 time, uint64 trustMs, uint256 now_);
    /// @notice The header is of another chain.
    error WrongChain(uint64 got, uint64 want);
    /// @notice The header is finalised by other seats than the present ones.
    error StaleSeats(SeatsHash got, SeatsHash want);
    /// @notice The header's term is before the present seats sat.
    error WrongTerm(Term got, Term first);
    /// @notice This header is stored.
    error AlreadyStored(Height height, HeaderHash hash);
    /// @notice The header names other seats for the next term, so they must come with it.
    error SeatsMissing(SeatsHash next);
    /// @notice Seats came with a header that does not change them, or is not the newest.
    error SeatsUnchanged(SeatsHash seats);
    /// @notice The header is not stored, and was not shown to be final.
    error NotFinal(Height height, HeaderHash hash);
    /// @notice A header does not follow the one before it.
    error NotAChild(uint256 position, HeaderHash parent, HeaderHash want);

    /// @notice The Cortado chain this client follows.
    function CHAIN_ID() external view returns (uint64);
    /// @notice How long seats are believed without news, ms.
    function TRUST_MS() external view returns (uint64);

    /// @notice Stores a header that a quorum of the present seats finalised.
    /// @param header Its RLP. Seats of the next term must be the present ones: see `updateWithSeats`.
    /// @param view_ View in which it was finalised.
    /// @param parentView View of the parent, as in the certificate.
    /// @param signature Sum of the signatures, uncompressed.
    /// @param bitmap Who signed: one bit a seat, least significant bit first.
    function update(
        bytes calldata header,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap
    ) external;

    /// @notice As `update`, for a header that names other seats for the next term.
    /// @param next Where these seats stand in the registry.
    function updateWithSeats(
        bytes calldata header,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap,
        SeatList calldata next
    ) external;

    /// @notice The header that last renewed trust, and its time in seconds; where what is known of the present
    /// seats stands (see `SeatTable`), zero before the start; whether two headers of one height were shown.
    /// @dev Trust is renewed in steps of a 64th of `TRUST_MS`, and when seats change: newer headers may be stored.
    function renewal() external view returns (Height height, uint64 time, address table, bool stopped);

    /// @notice The stored header at a height, zero if there is none.
    function headerAt(Height height) external view returns (HeaderHash);

    /// @notice Whether the header with this RLP is stored. Others may still be final: see `verifyHeader`.
    function isFinal(bytes calldata header) external view returns (bool);

    /// @notice Reverts unless the header of `ancestry` is final.
    function verifyHeader(Ancestry calldata ancestry) external view returns (HeaderHash hash, Height height);

    /// @notice The entry (kind, id) of the chain's state after a final block, from a trie proof.
    /// @return present Whether there is one.
    /// @return value Its RLP.
    function stateEntry(Ancestry calldata ancestry, string calldata kind, uint64 id, bytes[] calldata proof)
        external
        view
        returns (bool present, bytes memory value);

    /// @notice The lane block at `position` of a final block.
    /// @return hash Its name, the EIP-712 digest that its proposer signed.
    function laneBlock(Ancestry calldata ancestry, uint256 position, bytes[] calldata proof)
        external
        view
        returns (bytes32 hash, LaneBlock memory lane);

    /// @notice Transaction `index` of a lane block of a final block, or that it has none.
    /// @return lane The lane block.
    /// @return present Whether it has a transaction of this index.
    /// @return transaction Its raw bytes.
    function transaction(
        Ancestry calldata ancestry,
        uint256 position,
        bytes[] calldata laneProof,
        uint256 index,
        bytes[] calldata transactionProof
    ) external view returns (bytes32 lane, bool present, bytes memory transaction);
}
