// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev Position of a block in the finality chain; genesis is 0.
type Height is uint64;
/// @dev Number of a seat set; what the consensus engine calls an epoch.
type Term is uint64;
/// @dev A round of the consensus engine within a term.
type View is uint64;
/// @dev keccak256 of the RLP of a header: the block's name and what certificates sign (R4).
type HeaderHash is bytes32;
/// @dev keccak256 of the RLP of the ordered seats of a term (R4).
type SeatsHash is bytes32;
/// @dev Number of a key in the registry, from 0, in order of registration.
type KeyIndex is uint32;
/// @dev Number of an operator, from 1, in order of registration. The lower one wins ties (R3).
type OperatorId is uint32;
/// @dev Number of a registry epoch: a span of `EPOCH_SECONDS` at whose start changes take effect.
type Epoch is uint48;
/// @dev An amount of 10^9 wei. 2^64 of them are more ether than there is.
type Gwei is uint64;

/// @notice A point of G1 as EIP-2537 reads it: each coordinate is 16 zero bytes and 48 bytes, big endian.
struct G1Point {
    bytes32 xHigh;
    bytes32 xLow;
    bytes32 yHigh;
    bytes32 yLow;
}

/// @notice A point of G2 as EIP-2537 reads it: x and y, each c0 then c1.
struct G2Point {
    bytes32 x0High;
    bytes32 x0Low;
    bytes32 x1High;
    bytes32 x1Low;
    bytes32 y0High;
    bytes32 y0Low;
    bytes32 y1High;
    bytes32 y1Low;
}

/// @notice Where the seats of a set stand in the registry, in ascending order of identity.
/// @param pages Numbers of registry pages, 4 bytes each, big endian.
/// @param entries For each seat: which of `pages` (1 byte), and the place in that page (1 byte).
struct SeatList {
    bytes pages;
    bytes entries;
}

/// @notice That a header is final: through what descends from it, and through history, to a stored header.
/// @param header RLP of the header in question.
/// @param descendants RLP of the headers that follow it one by one; may be empty.
/// @param siblings Path of the last of these through the history of `anchor`.
/// @param peaks Peaks of that history, largest mountain first.
/// @param anchor RLP of a stored header; empty if the last of the headers above is itself stored.
struct Ancestry {
    bytes header;
    bytes[] descendants;
    bytes32[] siblings;
    bytes32[] peaks;
    bytes anchor;
}

using {gtHeight as >, eqHeight as ==} for Height global;
using {eqSeats as ==, neSeats as !=} for SeatsHash global;
using {eqHeader as ==, neHeader as !=} for HeaderHash global;
using {addGwei as +, subGwei as -, ltGwei as <, gtGwei as >, leGwei as <=, eqGwei as ==} for Gwei global;
using {ltEpoch as <, leEpoch as <=} for Epoch global;

/// @dev One gwei in wei.
uint256 constant GWEI = 1e9;

function gtHeight(Height a, Height b) pure returns (bool) {
    return Height.unwrap(a) > Height.unwrap(b);
}

function eqHeight(Height a, Height b) pure returns (bool) {
    return Height.unwrap(a) == Height.unwrap(b);
}

function eqSeats(SeatsHash a, SeatsHash b) pure returns (bool) {
    return SeatsHash.unwrap(a) == SeatsHash.unwrap(b);
}

function neSeats(SeatsHash a, SeatsHash b) pure returns (bool) {
    return SeatsHash.unwrap(a) != SeatsHash.unwrap(b);
}

function eqHeader(HeaderHash a, HeaderHash b) pure returns (bool) {
    return HeaderHash.unwrap(a) == HeaderHash.unwrap(b);
}

function neHeader(HeaderHash a, HeaderHash b) pure returns (bool) {
    return HeaderHash.unwrap(a) != HeaderHash.unwrap(b);
}

function addGwei(Gwei a, Gwei b) pure returns (Gwei) {
    return Gwei.wrap(Gwei.unwrap(a) + Gwei.unwrap(b));
}

function subGwei(Gwei a, Gwei b) pure returns (Gwei) {
    return Gwei.wrap(Gwei.unwrap(a) - Gwei.unwrap(b));
}

function ltGwei(Gwei a, Gwei b) pure returns (bool) {
    return Gwei.unwrap(a) < Gwei.unwrap(b);
}

function gtGwei(Gwei a, Gwei b) pure returns (bool) {
    return Gwei.unwrap(a) > Gwei.unwrap(b);
}

function leGwei(Gwei a, Gwei b) pure returns (bool) {
    return Gwei.unwrap(a) <= Gwei.unwrap(b);
}

function eqGwei(Gwei a, Gwei b) pure returns (bool) {
    return Gwei.unwrap(a) == Gwei.unwrap(b);
}

function ltEpoch(Epoch a, Epoch b) pure returns (bool) {
    return Epoch.unwrap(a) < Epoch.unwrap(b);
}

function leEpoch(Epoch a, Epoch b) pure returns (bool) {
    return Epoch.unwrap(a) <= Epoch.unwrap(b);
}
