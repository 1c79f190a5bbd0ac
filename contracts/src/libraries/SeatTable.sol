// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {G2Point, SeatList, SeatsHash, Term} from "../types/Types.sol";
import {Bls} from "./Bls.sol";
import {SeatPages} from "./SeatPages.sol";

/// @title The seats of the present term, in the code of a contract
/// @notice What an update needs, read by one copy: minus the sum of all keys, to which the keys of absent seats are
/// added, and where these keys stand. What comes out, the other way round, is the key of those who signed.
///
/// ```text
///   0  seats hash, 32          234  number of pages − 1, 1
///  32  minus all keys, 192     235  pages, 4 each
/// 224  first term, 8                entries, 2 each (page, place)
/// 232  number of seats, 2
/// ```
library SeatTable {
    using Bls for G2Point;

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
    /// @dev Of `SeatPages.newSum`, rounded up to words.
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
        (SeatsHash got, uint256 count) = SeatPages.hashOf(registry, list);
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
        bytes memory sum = before.length == 0 ? SeatPages.newSum() : _room(before);
        before.length == 0 ? _subtractAll(sum, registry, list) : _addChanges(sum, registry, before, table);
        assembly ("memory-safe") {
            let to := add(table, add(0x20, SUM_AT))
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mcopy(add(to, mul(i, 48)), add(add(sum, 0x30), shl(6, i)), 48)
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

    /// @notice Sum of the keys whose bits are set: that of all, minus those of the absent.
    /// @param bitmap One bit a seat, least significant bit first, `⌈n/8⌉` bytes, no bit at or past `n` (R2).
    function signersKey(bytes memory table, address registry, bytes calldata bitmap)
        internal
        view
        returns (G2Point memory key)
    {
        uint256 seats = seatCount(table);
        _checkBitmap(bitmap, seats);
        bytes memory room = _room(table);
        uint256 missing;
        unchecked {
            for (uint256 base = 0; base < seats; base += 256) {
                uint256 absent = ~_word(bitmap, base >> 3);
                if (seats - base < 256) absent &= (1 << (seats - base)) - 1;
                if (absent != 0) missing += _addAbsent(table, registry, base, absent, room);
            }
            require(missing <= (seats - 1) / 3, BelowQuorum(seats - missing, quorum(seats)));
        }
        // Minus all plus the absent, the other way round: those who signed.
        key = SeatPages.pointOf(room);
        key.negate();
    }

    function _checkBitmap(bytes calldata bitmap, uint256 seats) private pure {
        bool ok;
        assembly ("memory-safe") {
            let size := shr(3, add(seats, 7))
            // Bits of the last byte past the last seat; the shift is 8 if there are none.
            let last := byte(0, calldataload(sub(add(bitmap.offset, size), 1)))
            let used := sub(seats, shl(3, sub(size, 1)))
            ok := and(eq(bitmap.length, size), iszero(shr(used, last)))
        }
        require(ok, WrongBitmap(bitmap.length, seats));
    }

    /// @dev 32 bytes of the bitmap as a number whose bit i is seat i's: bytes in reverse order.
    function _word(bytes calldata bitmap, uint256 from) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            function swap(value, mask, bits) -> swapped {
                swapped := or(and(shr(bits, value), mask), shl(bits, and(value, mask)))
            }
            word := calldataload(add(bitmap.offset, from))
            word := swap(word, 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff, 8)
            word := swap(word, 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff, 16)
            word := swap(word, 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff, 32)
            word := swap(word, 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff, 64)
            word := or(shr(128, word), shl(128, word))
        }
    }

    /// @dev Adds the keys of the seats `base + i` for each bit i of `absent`; returns how many these are.
    function _addAbsent(bytes memory table, address registry, uint256 base, uint256 absent, bytes memory room)
        private
        view
        returns (uint256 count)
    {
        (uint256 pages, uint256 entries) = _parts(table);
        entries += 2 * base;
        bool ok = true;
        while (absent != 0) {
            uint256 page;
            uint256 entry;
            assembly ("memory-safe") {
                // As long as the pages are known. As SeatPages.addKey, which is too dear to be called often.
                let sum := add(room, 0x20)
                let key := add(room, 0x130)
                let raw := add(room, 0x220)
                let addresses := add(room, add(0x20, ROOM_BYTES))
                for {} absent {} {
                    let bit := sub(255, clz(and(absent, sub(0, absent))))
                    entry := shr(240, mload(add(entries, add(bit, bit))))
                    page := mload(add(addresses, shl(5, shr(8, entry))))
                    if iszero(page) { break }
                    absent := and(absent, sub(absent, 1))
                    count := add(count, 1)
                    extcodecopy(page, raw, add(38, mul(and(entry, 0xff), 234)), 197)
                    mcopy(key, add(raw, 48), 48)
                    mcopy(add(key, 0x40), raw, 48)
                    mstore8(add(key, 0x40), and(byte(0, mload(raw)), 0x1f))
                    mcopy(add(key, 0x80), add(raw, 101), 48)
                    mcopy(add(key, 0xc0), add(raw, 149), 48)
                    ok := and(ok, staticcall(gas(), 0x0d, sum, 512, sum, 256))
                }
            }
            if (page == 0) {
                address found = SeatPages.pageAddress(registry, _page(pages, entry >> 8));
                assembly ("memory-safe") {
                    mstore(add(add(room, add(0x20, ROOM_BYTES)), shl(5, shr(8, entry))), found)
                }
            }
        }
        require(ok, Bls.InvalidPoint());
    }

    /// @dev A sum (see `SeatPages.newSum`) that starts with that of the table, and a word for each page.
    function _room(bytes memory table) private pure returns (bytes memory room) {
        uint256 size = ROOM_BYTES + 32 * pageCount(table);
        assembly ("memory-safe") {
            room := mload(0x40)
            mstore(0x40, add(room, add(0x20, size)))
            mstore(room, size)
            calldatacopy(add(room, 0x20), calldatasize(), size)
            let from := add(table, add(0x20, SUM_AT))
            mcopy(add(room, 0x30), from, 48)
            mcopy(add(room, 0x70), add(from, 48), 48)
            mcopy(add(room, 0xb0), add(from, 96), 48)
            mcopy(add(room, 0xf0), add(from, 144), 48)
        }
    }

    function _subtractAll(bytes memory sum, address registry, SeatList calldata list) private view {
        address[] memory pos = SeatPages.addresses(registry, list);
        for (uint256 i = 0; i < list.entries.length; i += 2) {
            SeatPages.addKey(sum, pos[uint8(list.entries[i])], uint8(list.entries[i + 1]), true);
        }
    }

    /// @dev From the sum before, walking both sets in the order of identity: adds who left, subtracts who is new.
    function _addChanges(bytes memory sum, address registry, bytes memory before, bytes memory after_)
        private
        view
    {
        // What the lists point to: number of the page, and place.
        uint256[] memory left = _places(before, seatCount(before));
        uint256[] memory right = _places(after_, seatCount(after_));
        uint256 i;
        uint256 j;
        unchecked {
            while (i < left.length || j < right.length) {
                uint256 leaves = i < left.length ? left[i] : 0;
                uint256 joins = j < right.length ? right[j] : 0;
                if (leaves == joins) {
                    (++i, ++j);
                    continue;
                }
                int256 order = _compare(registry, leaves, joins);
                if (order <= 0) ++i;
                if (order >= 0) ++j;
                // The same seat may stand in two pages; the same identity may have got another key.
                if (order == 0 && _sameSeat(registry, leaves, joins)) continue;
                if (order <= 0) {
                    SeatPages.addKey(sum, SeatPages.pageAddress(registry, leaves >> 8), uint8(leaves), false);
                }
                if (order >= 0) {
                    SeatPages.addKey(sum, SeatPages.pageAddress(registry, joins >> 8), uint8(joins), true);
                }
            }
        }
    }

    /// @dev Order of the identities at two places; nothing (0) comes last.
    function _compare(address registry, uint256 left, uint256 right) private view returns (int256) {
        if (left == 0) return 1;
        if (right == 0) return -1;
        bytes32 a = SeatPages.identityAt(SeatPages.pageAddress(registry, left >> 8), uint8(left));
        bytes32 b = SeatPages.identityAt(SeatPages.pageAddress(registry, right >> 8), uint8(right));
        return a < b ? -1 : (a == b ? int256(0) : int256(1));
    }

    function _sameSeat(address registry, uint256 left, uint256 right) private view returns (bool) {
        return keccak256(SeatPages.read(registry, left >> 8, uint8(left)))
            == keccak256(SeatPages.read(registry, right >> 8, uint8(right)));
    }

    /// @dev For each seat of a table: number of the page << 8 | place.
    function _places(bytes memory table, uint256 count) private pure returns (uint256[] memory places) {
        places = new uint256[](count);
        (uint256 pages, uint256 entries) = _parts(table);
        assembly ("memory-safe") {
            let to := add(places, 0x20)
            let end := add(to, shl(5, count))
            for {} lt(to, end) { to := add(to, 32) } {
                let entry := shr(240, mload(entries))
                let page := shr(224, mload(add(pages, shl(2, shr(8, entry)))))
                mstore(to, or(shl(8, page), and(entry, 0xff)))
                entries := add(entries, 2)
            }
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
