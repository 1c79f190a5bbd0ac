// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

/// @notice One rollup block as its proposer signed it (R6).
struct LaneBlock {
    uint16 version;
    uint64 chainId;
    uint64 namespace;
    uint64 slot;
    uint64 seq;
    bool last;
    uint64 height;
    bytes32 parent;
    uint64 contextNumber;
    bytes32 contextHash;
    uint64 timestampMs;
    bytes32 bodyRoot;
    uint64 size;
    bytes32 group;
    bytes signature;
}

/// @title Reads lane blocks
library Lanes {
    using RLP for Memory.Slice;
    using RLP for bytes;

    /// @notice The bytes are not the RLP of a lane entry.
    error MalformedLane();

    bytes32 internal constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId)");
    bytes32 internal constant LANE_TYPE = keccak256(
        "LaneBlock(uint16 version,uint64 namespace,uint64 slot,uint64 seq,bool last,uint64 height,bytes32 parent,uint64 contextNumber,bytes32 contextHash,uint64 timestamp,bytes32 bodyRoot,uint64 size,bytes32 group)"
    );

    /// @notice Reads what stands under a header's lanes root: (signed header, optional certificate).
    function decode(bytes memory entry) internal pure returns (LaneBlock memory lane) {
        Memory.Slice[] memory parts = entry.decodeList();
        require(parts.length == 2, MalformedLane());
        Memory.Slice[] memory signed = parts[0].readList();
        require(signed.length == 2, MalformedLane());
        Memory.Slice[] memory fields = signed[0].readList();
        require(fields.length == 13, MalformedLane());
        lane.version = uint16(_u64(fields[0]));
        lane.chainId = _u64(fields[1]);
        lane.namespace = _u64(fields[2]);
        lane.slot = _u64(fields[3]);
        lane.seq = _u64(fields[4]);
        lane.last = _u64(fields[5]) == 1;
        lane.height = _u64(fields[6]);
        lane.parent = _word(fields[7]);
        Memory.Slice[] memory context = fields[8].readList();
        require(context.length == 2, MalformedLane());
        lane.contextNumber = _u64(context[0]);
        lane.contextHash = _word(context[1]);
        lane.timestampMs = _u64(fields[9]);
        lane.bodyRoot = _word(fields[10]);
        lane.size = _u64(fields[11]);
        lane.group = _word(fields[12]);
        lane.signature = signed[1].readBytes();
    }

    /// @notice The EIP-712 digest: the lane block's name, and what its proposer signed.
    function hashOf(LaneBlock memory lane) internal pure returns (bytes32) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPE, keccak256("Cortado"), keccak256("1"), uint256(lane.chainId)));
        bytes memory first = abi.encode(
            LANE_TYPE, lane.version, lane.namespace, lane.slot, lane.seq, lane.last, lane.height, lane.parent
        );
        bytes memory second = abi.encode(
            lane.contextNumber, lane.contextHash, lane.timestampMs, lane.bodyRoot, lane.size, lane.group
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(bytes.concat(first, second))));
    }

    function _u64(Memory.Slice item) private pure returns (uint64) {
        uint256 value = item.readUint256();
        require(value <= type(uint64).max, MalformedLane());
        return uint64(value);
    }

    function _word(Memory.Slice item) private pure returns (bytes32) {
        require(item.readBytes().length == 32, MalformedLane());
        return item.readBytes32();
    }
}
