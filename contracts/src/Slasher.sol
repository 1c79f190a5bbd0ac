// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IRegistry, KeyState} from "./interfaces/IRegistry.sol";
import {
    GWEI,
    G1Point,
    Gwei,
    HeaderHash,
    Height,
    KeyIndex,
    SeatList,
    SeatsHash,
    Term,
    View
} from "./types/Types.sol";
import {Bls} from "./libraries/Bls.sol";
import {Header, HeaderCodec} from "./libraries/HeaderCodec.sol";
import {History} from "./libraries/History.sol";
import {SeatPages} from "./libraries/SeatPages.sol";
import {SeatTable} from "./libraries/SeatTable.sol";
import {Vote, VoteKind, Votes} from "./libraries/Votes.sol";

/// @title Evidence against seats (R2)
/// @notice Two votes of one key that no honest seat casts, each signed over chain, seats and term:
///
/// - *in one view*: two different notarizes, two different finalizes, a nullify and a finalize. Confiscates at once.
/// - *across views*: finalize(v, B), and a vote in a later view of the term for a block that does not descend from
///   B. An honest seat casts both if view v was nullified, or another block was notarized in v. So it is accused,
///   and anybody may answer for it within `ANSWER_SECONDS` with that certificate; then the bond is the answerer's,
///   else the accuser's again.
///
/// Whether the key had a seat is not asked: an honest one signs contradictions under no seats hash. What a seat
/// of these seats had at risk comes from the registry; seats that it never settled put nothing at risk.
/// Rewards are credited and fetched, so that no receiver can stop a confiscation.
contract Slasher is ReentrancyGuardTransient {
    using SeatTable for bytes;

    /// @notice An open accusation.
    struct Accusation {
        address accuser;
        uint48 broughtAt;
        uint32 page;
        uint8 place;
        SeatsHash seats;
        Term term;
        View view_;
        HeaderHash payload;
    }

    event Convicted(KeyIndex indexed key, SeatsHash indexed seats, address indexed reporter, Gwei taken);
    event Accused(
        bytes32 indexed id, KeyIndex indexed key, SeatsHash seats, Term term, View view_, uint256 deadline
    );
    event Answered(bytes32 indexed id, VoteKind kind, HeaderHash payload, address answerer);
    event Dropped(bytes32 indexed id);
    event Claimed(address indexed who, uint256 amount);

    /// @notice An honest seat may cast both votes.
    error NoConflict();
    /// @notice A header is not the one that was voted for.
    error WrongHeader(HeaderHash got, HeaderHash want);
    /// @notice The second block descends from the first.
    error Descends(HeaderHash block_);
    /// @notice The bond is not what an accusation costs.
    error WrongBond(uint256 given, uint256 bond);
    error AlreadyAccused(bytes32 id);
    /// @notice The view was nullified.
    error ViewNullified(SeatsHash seats, Term term, View view_);
    error UnknownAccusation(bytes32 id);
    error TooLate(uint256 deadline);
    error TooEarly(uint256 deadline);
    /// @notice The certificate does not excuse: another kind, or for the accused block itself.
    error NoExcuse(VoteKind kind, HeaderHash payload);
    /// @notice Nothing is left to confiscate for this key.
    error NothingAtRisk(KeyIndex key, Gwei taken, Gwei price);
    error NothingOwed(address who);
    error NotRegistry(address caller);

    IRegistry public immutable REGISTRY;
    /// @notice What an accusation costs if it is answered, in wei. It pays for the answer.
    uint256 public immutable BOND;

    mapping(bytes32 id => Accusation) public accusations;
    mapping(bytes32 view_ => bool) private _nullified;
    /// @notice What somebody may fetch, in wei.
    mapping(address who => uint256) public owed;

    constructor(IRegistry registry, uint256 bond) {
        (REGISTRY, BOND) = (registry, bond);
    }

    /// @dev The reporter's share comes from the registry.
    receive() external payable {
        require(msg.sender == address(REGISTRY), NotRegistry(msg.sender));
    }

    /// @notice Evidence of two votes in one view.
    /// @param page Registry page of the key, and `place` in it.
    /// @param seats The seats hash that both votes are signed over.
    /// @param signature Sum of the two signatures.
    function slash(
        uint32 page,
        uint8 place,
        SeatsHash seats,
        Vote calldata first,
        Vote calldata second,
        G1Point calldata signature
    ) external nonReentrant returns (Gwei taken) {
        require(conflicting(first, second), NoConflict());
        _verifyBoth(page, place, seats, first, second, signature);
        KeyIndex key = REGISTRY.keyAt(page, place).index;
        taken = _confiscate(page, place, seats, msg.sender, uint48(block.timestamp));
        emit Convicted(key, seats, msg.sender, taken);
    }

    /// @notice Evidence of votes in two views: a finalize, and a later vote for a block that does not descend from it.
    /// @param signature Sum of the two signatures.
    /// @param headers RLP of the two blocks.
    /// @param other The block at the height of the first in the history of the second; ignored if the second is
    /// not higher.
    /// @param siblings Path of `other` in that history, and `peaks` of it.
    function accuse(
        uint32 page,
        uint8 place,
        SeatsHash seats,
        Vote[2] calldata votes,
        G1Point calldata signature,
        bytes[2] calldata headers,
        HeaderHash other,
        bytes32[] calldata siblings,
        bytes32[] calldata peaks
    ) external payable nonReentrant returns (bytes32 id) {
        require(msg.value == BOND, WrongBond(msg.value, BOND));
        require(acrossViews(votes[0], votes[1]), NoConflict());
        require(!_nullified[_viewId(seats, votes[0])], ViewNullified(seats, votes[0].term, votes[0].view_));
        _checkUnrelated(votes, headers, other, siblings, peaks);
        _verifyBoth(page, place, seats, votes[0], votes[1], signature);

        KeyState memory key = REGISTRY.keyAt(page, place);
        Gwei price = REGISTRY.settlement(seats).price;
        require(key.taken < price, NothingAtRisk(key.index, key.taken, price));
        uint256 end = REGISTRY.accountableUntil(key);
        require(block.timestamp <= end, IRegistry.KeyForgotten(key.index, end));
        id = keccak256(abi.encode(key.index, seats, votes));
        require(accusations[id].accuser == address(0), AlreadyAccused(id));
        accusations[id] = Accusation(
            msg.sender,
            uint48(block.timestamp),
            page,
            place,
            seats,
            votes[0].term,
            votes[0].view_,
            votes[0].payload
        );
        uint256 deadline = block.timestamp + REGISTRY.ANSWER_SECONDS();
        emit Accused(id, key.index, seats, votes[0].term, votes[0].view_, deadline);
        // Long enough for a verdict that follows.
        REGISTRY.freeze(key.operator, uint48(deadline + REGISTRY.EVIDENCE_SECONDS()));
    }

    /// @notice Answers an accusation by a certificate that excuses it: a nullification of the view, or a
    /// notarization of another block in it, which is evidence against those who made it. Takes the bond.
    /// @param list The seats, as they stand in the registry.
    /// @param vote What a quorum of them signed.
    function answer(
        bytes32 id,
        SeatList calldata list,
        Vote calldata vote,
        G1Point calldata signature,
        bytes calldata bitmap
    ) external nonReentrant {
        Accusation memory found = accusations[id];
        require(found.accuser != address(0), UnknownAccusation(id));
        uint256 deadline = uint256(found.broughtAt) + REGISTRY.ANSWER_SECONDS();
        require(block.timestamp <= deadline, TooLate(deadline));
        bool sameView = Term.unwrap(vote.term) == Term.unwrap(found.term)
            && View.unwrap(vote.view_) == View.unwrap(found.view_);
        bool excuses = vote.kind == VoteKind.Nullify
            || (vote.kind == VoteKind.Notarize && vote.payload != found.payload);
        require(sameView && excuses, NoExcuse(vote.kind, vote.payload));

        bytes memory table = SeatTable.build(address(REGISTRY), list, found.seats, found.term, "");
        bytes memory message = Votes.message(REGISTRY.CHAIN_ID(), found.seats, vote);
        Bls.verifyMinus(table.minusSigners(address(REGISTRY), bitmap), message, Bls.DOMAIN_VOTE, signature);

        if (vote.kind == VoteKind.Nullify) _nullified[_viewId(found.seats, vote)] = true;
        delete accusations[id];
        owed[msg.sender] += BOND;
        emit Answered(id, vote.kind, vote.payload, msg.sender);
    }

    /// @notice Ends an accusation that nobody answered in time: confiscates, and gives the bond back. Anybody may.
    function convict(bytes32 id) external nonReentrant returns (Gwei taken) {
        Accusation memory found = accusations[id];
        require(found.accuser != address(0), UnknownAccusation(id));
        uint256 deadline = uint256(found.broughtAt) + REGISTRY.ANSWER_SECONDS();
        require(block.timestamp > deadline, TooEarly(deadline));
        delete accusations[id];
        owed[found.accuser] += BOND;
        KeyState memory key = REGISTRY.keyAt(found.page, found.place);
        bool atRisk = key.taken < REGISTRY.settlement(found.seats).price;
        // Another piece of evidence may have taken it, or an answer to another accusation excused the view.
        if (!atRisk || _nullified[keccak256(abi.encode(found.seats, found.term, found.view_))]) {
            emit Dropped(id);
            return taken;
        }
        taken = _confiscate(found.page, found.place, found.seats, found.accuser, found.broughtAt);
        emit Convicted(key.index, found.seats, found.accuser, taken);
    }

    /// @notice Pays out what the caller is owed.
    function claim(address payable to) external nonReentrant {
        uint256 amount = owed[msg.sender];
        require(amount > 0, NothingOwed(msg.sender));
        owed[msg.sender] = 0;
        emit Claimed(msg.sender, amount);
        Address.sendValue(to, amount);
    }

    /// @notice Whether an honest seat never casts both of these, being in one view.
    function conflicting(Vote calldata first, Vote calldata second) public pure returns (bool) {
        if (
            Term.unwrap(first.term) != Term.unwrap(second.term)
                || View.unwrap(first.view_) != View.unwrap(second.view_)
        ) return false;
        if (first.kind == second.kind) {
            bool differ = View.unwrap(first.parentView) != View.unwrap(second.parentView)
                || first.payload != second.payload;
            return first.kind != VoteKind.Nullify && differ;
        }
        return first.kind != VoteKind.Notarize && second.kind != VoteKind.Notarize;
    }

    /// @notice Whether these are a finalize and a vote for a block in a later view of the same term.
    function acrossViews(Vote calldata first, Vote calldata second) public pure returns (bool) {
        return first.kind == VoteKind.Finalize && second.kind != VoteKind.Nullify
            && Term.unwrap(first.term) == Term.unwrap(second.term)
            && View.unwrap(second.view_) > View.unwrap(first.view_);
    }

    /// @dev The second block does not descend from the first: at the first one's height its history has another
    /// block, or it is itself not higher. Whoever voted for it vouched for its history.
    function _checkUnrelated(
        Vote[2] calldata votes,
        bytes[2] calldata headers,
        HeaderHash other,
        bytes32[] calldata siblings,
        bytes32[] calldata peaks
    ) private pure {
        for (uint256 i = 0; i < 2; ++i) {
            HeaderHash hash = HeaderCodec.hashOf(headers[i]);
            require(hash == votes[i].payload, WrongHeader(hash, votes[i].payload));
        }
        require(votes[0].payload != votes[1].payload, NoConflict());
        Height first = HeaderCodec.decode(headers[0]).height();
        Header second = HeaderCodec.decode(headers[1]);
        if (!(second.height() > first)) return;
        require(other != votes[0].payload, Descends(other));
        History.verify(
            second.historyRoot(), Height.unwrap(second.height()), Height.unwrap(first), other, siblings, peaks
        );
    }

    function _verifyBoth(
        uint32 page,
        uint8 place,
        SeatsHash seats,
        Vote calldata first,
        Vote calldata second,
        G1Point calldata signature
    ) private view {
        uint64 chainId = REGISTRY.CHAIN_ID();
        Bls.verifyBoth(
            SeatPages.keyAt(address(REGISTRY), page, place),
            Votes.message(chainId, seats, first),
            Votes.message(chainId, seats, second),
            Bls.DOMAIN_VOTE,
            signature
        );
    }

    /// @dev The registry sends the reward here.
    function _confiscate(uint32 page, uint8 place, SeatsHash seats, address reporter, uint48 broughtAt)
        private
        returns (Gwei taken)
    {
        Gwei reward;
        (taken, reward) = REGISTRY.slash(page, place, seats, reporter, broughtAt);
        owed[reporter] += uint256(Gwei.unwrap(reward)) * GWEI;
    }

    function _viewId(SeatsHash seats, Vote calldata vote) private pure returns (bytes32) {
        return keccak256(abi.encode(seats, vote.term, vote.view_));
    }
}
