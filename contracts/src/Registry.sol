// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {
    IRegistry,
    KeyRegistration,
    KeyState,
    RegistryConfig,
    Settlement,
    Stakes,
    Weight
} from "./interfaces/IRegistry.sol";
import {IRestaking} from "./interfaces/IRestaking.sol";
import {Epoch, G2Point, GWEI, Gwei, KeyIndex, OperatorId, SeatList, SeatsHash} from "./types/Types.sol";
import {Bls} from "./libraries/Bls.sol";
import {Divisor} from "./libraries/Divisor.sol";
import {Ed25519} from "./libraries/Ed25519.sol";
import {SeatPages} from "./libraries/SeatPages.sol";
import {SeatTable} from "./libraries/SeatTable.sol";

/// @title Operators, their keys and their stake (R2, R3, R10)
/// @notice Seats come from here: stake and keys change at the start of an epoch, and once an epoch anybody settles
/// the seats that follow from them. The chain takes the seats of the newest settlement; evidence finds in it what
/// a seat had at risk.
///
/// - The balance is the sum of all bonded and unbonding ether.
/// - Ether that left could be confiscated until `UNBONDING_SECONDS` after the epoch in which it last counted.
/// - A key has one owner for ever, and its possession was proved.
///
/// Where the newest settlement stands in storage is part of the interface, for those that read it by proof of
/// storage: `latest` is slot 1; the settlement of seats hash `h` is slot `keccak256(h ‖ uint256(10))`, with, from the
/// lowest bit, `price` (64 bits), `priced` (48), `epoch` (48) and `seats` (16), the rest zero. `build.mjs` checks it.
contract Registry is IRegistry, ReentrancyGuardTransient {
    /// @notice An operator.
    /// @param owner Who acts for it, and where its restaked stake is.
    /// @param frozenUntil Before this no ether leaves.
    struct Operator {
        address owner;
        uint48 frozenUntil;
    }

    /// @notice Who signs lane blocks for an operator, now and from an epoch on.
    struct Proposer {
        address signer;
        Epoch from;
        address nextSigner;
    }

    /// @dev Settling reads each operator, so that their number bounds what it costs. Each must bring the stake
    /// of a seat to be counted.
    uint256 public constant OPERATORS_MAX = 1024;
    /// @notice Share of what is confiscated that the reporter gets; the rest is burnt. Less than half, so that
    /// reporting oneself costs most of it, whoever shares the reward.
    uint256 public constant REWARD_PERCENT = 10;
    /// @dev Of a name of 11 bytes, the chain's id, this contract and the owner.
    uint8 private constant POSSESSION_NAMESPACE_BYTES = 11 + 8 + 20 + 20;
    /// @dev Nobody has its key.
    address private constant BURNT = 0x000000000000000000000000000000000000dEaD;

    /// @inheritdoc IRegistry
    uint64 public immutable CHAIN_ID;
    uint48 public immutable GENESIS;
    uint32 public immutable EPOCH_SECONDS;
    uint32 public immutable TRUST_SECONDS;
    /// @inheritdoc IRegistry
    uint32 public immutable ANSWER_SECONDS;
    /// @inheritdoc IRegistry
    uint32 public immutable EVIDENCE_SECONDS;
    uint32 public immutable UNBONDING_SECONDS;
    Gwei public immutable MIN_SEAT;
    uint16 public immutable SEATS_MAX;
    address public immutable SLASHER;
    IRestaking public immutable RESTAKING;

    /// @notice How many operators there are; the first is 1.
    uint32 public operatorCount;
    /// @notice How many keys were registered.
    uint32 public keyCount;
    /// @notice How many pages were written; the first is 1. Equal to this contract's nonce minus one.
    uint32 public pageCount;
    // When seats were last settled, plus one.
    uint48 private _settledEpoch;
    /// @notice The newest settled seats; zero before there are any. Slot 1.
    SeatsHash public latest;

    mapping(OperatorId operator => Operator) private _operators;
    mapping(OperatorId operator => Weight) private _weights;
    mapping(OperatorId operator => Stakes) private _stakes;
    mapping(OperatorId operator => Proposer) private _proposers;
    /// @notice The operator of an owner; 0 if there is none.
    mapping(address owner => OperatorId) public operatorOf;
    /// @notice Whose signer an address is; 0 if nobody's. It stays so for good.
    mapping(address signer => OperatorId) public signerOf;
    mapping(bytes32 keyHash => KeyState) private _keys;
    mapping(bytes32 identity => bool) private _identities;
    // Slot 10: see above.
    mapping(SeatsHash seats => Settlement) private _settlements;

    modifier onlyOwner(OperatorId operator) {
        require(_operators[operator].owner == msg.sender, NotOwner(operator, msg.sender));
        _;
    }

    modifier onlySlasher() {
        require(msg.sender == SLASHER, NotSlasher(msg.sender));
        _;
    }

    constructor(RegistryConfig memory config) {
        require(
            config.epochSeconds > 0 && config.genesis <= block.timestamp && config.slasher != address(0)
                && config.unbondingSeconds
                    > uint256(config.trustSeconds) + config.answerSeconds + config.evidenceSeconds
                && Gwei.unwrap(config.minSeat) > 0 && config.seatsMax >= SeatTable.SEATS_MIN
                && config.seatsMax <= SeatTable.SEATS_MAX,
            BadConfig()
        );
        CHAIN_ID = config.chainId;
        GENESIS = config.genesis;
        EPOCH_SECONDS = config.epochSeconds;
        TRUST_SECONDS = config.trustSeconds;
        ANSWER_SECONDS = config.answerSeconds;
        EVIDENCE_SECONDS = config.evidenceSeconds;
        UNBONDING_SECONDS = config.unbondingSeconds;
        MIN_SEAT = config.minSeat;
        SEATS_MAX = config.seatsMax;
        SLASHER = config.slasher;
        RESTAKING = config.restaking;
    }

    // --- operators and stake ---

    /// @notice Registers the caller as an operator, with the ether sent as its stake.
    function registerOperator() external payable returns (OperatorId operator) {
        OperatorId known = operatorOf[msg.sender];
        require(OperatorId.unwrap(known) == 0, OwnerTaken(msg.sender, known));
        require(operatorCount < OPERATORS_MAX, TooManyOperators(OPERATORS_MAX));
        operator = OperatorId.wrap(++operatorCount);
        operatorOf[msg.sender] = operator;
        _operators[operator].owner = msg.sender;
        emit OperatorRegistered(operator, msg.sender);
        // Places are limited, so an empty one is not to be had for gas alone; whoever restakes brings this too.
        Gwei amount = _deposit(operator, msg.value);
        require(MIN_SEAT <= amount, TooLittle(amount, MIN_SEAT));
    }

    /// @notice Adds ether to an operator's stake, from the next epoch on. Anybody may.
    function deposit(OperatorId operator) external payable {
        require(_operators[operator].owner != address(0), NotOwner(operator, msg.sender));
        _deposit(operator, msg.value);
    }

    /// @notice Takes stake out of the count from the next epoch on; it may leave `UNBONDING_SECONDS` after that.
    /// @dev One exit at a time: what is already leaving waits for what joins it.
    function requestExit(OperatorId operator, Gwei amount) external onlyOwner(operator) {
        Stakes storage stakes = _stakes[operator];
        require(Gwei.unwrap(amount) > 0, TooLittle(amount, Gwei.wrap(1)));
        require(amount <= stakes.bonded, TooMuch(amount, stakes.bonded));
        Weight memory weight = _rolled(operator);
        stakes.bonded = stakes.bonded - amount;
        stakes.unbonding = stakes.unbonding + amount;
        stakes.releaseAt = uint48(epochStart(weight.from) + UNBONDING_SECONDS);
        weight.nextStake = weight.nextStake - amount;
        _weights[operator] = weight;
        emit ExitRequested(operator, amount, stakes.releaseAt, weight.from);
    }

    /// @notice Pays out what has finished leaving.
    function withdraw(OperatorId operator, address payable to) external onlyOwner(operator) nonReentrant {
        Stakes storage stakes = _stakes[operator];
        Gwei amount = stakes.unbonding;
        require(Gwei.unwrap(amount) > 0, NothingToWithdraw(operator));
        require(block.timestamp >= stakes.releaseAt, StillBonded(stakes.releaseAt));
        uint48 frozenUntil = _operators[operator].frozenUntil;
        require(block.timestamp >= frozenUntil, StillFrozen(frozenUntil));
        stakes.unbonding = Gwei.wrap(0);
        emit Withdrawn(operator, amount, to);
        Address.sendValue(to, _wei(amount));
    }

    /// @notice Takes over what an operator has restaked elsewhere, from the next epoch on. Anybody may.
    function syncRestaked(OperatorId operator) external nonReentrant {
        Gwei amount = RESTAKING.stakeOf(_operators[operator].owner);
        Stakes storage stakes = _stakes[operator];
        Weight memory weight = _rolled(operator);
        weight.nextStake = weight.nextStake - stakes.restaked + amount;
        stakes.restaked = amount;
        _weights[operator] = weight;
        emit RestakedSynced(operator, amount, weight.from);
    }

    // --- keys ---

    /// @notice Registers keys, for seats from the next epoch on. They stand in one new page.
    function registerKeys(OperatorId operator, KeyRegistration[] calldata keys) external onlyOwner(operator) {
        _registerKeys(operator, keys);
    }

    /// @notice Takes a key out of the count from the next epoch on.
    function retireKey(OperatorId operator, uint256 page, uint256 place) external onlyOwner(operator) {
        _retireKey(operator, page, place);
    }

    /// @notice Retires a key and registers others, all from the next epoch on.
    function rotateKey(OperatorId operator, uint256 page, uint256 place, KeyRegistration[] calldata keys)
        external
        onlyOwner(operator)
    {
        _retireKey(operator, page, place);
        _registerKeys(operator, keys);
    }

    /// @notice Writes keys that are registered into one page together, so that a light client reads fewer pages.
    /// Anybody may.
    function repack(SeatList calldata list) external {
        address[] memory pages = SeatPages.addresses(address(this), list);
        uint256 count = list.entries.length / 2;
        require(count > 0 && count <= SeatPages.ENTRIES_MAX, KeyCount(count, SeatPages.ENTRIES_MAX));
        bytes memory content = new bytes(count * SeatPages.ENTRY_BYTES);
        for (uint256 i = 0; i < count; ++i) {
            uint256 page = uint8(list.entries[2 * i]);
            require(page < pages.length, SeatPages.NoEntry(page, i));
            uint256 place = uint8(list.entries[2 * i + 1]);
            SeatPages.put(content, i, SeatPages.readFrom(pages[page], page, place));
        }
        _writePage(++pageCount, content);
    }

    /// @notice Names who signs lane blocks for an operator, from the next epoch on.
    /// @param identity ed25519 key of the proposer on the p2p network.
    /// @param signature The signer's, over `proposerDigest(operator)`.
    function setProposer(OperatorId operator, address signer, bytes32 identity, bytes calldata signature)
        external
        onlyOwner(operator)
    {
        OperatorId known = signerOf[signer];
        require(
            OperatorId.unwrap(known) == 0 || OperatorId.unwrap(known) == OperatorId.unwrap(operator),
            SignerTaken(signer, known)
        );
        address recovered = ECDSA.recover(proposerDigest(operator), signature);
        require(recovered == signer, WrongSigner(recovered, signer));
        signerOf[signer] = operator;
        Proposer storage proposer = _proposers[operator];
        if (proposer.from <= currentEpoch()) proposer.signer = proposer.nextSigner;
        proposer.nextSigner = signer;
        proposer.from = _nextEpoch();
        emit ProposerSet(operator, signer, identity, proposer.from);
    }

    // --- seats ---

    /// @notice Settles the seats of the present epoch: what the divisor rule gives for the stake that counts now.
    /// Anybody may, once an epoch, and once more after each confiscation.
    /// @dev If an operator has more keys than seats, whoever settles says which of them sit.
    /// @param list The seats, in strictly ascending order of identity.
    /// @param price The last quotient awarded: see `allocation`.
    function settle(SeatList calldata list, Gwei price) external {
        Epoch epoch = currentEpoch();
        require(_settledEpoch <= Epoch.unwrap(epoch), AlreadySettled(epoch));
        (uint256[] memory stakes, uint256[] memory keys) = _counted(epoch);
        uint256[] memory seats = _seatsOf(list, epoch, stakes.length);
        Divisor.check(stakes, keys, seats, Gwei.unwrap(price), Gwei.unwrap(MIN_SEAT), SEATS_MAX);
        (SeatsHash hash, uint256 count,) =
            SeatPages.hashOf(SeatPages.addresses(address(this), list), list.entries);
        require(count >= SeatTable.SEATS_MIN, SeatTable.SeatCount(count));

        // The same seats may have been dearer before, in votes that can still be accused.
        Settlement memory known = _settlements[hash];
        bool dearer = price < known.price && block.timestamp < epochStart(known.priced) + UNBONDING_SECONDS;
        _settlements[hash] = dearer
            ? Settlement(known.price, known.priced, epoch, uint16(count))
            : Settlement(price, epoch, epoch, uint16(count));
        (latest, _settledEpoch) = (hash, Epoch.unwrap(epoch) + 1);
        emit Settled(epoch, hash, price, count, list.pages, list.entries);
    }

    // --- evidence ---

    /// @inheritdoc IRegistry
    function slash(uint256 page, uint256 place, SeatsHash seats, address reporter, uint48 broughtAt)
        external
        onlySlasher
        nonReentrant
        returns (Gwei taken, Gwei reward)
    {
        (KeyState storage key, OperatorId operator) = _key(page, place);
        Gwei price = _settlements[seats].price;
        require(Gwei.unwrap(price) > 0, UnknownSeats(seats));
        require(key.taken < price, AlreadySlashed(key.index, key.taken, price));
        Gwei due = price - key.taken;
        key.taken = price;
        _retireNow(operator, key, broughtAt);
        _settledEpoch = 0;
        _freeze(operator, uint48(block.timestamp + EVIDENCE_SECONDS));

        Gwei fromEther = _confiscate(operator, due);
        taken = fromEther;
        if (fromEther < due && address(RESTAKING) != address(0)) {
            Gwei elsewhere = RESTAKING.slash(_operators[operator].owner, due - fromEther);
            taken = taken + elsewhere;
        }
        reward = Gwei.wrap(uint64(uint256(Gwei.unwrap(fromEther)) * REWARD_PERCENT / 100));
        emit Slashed(operator, key.index, reporter, taken, reward);
        Address.sendValue(payable(SLASHER), _wei(reward));
        Address.sendValue(payable(BURNT), _wei(fromEther - reward));
    }

    /// @inheritdoc IRegistry
    function freeze(OperatorId operator, uint48 until) external onlySlasher {
        _freeze(operator, until);
    }

    // --- views ---

    /// @notice The epoch that is now.
    function currentEpoch() public view returns (Epoch) {
        return Epoch.wrap(uint48((block.timestamp - GENESIS) / EPOCH_SECONDS));
    }

    /// @notice When an epoch starts.
    function epochStart(Epoch epoch) public view returns (uint256) {
        return GENESIS + uint256(Epoch.unwrap(epoch)) * EPOCH_SECONDS;
    }

    /// @notice What a key must sign to be registered by `owner`: its name, the chain, this contract, the owner
    /// and the key, so that nobody registers another's key or an aggregate that cancels others.
    function possessionMessage(address owner, bytes memory compressedKey) public view returns (bytes memory) {
        return abi.encodePacked(
            POSSESSION_NAMESPACE_BYTES, "CORTADO_POP", CHAIN_ID, address(this), owner, compressedKey
        );
    }

    /// @notice What a proposer's key must sign to be an operator's.
    function proposerDigest(OperatorId operator) public view returns (bytes32) {
        return keccak256(abi.encode("CORTADO_PROPOSER", CHAIN_ID, block.chainid, address(this), operator));
    }

    /// @notice Owner, and when its exits thaw.
    function operatorAt(OperatorId operator) external view returns (address owner, uint48 frozenUntil) {
        Operator memory found = _operators[operator];
        return (found.owner, found.frozenUntil);
    }

    /// @notice Where an operator's stake is.
    function stakesOf(OperatorId operator) external view returns (Stakes memory) {
        return _stakes[operator];
    }

    /// @notice What counts for an operator now, and from the next change on.
    function weightOf(OperatorId operator) external view returns (Weight memory weight) {
        weight = _weights[operator];
        if (weight.from <= currentEpoch()) (weight.stake, weight.keys) = (weight.nextStake, weight.nextKeys);
    }

    /// @notice Who signs lane blocks for an operator in the present epoch.
    function proposerOf(OperatorId operator) external view returns (address) {
        Proposer memory proposer = _proposers[operator];
        return proposer.from <= currentEpoch() ? proposer.nextSigner : proposer.signer;
    }

    /// @inheritdoc IRegistry
    function keyAt(uint256 page, uint256 place) external view returns (KeyState memory state) {
        (state,) = _key(page, place);
    }

    /// @inheritdoc IRegistry
    function accountableUntil(KeyState memory key) public view returns (uint256) {
        return epochStart(key.until) + UNBONDING_SECONDS;
    }

    /// @inheritdoc IRegistry
    function settlement(SeatsHash seats) external view returns (Settlement memory) {
        return _settlements[seats];
    }

    /// @notice What the divisor rule gives now: the price, and the seats of each operator from 1 on.
    function allocation() external view returns (Gwei price, uint256[] memory seats) {
        (uint256[] memory stakes, uint256[] memory keys) = _counted(currentEpoch());
        uint256 value;
        (value, seats) = Divisor.allocate(stakes, keys, Gwei.unwrap(MIN_SEAT), SEATS_MAX);
        price = Gwei.wrap(uint64(value));
    }

    // --- how ---

    function _deposit(OperatorId operator, uint256 value) private returns (Gwei amount) {
        require(value > 0 && value % GWEI == 0, NotWholeGwei(value));
        amount = Gwei.wrap(uint64(value / GWEI));
        Weight memory weight = _rolled(operator);
        weight.nextStake = weight.nextStake + amount;
        _weights[operator] = weight;
        _stakes[operator].bonded = _stakes[operator].bonded + amount;
        emit Deposited(operator, amount, weight.from);
    }

    /// @dev Takes ether, first what counts and then what is leaving, and lowers what counts at once.
    function _confiscate(OperatorId operator, Gwei due) private returns (Gwei taken) {
        Stakes memory stakes = _stakes[operator];
        Weight memory weight = _rolled(operator);
        Gwei fromBonded = due < stakes.bonded ? due : stakes.bonded;
        Gwei rest = due - fromBonded;
        Gwei fromLeaving = rest < stakes.unbonding ? rest : stakes.unbonding;
        stakes.bonded = stakes.bonded - fromBonded;
        stakes.unbonding = stakes.unbonding - fromLeaving;
        rest = rest - fromLeaving;
        // What is left is the adapter's to take; it does not count any more whatever the adapter finds.
        stakes.restaked = stakes.restaked - (rest < stakes.restaked ? rest : stakes.restaked);
        weight.nextStake = stakes.bonded + stakes.restaked;
        Gwei present = weight.nextStake + stakes.unbonding;
        if (present < weight.stake) weight.stake = present;
        _weights[operator] = weight;
        _stakes[operator] = stakes;
        return fromBonded + fromLeaving;
    }

    function _freeze(OperatorId operator, uint48 until) private {
        if (until <= _operators[operator].frozenUntil) return;
        _operators[operator].frozenUntil = until;
        emit Frozen(operator, until);
    }

    function _registerKeys(OperatorId operator, KeyRegistration[] calldata keys) private {
        require(
            keys.length > 0 && keys.length <= SeatPages.ENTRIES_MAX,
            KeyCount(keys.length, SeatPages.ENTRIES_MAX)
        );
        Weight memory weight = _rolled(operator);
        weight.nextKeys += uint16(keys.length);
        _weights[operator] = weight;
        bytes memory content = new bytes(keys.length * SeatPages.ENTRY_BYTES);
        (uint32 first, uint32 page) = (keyCount, pageCount + 1);
        for (uint256 i = 0; i < keys.length; ++i) {
            KeyRegistration calldata given = keys[i];
            KeyIndex index = KeyIndex.wrap(first + uint32(i));
            bytes memory compressed = _registerKey(operator, given, index, weight.from);
            SeatPages.encode(content, i, index, given.identity, compressed, given.key);
            emit KeyRegistered(operator, index, given.identity, compressed, page, uint8(i), weight.from);
        }
        (keyCount, pageCount) = (first + uint32(keys.length), page);
        _writePage(page, content);
    }

    /// @return compressed The compressed key.
    function _registerKey(OperatorId operator, KeyRegistration calldata given, KeyIndex index, Epoch from)
        private
        returns (bytes memory compressed)
    {
        bytes32 identity = given.identity;
        G2Point memory key = given.key;
        compressed = Bls.compress(key);
        bytes32 keyHash = keccak256(compressed);
        KeyState storage state = _keys[keyHash];
        require(OperatorId.unwrap(state.operator) == 0, KeyTaken(state.index));
        require(!_identities[identity], IdentityTaken(identity));
        // A seat whose identity is no key would stop every node in the term that seats it.
        require(Ed25519.isKey(identity), InvalidIdentity(identity));
        Bls.verify(key, possessionMessage(msg.sender, compressed), Bls.DOMAIN_POSSESSION, given.possession);
        _keys[keyHash] = KeyState(index, operator, from, Epoch.wrap(type(uint48).max), Gwei.wrap(0));
        _identities[identity] = true;
    }

    function _retireKey(OperatorId operator, uint256 page, uint256 place) private {
        (KeyState storage key, OperatorId owner) = _key(page, place);
        require(OperatorId.unwrap(owner) == OperatorId.unwrap(operator), NotOwner(owner, msg.sender));
        require(Epoch.unwrap(key.until) == type(uint48).max, KeyRetiring(key.index, key.until));
        Weight memory weight = _rolled(operator);
        --weight.nextKeys;
        _weights[operator] = weight;
        key.until = weight.from;
        emit KeyRetired(operator, key.index, weight.from);
    }

    /// @dev Retires a key at once, whatever is planned for it. Refuses one that was retired so long ago that its
    /// stake had time to leave.
    function _retireNow(OperatorId operator, KeyState storage key, uint48 broughtAt) private {
        Weight memory weight = _rolled(operator);
        Epoch epoch = currentEpoch();
        Epoch until = key.until;
        if (until <= epoch) {
            uint256 end = accountableUntil(key);
            require(broughtAt <= end, KeyForgotten(key.index, end));
            return;
        }
        if (key.from <= epoch) --weight.keys;
        if (Epoch.unwrap(until) == type(uint48).max) --weight.nextKeys;
        _weights[operator] = weight;
        key.until = epoch;
        emit KeyRetired(operator, key.index, epoch);
    }

    /// @dev Creates page number `page`, which must be the next one.
    function _writePage(uint32 page, bytes memory content) private {
        SSTORE2.write(content);
        emit PageWritten(page, content.length / SeatPages.ENTRY_BYTES);
    }

    function _key(uint256 page, uint256 place)
        private
        view
        returns (KeyState storage state, OperatorId operator)
    {
        bytes32 keyHash = keccak256(SeatPages.compressedOf(SeatPages.read(address(this), page, place)));
        state = _keys[keyHash];
        operator = state.operator;
        require(OperatorId.unwrap(operator) != 0, UnknownKey(keyHash));
    }

    /// @dev The weight with the change that is due made, ready for one that takes effect in the next epoch.
    function _rolled(OperatorId operator) private view returns (Weight memory weight) {
        weight = _weights[operator];
        Epoch epoch = currentEpoch();
        if (weight.from <= epoch) (weight.stake, weight.keys) = (weight.nextStake, weight.nextKeys);
        weight.from = Epoch.wrap(Epoch.unwrap(epoch) + 1);
    }

    function _nextEpoch() private view returns (Epoch) {
        return Epoch.wrap(Epoch.unwrap(currentEpoch()) + 1);
    }

    /// @dev What counts in an epoch, of each operator from 1 on.
    function _counted(Epoch epoch) private view returns (uint256[] memory stakes, uint256[] memory keys) {
        uint256 count = operatorCount;
        (stakes, keys) = (new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; ++i) {
            Weight memory weight = _weights[OperatorId.wrap(uint32(i + 1))];
            bool due = weight.from <= epoch;
            stakes[i] = Gwei.unwrap(due ? weight.nextStake : weight.stake);
            keys[i] = due ? weight.nextKeys : weight.keys;
        }
    }

    /// @dev Counts the seats of each operator, after a check of order and keys.
    function _seatsOf(SeatList calldata list, Epoch epoch, uint256 operators)
        private
        view
        returns (uint256[] memory seats)
    {
        seats = new uint256[](operators);
        address[] memory pages = SeatPages.addresses(address(this), list);
        bytes32 before;
        for (uint256 i = 0; 2 * i < list.entries.length; ++i) {
            uint256 page = uint8(list.entries[2 * i]);
            require(page < pages.length, SeatPages.NoEntry(page, i));
            bytes memory entry = SeatPages.readFrom(pages[page], page, uint8(list.entries[2 * i + 1]));
            bytes32 identity = SeatPages.identityOf(entry);
            require(i == 0 || identity > before, SeatsOutOfOrder(i));
            before = identity;
            KeyState memory key = _keys[keccak256(SeatPages.compressedOf(entry))];
            require(key.from <= epoch && epoch < key.until, KeyNotActive(key.index, epoch));
            ++seats[OperatorId.unwrap(key.operator) - 1];
        }
    }

    function _wei(Gwei amount) private pure returns (uint256) {
        return uint256(Gwei.unwrap(amount)) * GWEI;
    }
}
