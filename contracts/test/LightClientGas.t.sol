// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LightClientBase} from "./LightClientBase.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {G1Point, OperatorId, View} from "../src/types/Types.sol";

/// @dev What updates cost, as whole transactions: base, call data and execution with everything cold.
contract LightClientGasTest is LightClientBase {
    /// @dev Base, call data, pairing, both maps, the sum of both, one addition a key, one new word.
    function floorOf(bytes memory data, uint256 keyAdditions) private pure returns (uint256 gas) {
        gas = 21_000 + 102_900 + 2 * 5_500 + 375 + 600 * keyAdditions + 22_100;
        for (uint256 i = 0; i < data.length; ++i) {
            gas += data[i] == 0 ? 4 : 16;
        }
    }

    function measure(uint256 count, uint256 absent, uint256 limit) private {
        measure(count, absent, limit, 600, "");
    }

    /// @dev Trust of three days is renewed after a 64th of it, 4050 s.
    function measure(uint256 count, uint256 absent, uint256 limit, uint256 later, string memory note)
        private
    {
        begin(count);
        vm.warp(START + later);
        TestHeader memory header = headerOn(seatsHash, 1_000_000);
        (bytes memory rlp, G1Point memory signature, bytes memory bitmap) = certify(header, seats, absent);
        View view_ = View.wrap(header.view_);
        View parent = View.wrap(header.view_ - 1);
        bytes memory data = abi.encodeCall(ILightClient.update, (rlp, view_, parent, signature, bitmap));
        client.update(rlp, view_, parent, signature, bitmap);
        string memory name =
            string.concat("update ", vm.toString(count), " seats, ", vm.toString(absent), " absent", note);
        uint256 gas = vm.snapshotGasLastCall(name);
        uint256 least = floorOf(data, absent);
        vm.snapshotValue(string.concat(name, ", percent of floor"), gas * 100 / least);
        assertTrue(gas <= limit, name);
        assertTrue(gas * 100 <= least * 122, "at most 22 % above the floor");
    }

    /// forge-config: default.isolate = true
    function test_gas_100SeatsNoneAbsent() public {
        measure(100, 0, 185_000);
    }

    /// forge-config: default.isolate = true
    function test_gas_100Seats5Absent() public {
        measure(100, 5, 191_000);
    }

    /// forge-config: default.isolate = true
    function test_gas_100SeatsAtQuorum() public {
        measure(100, 33, 224_700);
    }

    /// forge-config: default.isolate = true
    function test_gas_100SeatsNoneAbsentRenewingTrust() public {
        measure(100, 0, 189_500, 4100, ", renewing trust");
    }

    /// forge-config: default.isolate = true
    function test_gas_21SeatsNoneAbsent() public {
        measure(21, 0, 185_000);
    }

    /// forge-config: default.isolate = true
    function test_gas_21SeatsAtQuorum() public {
        measure(21, 6, 191_900);
    }

    /// forge-config: default.isolate = true
    function test_gas_4SeatsNoneAbsent() public {
        measure(4, 0, 185_000);
    }

    /// forge-config: default.isolate = true
    function test_gas_4SeatsAtQuorum() public {
        measure(4, 1, 190_000);
    }

    /// forge-config: default.isolate = true
    function test_gas_10Of100SeatsChange() public {
        begin(100);
        // Ten newcomers, each with a page of its own, in the place of ten that leave.
        TestSeat[] memory next = seats;
        for (uint256 i = 0; i < 10; ++i) {
            next[i * 9] = addKeys(registry, owner, operator, 200 + i, 1)[0];
        }
        next = sorted(next);
        vm.warp(START + 600);
        TestHeader memory header = headerOn(seatsHash, 1_000_000);
        header.nextSeatsHash = seatsHashOf(next);
        pushSeats(header, 0, next);
        uint256 gas = vm.snapshotGasLastCall("term change, 10 of 100 seats, in 11 pages");
        assertTrue(gas <= 461_000, "term change");
    }
}
