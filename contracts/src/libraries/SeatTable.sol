// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibBit} from "solady/utils/LibBit.sol";
import {SeatList, SeatsHash, Term} from "../types/Types.sol";
import {Bls} from "./Bls.sol";
import {SeatPages} from "./SeatPages.sol";

/// @title The seats of the present term, in the code of a contract
/// @notice What an update needs, read by one copy: minus the sum of all keys, to which the keys of absent seats are
/// added, and where these keys stand. What comes out is minus the
/// key of those who signed, as the check wants it.
///
/// ```text
///   0  seats hash, 32          234  number of pages − 1, 1
///  32  minus all keys, 192     235  pages, 4 each
/// 224  first term, 8                entries, 2 each (page, place)
/// 232  number of seats, 2
/// ```
library SeatTable {
    /// @notice A set has `SEATS_MIN` to `SEATS_MAX` seats.
    error SeatCount(uint256 seats);
    /// @notice The list of seats does not hash to what the certified header names.
    error WrongSeats(SeatsHash got, SeatsHash want);
    /// @notice The bitmap has another length than this number of seats needs, or a bit past the last one.
    error WrongBitmap(uint256 bytesGiven, uint256 seats);
    /// @notice Fewer seats signed than a quorum.
    error BelowQuorum(uint256 signers, uint256 quorum);

    uint256 internal constant SEATS_MIN = 4;
    uint256 internal constant SEATS_MAX = 1024;

    uint256 private constant SUM_AT = 32;
    uint256 private constant TERM_AT = 224;
    uint256 private constant COUNT_AT = 232;
    uint256 private constant PAGES_AT = 235;
    /// @dev Of `SeatPages.newSum`.
    uint256 private constant ROOM_BYTES = 736;

    /// @notice Seats that a certificate needs: `n − f`, `f` the largest number with `3f < n` (R2).
    function quorum(uint256 seats) internal pure returns (uint256) {
        return seats - (seats - 1) / 3;
    }

    /// @notice The content of a table for `list`, whose hash must be `want`.
    /// @param before The table whose sum the new one is derived from; empty to add all keys.
    function build(address registry, SeatList calldata list, SeatsHash want, Term first, bytes memory before)
        internal
        view
        returns (bytes memory table)
    {
        address[] memory pos = SeatPages.addresses(registry, list);
        (SeatsHash got, uint256 count, uint256 rlp) = SeatPages.hashOf(pos, list.entries);
        require(count >= SEATS_MIN && count <= SEATS_MAX, SeatCount(count));
        require(got == want, WrongSeats(got, want));
        table = abi.encodePacked(
            SeatsHash.unwrap(want),
            new bytes(192),
            Term.unwrap(first),
            uint16(count),
            uint8(list.pages.length / 4 - 1),
            list.pages,
            list.entries
        );
        uint256 sum = 0;
        if (before.length == 0) {
            sum = SeatPages.newSum();
            for (uint256 i = 0; i < list.entries.length; i += 2) {
                SeatPages.addKey(sum, pos[uint8(list.entries[i])], uint8(list.entries[i + 1]), true);
            }
        } else {
            sum = _room(before);
            _addChanges(sum, registry, before, table, pos, rlp);
        }
        assembly ("memory-safe") {
            let to := add(table, add(0x20, SUM_AT))
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mcopy(add(to, mul(i, 48)), add(add(sum, 0x10), shl(6, i)), 48)
            }
        }
    }

    /// @notice The table in the code of `at`.
    function load(address pos) internal view returns (bytes memory table) {
        assembly ("memory-safe") {
            table := mload(0x40)
            let size := sub(extcodesize(pos), 1)
            mstore(table, size)
            mstore(0x40, and(add(add(table, 0x3f), size), not(0x1f)))
            extcodecopy(pos, add(table, 0x20), 1, size)
        }
    }

    /// @notice The hash of the seats.
    function seatsHash(bytes memory table) internal pure returns (SeatsHash hash) {
        assembly ("memory-safe") {
            hash := mload(add(table, 0x20))
        }
    }

    /// @notice The first term in which these seats sat without interruption.
    function firstTerm(bytes memory table) internal pure returns (Term term) {
        assembly ("memory-safe") {
            term := shr(192, mload(add(table, add(0x20, TERM_AT))))
        }
    }

    /// @notice How many seats.
    function seatCount(bytes memory table) internal pure returns (uint256 count) {
        assembly ("memory-safe") {
            count := shr(240, mload(add(table, add(0x20, COUNT_AT))))
        }
    }

    /// @notice How many pages its seats stand in.
    function pageCount(bytes memory table) internal pure returns (uint256 count) {
        assembly ("memory-safe") {
            count := add(1, byte(0, mload(add(table, add(0x1f, PAGES_AT)))))
        }
    }

    /// @notice Minus the sum of the keys whose bits are set: minus that of all, plus those of the absent.
    /// @param bitmap One bit a seat, least significant bit first, `⌈n/8⌉` bytes, no bit at or past `n` (R2).
    /// @return room Where in memory the key is, as EIP-2537 has it.
    function minusSigners(bytes memory table, address registry, bytes calldata bitmap)
        internal
        view
        returns (uint256 room)
    {
        uint256 seats = seatCount(table);
        room = _room(table);
        uint256 missing = 0;
        bool wrong = false;
        assembly ("memory-safe") {
            // Bits of the last byte past the last seat; the shift is 8 if there are none.
            let size := shr(3, add(seats, 7))
            let last := byte(0, calldataload(sub(add(bitmap.offset, size), 1)))
            wrong := or(xor(bitmap.length, size), shr(sub(seats, shl(3, sub(size, 1))), last))
        }
        require(!wrong, WrongBitmap(bitmap.length, seats));
        unchecked {
            for (uint256 base = 0; base < seats; base += 256) {
                uint256 absent = _absent(bitmap, base, seats);
                missing += LibBit.popCount(absent);
                if (absent != 0) _addAbsent(table, registry, base, absent, room);
            }
            require(missing <= (seats - 1) / 3, BelowQuorum(seats - missing, quorum(seats)));
        }
    }

    /// @dev The absent ones of the seats `base … base + 255`: seat `base + i` is bit `i ^ 7` from the top, as in the
    /// bytes of the bitmap.
    function _absent(bytes calldata bitmap, uint256 base, uint256 seats)
        private
        pure
        returns (uint256 absent)
    {
        assembly ("memory-safe") {
            absent := not(calldataload(add(bitmap.offset, shr(3, base))))
            let left := sub(seats, base)
            if lt(left, 256) {
                // Whole bytes, and the lower bits of the last one.
                let whole := and(left, 0xf8)
                let rest := shl(sub(248, whole), sub(shl(and(left, 7), 1), 1))
                absent := and(absent, or(not(shr(whole, not(0))), rest))
            }
        }
    }

    /// @dev Adds the keys of absent seats to the sum at `room`.
    function _addAbsent(bytes memory table, address registry, uint256 base, uint256 absent, uint256 room)
        private
        view
    {
        (uint256 pages, uint256 entries) = _parts(table);
        entries += 2 * base;
        bool ok = true;
        while (absent != 0) {
            uint256 entry = 0;
            assembly ("memory-safe") {
                // As long as the pages are known. As SeatPages.addKey, which is too dear to be called often.
                for {} absent {} {
                    let bit := clz(absent)
                    let seat := xor(bit, 7)
                    entry := shr(240, mload(add(entries, add(seat, seat))))
                    let page := mload(add(room, add(ROOM_BYTES, and(shr(3, entry), 0x1fe0))))
                    if iszero(page) { break }
                    absent := xor(absent, shr(bit, shl(255, 1)))
                    let raw := add(room, 512)
                    extcodecopy(page, raw, add(38, mul(and(entry, 0xff), 234)), 197)
                    mcopy(add(room, 272), add(room, 560), 48)
                    mcopy(add(room, 336), raw, 48)
                    mstore8(add(room, 336), and(byte(0, mload(raw)), 0x1f))
                    mcopy(add(room, 400), add(room, 613), 48)
                    mcopy(add(room, 464), add(room, 661), 48)
                    ok := and(ok, staticcall(gas(), 0x0d, room, 512, room, 256))
                }
            }
            if (absent != 0) {
                address found = SeatPages.pageAddress(registry, _page(pages, entry >> 8));
                assembly ("memory-safe") {
                    mstore(add(room, add(ROOM_BYTES, and(shr(3, entry), 0x1fe0))), found)
                }
            }
        }
        require(ok, Bls.InvalidPoint());
    }

    /// @dev Room for an addition, as in `SeatPages.newSum` but without length, that starts with the sum of the table,
    /// and a word for each page.
    function _room(bytes memory table) private pure returns (uint256 room) {
        uint256 size = ROOM_BYTES + 32 * pageCount(table);
        assembly ("memory-safe") {
            room := mload(0x40)
            mstore(0x40, add(room, size))
            calldatacopy(room, calldatasize(), size)
            let from := add(table, add(0x20, SUM_AT))
            mcopy(add(room, 0x10), from, 48)
            mcopy(add(room, 0x50), add(from, 48), 48)
            mcopy(add(room, 0x90), add(from, 96), 48)
            mcopy(add(room, 0xd0), add(from, 144), 48)
        }
    }

    /// @dev From the sum before, walking both sets in the order of identity: adds who left, subtracts who is new.
    /// @param pos Addresses of the pages of the new table, and `rlp` where its seats stand in memory.
    function _addChanges(
        uint256 sum,
        address registry,
        bytes memory before,
        bytes memory table,
        address[] memory pos,
        uint256 rlp
    ) private view {
        Walk memory old;
        (old.pages, old.entry) = _parts(before);
        old.end = old.entry + 2 * seatCount(before);
        Walk memory new_;
        (new_.pages, new_.entry) = _parts(table);
        new_.end = new_.entry + 2 * seatCount(table);
        uint256 common = _commonPages(old.pages, new_.pages, pageCount(before), pos.length);
        uint256 known = 0;
        address from = address(0);
        unchecked {
            for (;;) {
                (uint256 leaves, uint256 joins, uint256 next) = _skip(old, new_, rlp, common);
                rlp = next;
                if (leaves + joins == 0) return;
                int256 order = joins == 0 ? -1 : int256(1);
                if (leaves != 0) {
                    // Neighbours mostly stand in one page. There is no page 0.
                    if (leaves >> 8 != known) {
                        known = leaves >> 8;
                        from = SeatPages.pageAddress(registry, known);
                    }
                    if (joins != 0) order = _compare(from, uint8(leaves), rlp);
                }
                address to = order < 0 ? from : pos[_entryAt(new_.entry) >> 8];
                // The same seat may stand in two pages; the same identity may have got another key.
                bool same = order == 0 && SeatPages.isSame(from, uint8(leaves), to, uint8(joins));
                if (order <= 0) {
                    if (!same) SeatPages.addKey(sum, from, uint8(leaves), false);
                    old.entry += 2;
                }
                if (order >= 0) {
                    if (!same) SeatPages.addKey(sum, to, uint8(joins), true);
                    new_.entry += 2;
                    rlp = SeatPages.next(rlp);
                }
            }
        }
    }

    /// @dev A table that is being walked: where its pages, the next entry and the end of the entries are.
    struct Walk {
        uint256 pages;
        uint256 entry;
        uint256 end;
    }

    /// @dev Walks on while both name the same place. Returns the two places (page << 8 | place) that differ, zero at
    /// the end of a table, and where the RLP of the new seat is. The first `common` pages are the same in both.
    function _skip(Walk memory old, Walk memory new_, uint256 rlp, uint256 common)
        private
        pure
        returns (uint256 leaves, uint256 joins, uint256 at_)
    {
        assembly ("memory-safe") {
            at_ := rlp
            let left := mload(add(old, 0x20))
            let leftEnd := mload(add(old, 0x40))
            let right := mload(add(new_, 0x20))
            let rightEnd := mload(add(new_, 0x40))
            for {} 1 {} {
                // Most seats stand where they stood, under the same number of the page.
                for {} and(lt(left, leftEnd), lt(right, rightEnd)) {} {
                    let entry := shr(240, mload(left))
                    if or(xor(entry, shr(240, mload(right))), iszero(lt(shr(8, entry), common))) {
                        break
                    }
                    left := add(left, 2)
                    right := add(right, 2)
                    at_ := add(at_, add(2, byte(1, mload(at_))))
                }
                leaves := 0
                joins := 0
                if lt(left, leftEnd) {
                    let entry := mload(left)
                    leaves := mload(add(mload(old), shl(2, byte(0, entry))))
                    leaves := or(shl(8, shr(224, leaves)), byte(1, entry))
                }
                if lt(right, rightEnd) {
                    let entry := mload(right)
                    joins := mload(add(mload(new_), shl(2, byte(0, entry))))
                    joins := or(shl(8, shr(224, joins)), byte(1, entry))
                }
                if or(iszero(leaves), xor(leaves, joins)) { break }
                left := add(left, 2)
                right := add(right, 2)
                at_ := add(at_, add(2, byte(1, mload(at_))))
            }
            mstore(add(old, 0x20), left)
            mstore(add(new_, 0x20), right)
        }
    }

    /// @dev How many pages at the start are the same in both tables.
    function _commonPages(uint256 pages, uint256 others, uint256 count, uint256 countOthers)
        private
        pure
        returns (uint256 common)
    {
        assembly ("memory-safe") {
            let least := xor(count, mul(xor(count, countOthers), lt(countOthers, count)))
            for {} lt(common, least) { common := add(common, 1) } {
                let at_ := shl(2, common)
                if shr(224, xor(mload(add(pages, at_)), mload(add(others, at_)))) { break }
            }
        }
    }

    /// @dev Order of the identity at a place and of that of the seat whose RLP is at `rlp`.
    function _compare(address page, uint256 place, uint256 rlp) private view returns (int256 order) {
        bytes32 left = SeatPages.identityAt(page, place);
        assembly ("memory-safe") {
            let right := mload(add(rlp, 3))
            order := sub(gt(left, right), lt(left, right))
        }
    }

    function _entryAt(uint256 from) private pure returns (uint256 entry) {
        assembly ("memory-safe") {
            entry := shr(240, mload(from))
        }
    }

    /// @dev Where in memory the pages and the entries of a table start.
    function _parts(bytes memory table) private pure returns (uint256 pages, uint256 entries) {
        uint256 count = pageCount(table);
        assembly ("memory-safe") {
            pages := add(table, add(0x20, PAGES_AT))
            entries := add(pages, shl(2, count))
        }
    }

    function _page(uint256 pages, uint256 ordinal) private pure returns (uint256 page) {
        assembly ("memory-safe") {
            page := shr(224, mload(add(pages, shl(2, ordinal))))
        }
    }
}
