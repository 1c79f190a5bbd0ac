// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibRLP} from "solady/utils/LibRLP.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {ILightClient} from "./interfaces/ILightClient.sol";
import {Ancestry, G1Point, HeaderHash, Height, SeatList, SeatsHash, Term, View} from "./types/Types.sol";
import {Bls} from "./libraries/Bls.sol";
import {Header, HeaderCodec} from "./libraries/HeaderCodec.sol";
import {History} from "./libraries/History.sol";
import {LaneBlock, Lanes} from "./libraries/Lanes.sol";
import {SeatTable} from "./libraries/SeatTable.sol";
import {Trie} from "./libraries/Trie.sol";
import {VoteKind, Votes} from "./libraries/Votes.sol";

/// @dev The header that last renewed trust, and where the seats are, in one word: from the lowest bit, the height
/// (48 bits), its time in seconds, but never ahead of this chain's (40), whether the client stopped (8), and the table
/// of seats, zero before the start (160). (A struct would be read field by field.)
type Renewal is uint256;

using {heightOf, timeOf, isStopped, tableOf, stop} for Renewal global;

function heightOf(Renewal last) pure returns (uint256) {
    return uint48(Renewal.unwrap(last));
}

function timeOf(Renewal last) pure returns (uint256) {
    return uint40(Renewal.unwrap(last) >> 48);
}

function isStopped(Renewal last) pure returns (bool) {
    return uint8(Renewal.unwrap(last) >> 88) != 0;
}

function tableOf(Renewal last) pure returns (address) {
    return address(uint160(Renewal.unwrap(last) >> 96));
}

function stop(Renewal last) pure returns (Renewal) {
    return Renewal.wrap(Renewal.unwrap(last) | (1 << 88));
}

/// @title Cortado's finality, checked by Ethereum itself (R2, R4, R23)
/// @notice Holds hashes of final headers and follows the seat sets that finalise them. A certificate is a quorum
/// of the present seats; its header names the seats of the next term. Nobody is trusted and nobody can change
/// anything: the first header is fixed at deployment, everything after it is proved.
///
/// - One header at each height. Two certified ones for one height stop the contract for good: more than a third
///   of the seats signed both, and are there to be slashed.
/// - Certificates count only for `TRUST_MS` after a certified time that renewed trust: later the seats may have withdrawn
///   their stake, and their word is worth nothing.
/// - One seat set at a time. Certificates of earlier sets are refused; older headers are proved from newer ones.
contract LightClient is ILightClient {
    using SeatTable for bytes;

    /// @dev One word, so that its place is computed once.
    struct Stored {
        HeaderHash hash;
    }

    /// @dev Trust is renewed in steps of this part of it: a write that most updates need not pay.
    uint64 private constant RENEWALS = 64;

    /// @inheritdoc ILightClient
    uint64 public immutable CHAIN_ID;
    /// @inheritdoc ILightClient
    uint64 public immutable TRUST_MS;
    /// @notice The contract whose pages hold the keys of seats, each with its possession proved.
    address public immutable REGISTRY;
    /// @notice The header to start from, which the deployer knows to be final.
    HeaderHash public immutable ANCHOR;

    Renewal private _renewal;
    mapping(Height height => Stored) private _headers;

    /// @param registry The contract whose pages hold the keys of seats.
    /// @param chainId The Cortado chain.
    /// @param trustMs How long seats are believed without news, ms; stake must take longer to leave.
    /// @param anchor The header to start from.
    constructor(address registry, uint64 chainId, uint64 trustMs, HeaderHash anchor) {
        (REGISTRY, CHAIN_ID, TRUST_MS, ANCHOR) = (registry, chainId, trustMs, anchor);
    }

    /// @notice Starts from the anchor, once. Anybody may.
    /// @param header RLP of the anchor.
    /// @param seats Where the seats stand that finalise what follows it.
    function start(bytes calldata header, SeatList calldata seats) external {
        require(_renewal.tableOf() == address(0), AlreadyStarted());
        HeaderHash hash = HeaderCodec.hashOf(header);
        require(hash == ANCHOR, WrongAnchor(hash, ANCHOR));
        Header decoded = HeaderCodec.decode(header);
        require(decoded.chainId() == CHAIN_ID, WrongChain(decoded.chainId(), CHAIN_ID));
        _headers[decoded.height()].hash = hash;
        _renewal = _renewed(decoded, 0, _install(decoded, seats, ""));
        emit Started(decoded.height(), hash, decoded.nextSeatsHash());
    }

    /// @inheritdoc ILightClient
    function update(
        bytes calldata header,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap
    ) external {
        (Header decoded, Renewal last,) = _accept(header, view_, parentView, signature, bitmap);
        if (last.isStopped() || Height.unwrap(decoded.height()) <= last.heightOf()) return;
        require(decoded.nextSeatsHash() == decoded.seatsHash(), SeatsMissing(decoded.nextSeatsHash()));
        if (decoded.timestampMs() / 1000 >= last.timeOf() + TRUST_MS / RENEWALS / 1000) {
            _renewal = _renewed(decoded, last.timeOf(), last.tableOf());
        }
    }

    /// @inheritdoc ILightClient
    function updateWithSeats(
        bytes calldata header,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap,
        SeatList calldata seats
    ) external {
        (Header decoded, Renewal last, bytes memory before) =
            _accept(header, view_, parentView, signature, bitmap);
        bool newest = !last.isStopped() && Height.unwrap(decoded.height()) > last.heightOf();
        require(
            newest && decoded.nextSeatsHash() != decoded.seatsHash(), SeatsUnchanged(decoded.nextSeatsHash())
        );
        _renewal = _renewed(decoded, last.timeOf(), _install(decoded, seats, before));
    }

    /// @inheritdoc ILightClient
    function renewal() external view returns (Height height, uint64 time, address table, bool stopped) {
        Renewal last = _renewal;
        return (Height.wrap(uint64(last.heightOf())), uint64(last.timeOf()), last.tableOf(), last.isStopped());
    }

    /// @inheritdoc ILightClient
    function headerAt(Height height) external view returns (HeaderHash) {
        return _headers[height].hash;
    }

    /// @inheritdoc ILightClient
    function isFinal(bytes calldata header) external view returns (bool) {
        Header decoded = HeaderCodec.decode(header);
        return !_renewal.isStopped() && _headers[decoded.height()].hash == HeaderCodec.hashOf(header);
    }

    /// @inheritdoc ILightClient
    function verifyHeader(Ancestry calldata ancestry) external view returns (HeaderHash hash, Height height) {
        Header header;
        (hash, header) = _final(ancestry);
        height = header.height();
    }

    /// @inheritdoc ILightClient
    function stateEntry(Ancestry calldata ancestry, string calldata kind, uint64 id, bytes[] calldata proof)
        external
        view
        returns (bool, bytes memory)
    {
        (, Header header) = _final(ancestry);
        bytes32 key = keccak256(abi.encodePacked(kind, id));
        return Trie.get(header.stateRoot(), abi.encodePacked(key), proof);
    }

    /// @inheritdoc ILightClient
    function laneBlock(Ancestry calldata ancestry, uint256 position, bytes[] calldata proof)
        external
        view
        returns (bytes32, LaneBlock memory)
    {
        return _laneBlock(ancestry, position, proof);
    }

    /// @inheritdoc ILightClient
    function transaction(
        Ancestry calldata ancestry,
        uint256 position,
        bytes[] calldata laneProof,
        uint256 index,
        bytes[] calldata transactionProof
    ) external view returns (bytes32 hash, bool present, bytes memory raw) {
        LaneBlock memory lane;
        (hash, lane) = _laneBlock(ancestry, position, laneProof);
        (present, raw) = Trie.get(lane.bodyRoot, LibRLP.encode(index), transactionProof);
    }

    /// @dev Checks a certificate and stores its header, or stops for good if there is another one of its height.
    function _accept(
        bytes calldata rlp,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap
    ) private returns (Header header, Renewal last, bytes memory seats) {
        last = _renewal;
        require(last.tableOf() != address(0), NotStarted());
        require(!last.isStopped(), ClientStopped());
        require(
            block.timestamp * 1000 <= last.timeOf() * 1000 + TRUST_MS,
            TrustExpired(uint64(last.timeOf()), TRUST_MS, block.timestamp)
        );
        HeaderHash hash = HeaderCodec.hashOf(rlp);
        header = HeaderCodec.decode(rlp);
        Stored storage slot = _headers[header.height()];
        HeaderHash stored = slot.hash;
        require(stored != hash, AlreadyStored(header.height(), hash));
        require(header.chainId() == CHAIN_ID, WrongChain(header.chainId(), CHAIN_ID));
        seats = SeatTable.load(last.tableOf());
        require(header.seatsHash() == seats.seatsHash(), StaleSeats(header.seatsHash(), seats.seatsHash()));
        Term first = seats.firstTerm();
        require(Term.unwrap(header.term()) >= Term.unwrap(first), WrongTerm(header.term(), first));

        bytes memory message = Votes.message(
            CHAIN_ID, header.seatsHash(), VoteKind.Finalize, header.term(), view_, parentView, hash
        );
        Bls.verifyMinus(seats.minusSigners(REGISTRY, bitmap), message, Bls.DOMAIN_VOTE, signature);

        if (HeaderHash.unwrap(stored) != 0) {
            last = last.stop();
            _renewal = last;
            emit Stopped(header.height(), stored, hash);
        } else {
            slot.hash = hash;
            emit HeaderStored(header.height(), hash);
        }
    }

    /// @dev Writes the table of the seats that `header` names for the next term.
    function _install(Header header, SeatList calldata seats, bytes memory before)
        private
        returns (address table)
    {
        bool changed = header.nextSeatsHash() != header.seatsHash();
        Term first = Term.wrap(Term.unwrap(header.term()) + (changed ? 1 : 0));
        bytes memory content = SeatTable.build(REGISTRY, seats, header.nextSeatsHash(), first, before);
        table = SSTORE2.write(content);
        emit SeatsChanged(first, header.nextSeatsHash(), content.seatCount(), table);
    }

    /// @dev Trust from the time of `header` on. One from the future would prolong it.
    function _renewed(Header header, uint256 before, address table) private view returns (Renewal) {
        uint256 time = header.timestampMs() / 1000;
        if (time > block.timestamp) time = block.timestamp;
        if (time < before) time = before;
        uint256 height = uint48(Height.unwrap(header.height()));
        return Renewal.wrap(height | (time << 48) | (uint256(uint160(table)) << 96));
    }

    /// @dev The header of `ancestry`, shown to be final.
    function _final(Ancestry calldata ancestry) private view returns (HeaderHash hash, Header header) {
        require(!_renewal.isStopped(), ClientStopped());
        hash = HeaderCodec.hashOf(ancestry.header);
        header = HeaderCodec.decode(ancestry.header);
        (HeaderHash last, Height height) = (hash, header.height());
        for (uint256 i = 0; i < ancestry.descendants.length; ++i) {
            Header child = HeaderCodec.decode(ancestry.descendants[i]);
            require(child.parent() == last, NotAChild(i, child.parent(), last));
            (last, height) = (HeaderCodec.hashOf(ancestry.descendants[i]), child.height());
        }
        if (ancestry.anchor.length != 0) {
            Header anchor = HeaderCodec.decode(ancestry.anchor);
            History.verify(
                anchor.historyRoot(),
                Height.unwrap(anchor.height()),
                Height.unwrap(height),
                last,
                ancestry.siblings,
                ancestry.peaks
            );
            (last, height) = (HeaderCodec.hashOf(ancestry.anchor), anchor.height());
        }
        require(_headers[height].hash == last, NotFinal(height, last));
    }

    function _laneBlock(Ancestry calldata ancestry, uint256 position, bytes[] calldata proof)
        private
        view
        returns (bytes32, LaneBlock memory)
    {
        (, Header header) = _final(ancestry);
        (bool present, bytes memory entry) = Trie.get(header.lanesRoot(), LibRLP.encode(position), proof);
        require(present, Lanes.MalformedLane());
        LaneBlock memory lane = Lanes.decode(entry);
        return (Lanes.hashOf(lane), lane);
    }
}
