// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {G2Point, SeatList, SeatsHash, Term} from "../types/Types.sol";
import {Bls} from "./Bls.sol";
import {SeatPages} from "./SeatPages.sol";

/// @title The seats of the present term, in the code of a contract
/// @notice What an update needs, read by one copy: the sum of all keys, from which the keys of absent seats are
/// subtracted, and where these keys stand.
///
/// ```text
///   0  seats hash, 32          234  number of pages − 1, 1
///  32  sum of all keys, 192    235  pages, 4 each
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
        bytes memory sum = SeatPages.newSum();
        before.length == 0 ? _addAll(sum, registry, list) : _addChanges(sum, registry, list, before);
        bytes memory packed = new bytes(192);
        assembly ("memory-safe") {
            let to := add(packed, 0x20)
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mcopy(add(to, mul(i, 48)), add(add(sum, 0x30), shl(6, i)), 48)
            }
        }
        table = abi.encodePacked(
            SeatsHash.unwrap(want),
            packed,
            Term.unwrap(first),
            uint16(count),
            uint8(list.pages.length / 4 - 1),
            list.pages,
            list.entries
        );
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

    /// @notice Sum of the keys whose bits are set: that of all, minus those of the absent.
    /// @param bitmap One bit a seat, least significant bit first, `⌈n/8⌉` bytes, no bit at or past `n` (R2).
    function signersKey(bytes memory table, address registry, bytes calldata bitmap)
        internal
        view
        returns (G2Point memory key)
    {
        uint256 seats = seatCount(table);
        require(
            bitmap.length == (seats + 7) / 8
                && (seats % 8 == 0 || uint8(bitmap[bitmap.length - 1]) >> (seats % 8) == 0),
            WrongBitmap(bitmap.length, seats)
        );
        _unpackSum(table, key);
        (G2Point memory absent, uint256 missing) = _absentKey(table, registry, bitmap, seats);
        require(missing <= (seats - 1) / 3, BelowQuorum(seats - missing, quorum(seats)));
        if (missing != 0) {
            absent.negate();
            key.add(absent);
        }
    }

    function _unpackSum(bytes memory table, G2Point memory key) private pure {
        assembly ("memory-safe") {
            let from := add(table, add(0x20, SUM_AT))
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mcopy(add(add(key, 16), shl(6, i)), add(from, mul(i, 48)), 48)
            }
        }
    }

    /// @dev The sum of the keys whose bits are not set, and how many these are.
    function _absentKey(bytes memory table, address registry, bytes calldata bitmap, uint256 seats)
        private
        view
        returns (G2Point memory key, uint256 missing)
    {
        (uint256 pages, uint256 entries, uint256 pageCount) = _parts(table);
        // Addresses are computed when first needed.
        address[] memory pos;
        bytes memory sum;
        for (uint256 base = 0; base < seats; base += 8) {
            uint256 absent;
            assembly ("memory-safe") {
                absent := xor(byte(0, calldataload(add(bitmap.offset, shr(3, base)))), 0xff)
            }
            if (seats - base < 8) absent &= (1 << (seats - base)) - 1;
            if (absent != 0 && sum.length == 0) (pos, sum) = (new address[](pageCount), SeatPages.newSum());
            for (uint256 seat = base; absent != 0; (++seat, absent >>= 1)) {
                if (absent & 1 == 0) continue;
                ++missing;
                (uint256 ordinal, uint256 place) = _entry(entries, seat);
                address page = pos[ordinal];
                if (page == address(0)) {
                    page = SeatPages.pageAddress(registry, _page(pages, ordinal));
                    pos[ordinal] = page;
                }
                SeatPages.addKey(sum, page, place, false);
            }
        }
        if (missing != 0) key = SeatPages.pointOf(sum);
    }

    function _addAll(bytes memory sum, address registry, SeatList calldata list) private view {
        address[] memory pos = SeatPages.addresses(registry, list);
        for (uint256 i = 0; i < list.entries.length; i += 2) {
            SeatPages.addKey(sum, pos[uint8(list.entries[i])], uint8(list.entries[i + 1]), false);
        }
    }

    /// @dev From the sum before, walking both sets in the order of identity: adds who is new, subtracts who left.
    function _addChanges(bytes memory sum, address registry, SeatList calldata list, bytes memory before)
        private
        view
    {
        _unpackSum(before, SeatPages.pointOf(sum));
        bytes memory copy = abi.encodePacked(list.pages, list.entries);
        (uint256 oldPages, uint256 oldEntries,) = _parts(before);
        uint256 newPages;
        assembly ("memory-safe") {
            newPages := add(copy, 0x20)
        }
        uint256 newEntries = newPages + list.pages.length;
        uint256 oldCount = seatCount(before);
        uint256 newCount = list.entries.length / 2;
        uint256 i;
        uint256 j;
        while (i < oldCount && j < newCount) {
            (uint256 oldOrdinal, uint256 oldPlace) = _entry(oldEntries, i);
            (uint256 newOrdinal, uint256 newPlace) = _entry(newEntries, j);
            uint256 oldPage = _page(oldPages, oldOrdinal);
            uint256 newPage = _page(newPages, newOrdinal);
            if (oldPage == newPage && oldPlace == newPlace) {
                (++i, ++j);
                continue;
            }
            bytes memory left = SeatPages.read(registry, oldPage, oldPlace);
            bytes memory right = SeatPages.read(registry, newPage, newPlace);
            bytes32 oldIdentity = SeatPages.identityOf(left);
            bytes32 newIdentity = SeatPages.identityOf(right);
            // The same seat may stand in two pages; the same identity may have got another key.
            bool same = keccak256(left) == keccak256(right);
            if (oldIdentity <= newIdentity) {
                ++i;
                if (!same) SeatPages.addKey(sum, SeatPages.pageAddress(registry, oldPage), oldPlace, true);
            }
            if (newIdentity <= oldIdentity) {
                ++j;
                if (!same) SeatPages.addKey(sum, SeatPages.pageAddress(registry, newPage), newPlace, false);
            }
        }
        for (; i < oldCount; ++i) {
            (uint256 ordinal, uint256 place) = _entry(oldEntries, i);
            SeatPages.addKey(sum, SeatPages.pageAddress(registry, _page(oldPages, ordinal)), place, true);
        }
        for (; j < newCount; ++j) {
            (uint256 ordinal, uint256 place) = _entry(newEntries, j);
            SeatPages.addKey(sum, SeatPages.pageAddress(registry, _page(newPages, ordinal)), place, false);
        }
    }

    /// @dev Where in memory the pages and the entries of a table start, and how many pages there are.
    function _parts(bytes memory table) private pure returns (uint256 pages, uint256 entries, uint256 count) {
        assembly ("memory-safe") {
            pages := add(table, add(0x20, PAGES_AT))
            count := add(1, byte(0, mload(sub(pages, 1))))
            entries := add(pages, shl(2, count))
        }
    }

    function _page(uint256 pages, uint256 ordinal) private pure returns (uint256 page) {
        assembly ("memory-safe") {
            page := shr(224, mload(add(pages, shl(2, ordinal))))
        }
    }

    function _entry(uint256 entries, uint256 seat) private pure returns (uint256 ordinal, uint256 place) {
        assembly ("memory-safe") {
            let word := mload(add(entries, shl(1, seat)))
            ordinal := byte(0, word)
            place := byte(1, word)
        }
    }
}
