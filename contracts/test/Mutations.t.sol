// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Recorded} from "./Recorded.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";

/// @dev The certificates of mutations.mjs, which the Rust client refuses as well.
contract MutationsTest is Recorded {
    string private constant CALLS = "cache/mutations.txt";

    function next() private view returns (bytes memory) {
        return vm.parseBytes(vm.readLine(CALLS));
    }

    function test_tenThousandMutatedCertificatesAreRefusedAndTheTrueOnesAccepted() public {
        startRecorded();
        string memory vectors = vm.readFile("../vectors/mutations.json");
        bytes[] memory accepted = new bytes[](vm.parseJsonUint(vectors, ".certificates"));
        for (uint256 i = 0; i < accepted.length; ++i) {
            accepted[i] = next();
        }
        uint256 count = vm.parseJsonUint(vectors, ".count");
        assertEq(count, 10_000, "count");
        uint256 free;
        assembly {
            free := mload(0x40)
        }
        for (uint256 i = 0; i < count; ++i) {
            // Memory is used again, as its price grows with the square.
            assembly {
                mstore(0x40, free)
            }
            bytes memory data = next();
            assertTrue(bytes4(data) == ILightClient.update.selector, "a call of update");
            for (uint256 j = 0; j < accepted.length; ++j) {
                assertTrue(keccak256(data) != keccak256(accepted[j]), "mutated");
            }
            (bool ok,) = address(client).call{gas: 400_000}(data);
            if (ok) revert Failed("accepted mutation", i, 0);
        }
        for (uint256 i = 0; i < accepted.length; ++i) {
            (bool ok,) = address(client).call(accepted[i]);
            assertTrue(ok, "true certificate");
        }
    }
}
