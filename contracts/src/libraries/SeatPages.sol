// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibRLP} from "solady/utils/LibRLP.sol";
import {G2Point, KeyIndex, SeatList, SeatsHash} from "../types/Types.sol";
import {Bls} from "./Bls.sol";

/// @title Keys in the code of contracts
/// @notice The registry writes keys once, as the code of *pages* that it creates, and creates nothing else: so
/// page `n` is the contract at the address of the registry's nonce `n`, and what stands in it has had its proof
/// of possession checked. A page is a zero byte and 1 to `ENTRIES_MAX` entries of 234 bytes:
///
/// ```text
///   0   RLP of the seat: f8 length a0 identity[32] b860 compressed key[96] index, left aligned in 138 bytes
/// 138   y of the key, c0 ‖ c1, 96 bytes (x is in the compressed key)
/// ```
library SeatPages {
    /// @notice The entry `place` of page `page` does not exist.
    error NoEntry(uint256 page, uint256 place);
    /// @notice Pages are 4 bytes each and entries 2, and entries name one of the pages.
    error MalformedList(uint256 pagesBytes, uint256 entriesBytes);

    uint256 internal constant ENTRY_BYTES = 234;
    /// @dev A contract's code is at most 24,576 bytes, and this fills it but for a rest.
    uint256 internal constant ENTRIES_MAX = 105;
    /// @dev Offsets in an entry.
    uint256 internal constant IDENTITY_AT = 3;
    uint256 internal constant KEY_AT = 37;
    uint256 private constant Y_AT = 138;

    /// @notice Where page number `page` of `registry` is.
    function pageAddress(address registry, uint256 page) internal pure returns (address) {
        return LibRLP.computeAddress(registry, page);
    }

    /// @notice Writes the entry of a key to its place in the content of a page, where there are zeros.
    function encode(
        bytes memory content,
        uint256 place,
        KeyIndex index,
        bytes32 identity,
        bytes memory compressed,
        G2Point calldata key
    ) internal pure {
        bytes memory rlp = LibRLP.encode(uint256(KeyIndex.unwrap(index)));
        assembly ("memory-safe") {
            let pos := add(add(content, 0x20), mul(place, ENTRY_BYTES))
            let size := mload(rlp)
            mstore8(pos, 0xf8)
            mstore8(add(pos, 1), add(131, size))
            mstore8(add(pos, 2), 0xa0)
            mstore(add(pos, IDENTITY_AT), identity)
            mstore8(add(pos, 35), 0xb8)
            mstore8(add(pos, 36), 96)
            mcopy(add(pos, KEY_AT), add(compressed, 0x20), 96)
            mcopy(add(pos, 133), add(rlp, 0x20), size)
            calldatacopy(add(pos, Y_AT), add(key, 144), 48)
            calldatacopy(add(pos, add(Y_AT, 48)), add(key, 208), 48)
        }
    }

    /// @notice The entry at `place` of page number `page` of `registry`.
    function read(address registry, uint256 page, uint256 place) internal view returns (bytes memory) {
        return readFrom(pageAddress(registry, page), page, place);
    }

    /// @notice The entry at `place` of the page at an address; `page` is for the error alone.
    function readFrom(address from, uint256 page, uint256 place) internal view returns (bytes memory entry) {
        entry = new bytes(ENTRY_BYTES);
        require(place < ENTRIES_MAX, NoEntry(page, place));
        assembly ("memory-safe") {
            extcodecopy(from, add(entry, 0x20), add(1, mul(place, ENTRY_BYTES)), ENTRY_BYTES)
        }
        require(entry[0] != 0, NoEntry(page, place));
    }

    /// @notice Writes `entry` to its place in the content of a page.
    function put(bytes memory content, uint256 place, bytes memory entry) internal pure {
        assembly ("memory-safe") {
            mcopy(add(add(content, 0x20), mul(place, ENTRY_BYTES)), add(entry, 0x20), ENTRY_BYTES)
        }
    }

    /// @notice The compressed key of an entry.
    function compressedOf(bytes memory entry) internal pure returns (bytes memory key) {
        key = new bytes(96);
        assembly ("memory-safe") {
            mcopy(add(key, 0x20), add(add(entry, 0x20), KEY_AT), 96)
        }
    }

    /// @notice The identity of an entry.
    function identityOf(bytes memory entry) internal pure returns (bytes32 identity) {
        assembly ("memory-safe") {
            identity := mload(add(entry, 0x23))
        }
    }

    /// @notice The identity at a place of the page at an address.
    function identityAt(address page, uint256 place) internal view returns (bytes32 identity) {
        assembly ("memory-safe") {
            extcodecopy(page, 0, add(add(1, IDENTITY_AT), mul(place, ENTRY_BYTES)), 32)
            identity := mload(0)
        }
    }

    /// @notice Whether the entries at two places of two pages are the same seat.
    function isSame(address a, uint256 placeA, address b, uint256 placeB) internal view returns (bool same) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            extcodecopy(a, free, add(1, mul(placeA, ENTRY_BYTES)), ENTRY_BYTES)
            let first := keccak256(free, ENTRY_BYTES)
            extcodecopy(b, free, add(1, mul(placeB, ENTRY_BYTES)), ENTRY_BYTES)
            same := eq(first, keccak256(free, ENTRY_BYTES))
        }
    }

    /// @notice Where the RLP of the seat after the one at `rlp` is.
    function next(uint256 rlp) internal pure returns (uint256 after_) {
        assembly ("memory-safe") {
            after_ := add(rlp, add(2, byte(1, mload(rlp))))
        }
    }

    /// @notice Room for a sum of keys, which starts at infinity: where it is in memory.
    /// @dev 256 bytes of sum, 256 of the key that is added to it, 197 of a raw entry.
    function newSum() internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            sum := mload(0x40)
            mstore(0x40, add(sum, 736))
            calldatacopy(sum, calldatasize(), 736)
        }
    }

    /// @notice Adds the key at `place` of the page at `page` to `sum`, or subtracts it.
    /// @dev That there is an entry is the caller's to know; nothing reads as infinity.
    function addKey(uint256 sum, address page, uint256 place, bool subtract) internal view {
        bool ok;
        uint256 key = sum + 256;
        assembly ("memory-safe") {
            let raw := add(sum, 512)
            extcodecopy(page, raw, add(add(1, KEY_AT), mul(place, ENTRY_BYTES)), 197)
            mcopy(add(key, 16), add(raw, 48), 48)
            mcopy(add(key, 80), raw, 48)
            // Without the flags of the compressed form.
            mstore(add(key, 64), and(mload(add(key, 64)), 0x1fffffffffffffffffffffffffffffff))
            mcopy(add(key, 144), add(raw, 101), 48)
            mcopy(add(key, 208), add(raw, 149), 48)
        }
        if (subtract) Bls.negateAt(key);
        assembly ("memory-safe") {
            ok := staticcall(gas(), 0x0d, sum, 512, sum, 256)
        }
        require(ok, Bls.InvalidPoint());
    }

    /// @notice Where in memory the key at `place` of page number `page` now is; infinity if there is none.
    function keyAt(address registry, uint256 page, uint256 place) internal view returns (uint256 key) {
        key = newSum();
        addKey(key, pageAddress(registry, page), place, false);
    }

    /// @notice Addresses of the pages of a list, after a check of its shape.
    function addresses(address registry, SeatList calldata list)
        internal
        pure
        returns (address[] memory out)
    {
        uint256 count = list.pages.length / 4;
        require(
            list.pages.length % 4 == 0 && list.entries.length % 2 == 0 && count > 0 && count <= 256,
            MalformedList(list.pages.length, list.entries.length)
        );
        out = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            out[i] = pageAddress(registry, uint32(bytes4(list.pages[4 * i:])));
        }
    }

    /// @notice The seats hash of a list: keccak256 of the RLP list of its seats (R4), of all the entries.
    /// @param pos Addresses of the pages, and `entries` as in the list.
    /// @return hash The hash.
    /// @return count How many seats.
    /// @return start Where the RLP of the first seat is in memory; the others follow.
    function hashOf(address[] memory pos, bytes calldata entries)
        internal
        view
        returns (SeatsHash hash, uint256 count, uint256 start)
    {
        count = entries.length / 2;
        uint256 bad = type(uint256).max;
        assembly ("memory-safe") {
            // A word for the list's header, then the seats one after the other.
            start := add(mload(0x40), 32)
            let to := start
            let pages := mload(pos)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let entry := shr(240, calldataload(add(entries.offset, add(i, i))))
                let page := shr(8, entry)
                if iszero(lt(page, pages)) {
                    bad := entry
                    break
                }
                let from := add(1, mul(and(entry, 0xff), ENTRY_BYTES))
                extcodecopy(mload(add(add(pos, 0x20), shl(5, page))), to, from, 138)
                let first := shr(240, mload(to))
                if iszero(eq(shr(8, first), 0xf8)) {
                    bad := entry
                    break
                }
                to := add(to, add(2, and(first, 0xff)))
            }
            // A set's RLP is longer than 255 bytes; what is shorter hashes to no set.
            let size := sub(to, start)
            let wide := gt(size, 0xffff)
            mstore(sub(start, 32), or(shl(add(16, shl(3, wide)), add(0xf9, wide)), size))
            let head := add(3, wide)
            hash := keccak256(sub(start, head), add(size, head))
            mstore(0x40, and(add(to, 0x1f), not(0x1f)))
        }
        require(bad == type(uint256).max, NoEntry(bad >> 8, bad & 0xff));
    }
}
