// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {LightClient} from "../src/LightClient.sol";
import {Registry} from "../src/Registry.sol";
import {G1Point, HeaderHash, OperatorId, SeatList, View} from "../src/types/Types.sol";

/// @dev A light client with seats.
abstract contract LightClientBase is Base {
    Registry internal registry;
    LightClient internal client;
    OperatorId internal operator;
    address internal owner = address(0xa1);
    TestSeat[] internal seats;
    bytes32 internal seatsHash;

    function begin(uint256 count) internal {
        registry = newRegistry(address(1));
        TestSeat[] memory made;
        (operator, made) = join(registry, owner, 32 * count, 0, count);
        made = sorted(made);
        for (uint256 i = 0; i < count; ++i) {
            seats.push(made[i]);
        }
        startClient();
    }

    function startClient() internal {
        seatsHash = seatsHashOf(seats);
        bytes memory anchor = encode(headerOn(seatsHash, 0));
        client = new LightClient(address(registry), CHAIN, TRUST * 1000, HeaderHash.wrap(keccak256(anchor)));
        client.start(anchor, listOf(seats));
    }

    function certify(TestHeader memory header, TestSeat[] memory by, uint256 absent)
        internal
        view
        returns (bytes memory rlp, G1Point memory signature, bytes memory bitmap)
    {
        rlp = encode(header);
        signature = sign(secretSum(by, absent), finalize(header, keccak256(rlp)));
        bitmap = bitmapOf(by.length, absent);
    }

    function push(TestHeader memory header, uint256 absent) internal {
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, absent);
        client.update(rlp, View.wrap(header.view_), View.wrap(header.view_ - 1), signature, bitmap);
    }

    function pushSeats(TestHeader memory header, uint256 absent, TestSeat[] memory next) internal {
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, absent);
        client.updateWithSeats(
            rlp, View.wrap(header.view_), View.wrap(header.view_ - 1), signature, bitmap, listOf(next)
        );
    }
}
