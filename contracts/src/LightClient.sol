// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibRLP} from "solady/utils/LibRLP.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {ILightClient} from "./interfaces/ILightClient.sol";
import {Ancestry, G1Point, G2Point, HeaderHash, Height, SeatList, SeatsHash, Term, View} from "./types/Types.sol";
import {Bls} from "./libraries/Bls.sol";
import {Header, HeaderCodec} from "./libraries/HeaderCodec.sol";
import {History} from "./libraries/History.sol";
import {LaneBlock, Lanes} from "./libraries/Lanes.sol";
import {SeatTable} from "./libraries/SeatTable.sol";
import {Trie} from "./libraries/Trie.sol";
import {Vote, VoteKind, Votes} from "./libraries/Votes.sol";

/// @title Cortado's finality, checked by Ethereum itself (R2, R4, R23)
/// @notice Holds hashes of final headers and follows the seat sets that finalise them. A certificate is a quorum
/// of the present seats; its header names the seats of the next term. Nobody is trusted and nobody can change
/// anything: the first header is fixed at deployment, everything after it is proved.
///
/// - One header at each height. Two certified ones for one height stop the contract for good: more than a third
///   of the seats signed both, and are there to be slashed.
/// - Certificates count only for `TRUST_MS` after the newest certified time: later the seats may have withdrawn
///   their stake, and their word is worth nothing.
/// - One seat set at a time. Certificates of earlier sets are refused; older headers are proved from newer ones.
contract LightClient is ILightClient {
    using SeatTable for bytes;

    /// @dev What changes with an update, in one slot.
    struct Head {
        Height height;
        // The newest certified time, but never ahead of this chain's.
        uint64 trustedMs;
        Term term;
        // This contract's nonce when it created the table of seats; 0 before the start.
        uint32 table;
        bool stopped;
    }

    /// @inheritdoc ILightClient
    uint64 public immutable CHAIN_ID;
    /// @inheritdoc ILightClient
    uint64 public immutable TRUST_MS;
    /// @notice The contract whose pages hold the keys of seats, each with its possession proved.
    address public immutable REGISTRY;
    /// @notice The header to start from, which the deployer knows to be final.
    HeaderHash public immutable ANCHOR;

    Head private _head;
    mapping(Height height => HeaderHash hash) private _headers;

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
        require(_head.table == 0, AlreadyStarted());
        HeaderHash hash = HeaderCodec.hashOf(header);
        require(hash == ANCHOR, WrongAnchor(hash, ANCHOR));
        Header memory decoded = HeaderCodec.decode(header);
        require(decoded.chainId == CHAIN_ID, WrongChain(decoded.chainId, CHAIN_ID));
        _headers[decoded.height] = hash;
        bytes memory none;
        _head = Head(decoded.height, _certifiedTime(decoded), decoded.term, _install(decoded, seats, none, 1), false);
        emit Started(decoded.height, hash, decoded.nextSeatsHash);
    }

    /// @inheritdoc ILightClient
    function update(
        bytes calldata header,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap
    ) external {
        (Head memory next, Header memory decoded,,) = _accept(header, view_, parentView, signature, bitmap);
        if (next.table == 0) return;
        require(decoded.nextSeatsHash == decoded.seatsHash, SeatsMissing(decoded.nextSeatsHash));
        _head = next;
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
        (Head memory next, Header memory decoded, bytes memory before, uint32 nonce) =
            _accept(header, view_, parentView, signature, bitmap);
        require(next.table != 0 && decoded.nextSeatsHash != decoded.seatsHash, SeatsUnchanged(decoded.nextSeatsHash));
        next.table = _install(decoded, seats, before, nonce + 1);
        _head = next;
    }

    /// @inheritdoc ILightClient
    function head() external view returns (Height height, HeaderHash hash, uint64 trustedMs, Term term) {
        Head memory current = _head;
        return (current.height, _headers[current.height], current.trustedMs, current.term);
    }

    /// @notice Whether two certified headers for one height were shown.
    function stopped() external view returns (bool) {
        return _head.stopped;
    }

    /// @notice The contract that holds what is known of the present seats: see `SeatTable`.
    function table() external view returns (address) {
        return LibRLP.computeAddress(address(this), _head.table);
    }

    /// @inheritdoc ILightClient
    function headerAt(Height height) external view returns (HeaderHash) {
        return _headers[height];
    }

    /// @inheritdoc ILightClient
    function isFinal(bytes calldata header) external view returns (bool) {
        Header memory decoded = HeaderCodec.decode(header);
        return !_head.stopped && _headers[decoded.height] == HeaderCodec.hashOf(header);
    }

    /// @inheritdoc ILightClient
    function verifyHeader(Ancestry calldata ancestry) external view returns (HeaderHash hash, Height height) {
        Header memory header;
        (hash, header) = _final(ancestry);
        height = header.height;
    }

    /// @inheritdoc ILightClient
    function stateEntry(Ancestry calldata ancestry, string calldata kind, uint64 id, bytes[] calldata proof)
        external
        view
        returns (bool, bytes memory)
    {
        (, Header memory header) = _final(ancestry);
        bytes32 key = keccak256(abi.encodePacked(kind, id));
        return Trie.get(header.stateRoot, abi.encodePacked(key), proof);
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

    /// @dev Checks a certificate and stores its header. `next.table` is 0 if the head does not move: the header
    /// is an older one, or proves a fork.
    function _accept(
        bytes calldata rlp,
        View view_,
        View parentView,
        G1Point calldata signature,
        bytes calldata bitmap
    ) private returns (Head memory next, Header memory header, bytes memory seats, uint32 nonce) {
        Head memory current = _head;
        nonce = current.table;
        require(nonce != 0, NotStarted());
        require(!current.stopped, ClientStopped());
        uint256 nowMs = block.timestamp * 1000;
        require(
            nowMs <= uint256(current.trustedMs) + TRUST_MS, TrustExpired(current.trustedMs, TRUST_MS, nowMs)
        );

        HeaderHash hash = HeaderCodec.hashOf(rlp);
        header = HeaderCodec.decode(rlp);
        HeaderHash stored = _headers[header.height];
        require(stored != hash, AlreadyStored(header.height, hash));
        require(header.chainId == CHAIN_ID, WrongChain(header.chainId, CHAIN_ID));
        seats = SeatTable.load(LibRLP.computeAddress(address(this), nonce));
        SeatsHash present = seats.seatsHash();
        require(header.seatsHash == present, StaleSeats(header.seatsHash, present));
        _checkTerm(header, current, seats.firstTerm());

        G2Point memory key = seats.signersKey(REGISTRY, bitmap);
        Vote memory vote = Vote(VoteKind.Finalize, header.term, view_, parentView, hash);
        Bls.verify(key, Votes.message(CHAIN_ID, present, vote), Bls.DOMAIN_VOTE, signature);

        if (HeaderHash.unwrap(stored) != 0) {
            _head.stopped = true;
            emit Stopped(header.height, stored, hash);
            return (next, header, seats, nonce);
        }
        _headers[header.height] = hash;
        emit HeaderStored(header.height, hash);
        if (header.height > current.height) {
            uint64 time = _certifiedTime(header);
            if (time < current.trustedMs) time = current.trustedMs;
            next = Head(header.height, time, header.term, nonce, false);
        }
    }

    /// @dev Terms rise with heights, and these seats sit since `first`.
    function _checkTerm(Header memory header, Head memory current, Term first) private pure {
        uint64 term = Term.unwrap(header.term);
        uint64 newest = Term.unwrap(current.term);
        bool fits = header.height > current.height ? term >= newest : term <= newest;
        require(fits && term >= Term.unwrap(first), WrongTerm(header.term, first, current.term));
    }

    /// @dev Writes the table of the seats that `header` names, at this contract's nonce `nonce`.
    function _install(Header memory header, SeatList calldata seats, bytes memory before, uint32 nonce)
        private
        returns (uint32)
    {
        bool changed = header.nextSeatsHash != header.seatsHash;
        Term first = Term.wrap(Term.unwrap(header.term) + (changed ? 1 : 0));
        bytes memory content = SeatTable.build(REGISTRY, seats, header.nextSeatsHash, first, before);
        address pos = SSTORE2.write(content);
        emit SeatsChanged(first, header.nextSeatsHash, content.seatCount(), pos);
        return nonce;
    }

    /// @dev A time from the future would prolong trust.
    function _certifiedTime(Header memory header) private view returns (uint64) {
        uint256 nowMs = block.timestamp * 1000;
        return header.timestampMs < nowMs ? header.timestampMs : uint64(nowMs);
    }

    /// @dev The header of `ancestry`, shown to be final.
    function _final(Ancestry calldata ancestry) private view returns (HeaderHash hash, Header memory header) {
        require(!_head.stopped, ClientStopped());
        hash = HeaderCodec.hashOf(ancestry.header);
        header = HeaderCodec.decode(ancestry.header);
        (HeaderHash last, Height height) = (hash, header.height);
        for (uint256 i = 0; i < ancestry.descendants.length; ++i) {
            Header memory child = HeaderCodec.decode(ancestry.descendants[i]);
            require(child.parent == last, NotAChild(i, child.parent, last));
            (last, height) = (HeaderCodec.hashOf(ancestry.descendants[i]), child.height);
        }
        if (ancestry.anchor.length != 0) {
            Header memory anchor = HeaderCodec.decode(ancestry.anchor);
            History.verify(
                anchor.historyRoot,
                Height.unwrap(anchor.height),
                Height.unwrap(height),
                last,
                ancestry.siblings,
                ancestry.peaks
            );
            (last, height) = (HeaderCodec.hashOf(ancestry.anchor), anchor.height);
        }
        require(_headers[height] == last, NotFinal(height, last));
    }

    function _laneBlock(Ancestry calldata ancestry, uint256 position, bytes[] calldata proof)
        private
        view
        returns (bytes32, LaneBlock memory)
    {
        (, Header memory header) = _final(ancestry);
        (bool present, bytes memory entry) = Trie.get(header.lanesRoot, LibRLP.encode(position), proof);
        require(present, Lanes.MalformedLane());
        LaneBlock memory lane = Lanes.decode(entry);
        return (Lanes.hashOf(lane), lane);
    }
}
