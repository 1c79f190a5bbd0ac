// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {HeaderHash} from "../types/Types.sol";

/// @title The mountain range over the hashes of all earlier headers (R4)
/// @notice One perfect tree for each set bit of the number of leaves, largest first. A node is
/// keccak256(1 ‖ left ‖ right), the root keccak256(2 ‖ leaves ‖ peaks), a leaf the header's hash.
library History {
    /// @notice No such position.
    error NotInHistory(uint64 index, uint64 leaves);
    /// @notice A range of this many headers has another shape.
    error WrongShape(uint256 siblings, uint256 peaks, uint256 wantSiblings, uint256 wantPeaks);
    /// @notice The hashes do not meet.
    error WrongHistory(bytes32 got, bytes32 want);

    /// @notice Reverts unless `leaf` is the `index`-th of the `leaves` under `root`.
    function verify(
        bytes32 root,
        uint64 leaves,
        uint64 index,
        HeaderHash leaf,
        bytes32[] calldata siblings,
        bytes32[] memory peaks
    ) internal pure {
        require(index < leaves, NotInHistory(index, leaves));
        // The mountain that holds the leaf: the highest bit in which `index` falls short of `leaves`.
        uint256 height = 63;
        uint256 place = 0;
        uint256 start = 0;
        for (;; --height) {
            if ((leaves >> height) & 1 == 0) continue;
            if (index < start + (1 << height)) break;
            start += 1 << height;
            ++place;
        }
        uint256 count = 0;
        for (uint64 left = leaves; left != 0; left &= left - 1) {
            ++count;
        }
        require(
            siblings.length == height && peaks.length == count,
            WrongShape(siblings.length, peaks.length, height, count)
        );
        bytes32 node = HeaderHash.unwrap(leaf);
        uint256 within = index - start;
        for (uint256 i = 0; i < height; ++i) {
            node = (within >> i) & 1 == 1
                ? keccak256(abi.encodePacked(uint8(1), siblings[i], node))
                : keccak256(abi.encodePacked(uint8(1), node, siblings[i]));
        }
        peaks[place] = node;
        bytes32 got = keccak256(abi.encodePacked(uint8(2), leaves, peaks));
        require(got == root, WrongHistory(got, root));
    }
}
