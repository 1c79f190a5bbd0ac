// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {LightClient} from "../src/LightClient.sol";
import {Registry} from "../src/Registry.sol";
import {KeyRegistration} from "../src/interfaces/IRegistry.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {G2Point, HeaderHash, OperatorId, SeatList} from "../src/types/Types.sol";

/// @dev A light client that follows the chain whose answers are recorded.
abstract contract Recorded is Base {
    Registry internal registry;
    LightClient internal client;
    string internal json;

    /// @dev The recorded seats, registered, and a client that starts from a header before the recorded ones.
    function startRecorded() internal {
        json = vm.readFile("test/fixtures/recorded.json");
        registry = newRegistry(address(1));
        address owner = address(0xa1);
        vm.deal(owner, 128 ether);
        vm.startPrank(owner);
        OperatorId operator = registry.registerOperator{value: 128 ether}();
        KeyRegistration[] memory keys = new KeyRegistration[](4);
        for (uint256 i = 0; i < 4; ++i) {
            string memory seat = item(".seats", i);
            keys[i].identity = vm.parseJsonBytes32(json, string.concat(seat, ".identity"));
            keys[i].key = abi.decode(vm.parseJsonBytes(json, string.concat(seat, ".key")), (G2Point));
            bytes memory message = registry.possessionMessage(owner, Bls.compress(keys[i].key));
            uint256 secret = uint256(vm.parseJsonBytes32(json, string.concat(seat, ".secret")));
            keys[i].possession = signHashed(secret, message, Bls.DOMAIN_POSSESSION);
        }
        registry.registerKeys(operator, keys);
        vm.stopPrank();
        bytes32 seats = vm.parseJsonBytes32(json, ".seatsHash");
        bytes memory anchor = encode(headerOn(seats, 0));
        client = new LightClient(address(registry), CHAIN, TRUST * 1000, HeaderHash.wrap(keccak256(anchor)));
        client.start(anchor, SeatList(hex"00000001", hex"0000000100020003"));
    }

    function item(string memory list, uint256 index) internal pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }
}
