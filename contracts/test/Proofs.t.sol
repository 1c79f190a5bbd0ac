// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibRLP} from "solady/utils/LibRLP.sol";
import {Recorded} from "./Recorded.sol";
import {LightClient} from "../src/LightClient.sol";
import {Registry} from "../src/Registry.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {KeyRegistration} from "../src/interfaces/IRegistry.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {History} from "../src/libraries/History.sol";
import {LaneBlock} from "../src/libraries/Lanes.sol";
import {Trie} from "../src/libraries/Trie.sol";
import {Ancestry, G1Point, G2Point, HeaderHash, OperatorId, SeatList, View} from "../src/types/Types.sol";

/// @dev The libraries' functions take call data.
contract ProofCaller {
    function get(bytes32 root, bytes calldata key, bytes[] calldata proof)
        external
        pure
        returns (bool, bytes memory)
    {
        return Trie.get(root, key, proof);
    }

    function verify(
        bytes32 root,
        uint64 leaves,
        uint64 index,
        HeaderHash leaf,
        bytes32[] calldata siblings,
        bytes32[] calldata peaks
    ) external pure {
        History.verify(root, leaves, index, leaf, siblings, peaks);
    }
}

contract ProofsTest is Recorded {
    ProofCaller private caller = new ProofCaller();

    // --- tries made by another implementation ---

    function each(function(bytes32, bytes memory, bool, bytes memory, bytes[] memory) internal test) private {
        string memory file = vm.readFile("test/fixtures/tries.json");
        for (uint256 i = 0; vm.keyExistsJson(file, item("", i)); ++i) {
            bytes32 root = vm.parseJsonBytes32(file, string.concat(item("", i), ".root"));
            string memory cases = string.concat(item("", i), ".cases");
            for (uint256 j = 0; vm.keyExistsJson(file, item(cases, j)); ++j) {
                string memory one = item(cases, j);
                test(
                    root,
                    vm.parseJsonBytes(file, string.concat(one, ".key")),
                    vm.parseJsonBool(file, string.concat(one, ".present")),
                    vm.parseJsonBytes(file, string.concat(one, ".value")),
                    vm.parseJsonBytesArray(file, string.concat(one, ".proof"))
                );
            }
        }
    }

    function test_presenceAndAbsenceAreProved() public {
        each(accepts);
    }

    function accepts(bytes32 root, bytes memory key, bool present, bytes memory value, bytes[] memory proof)
        internal
        view
    {
        (bool found, bytes memory got) = caller.get(root, key, proof);
        assertTrue(found == present && keccak256(got) == keccak256(value), "entry");
    }

    function test_proofsCutLengthenedOrAlteredAreRefused() public {
        each(refuses);
    }

    function refuses(bytes32 root, bytes memory key, bool present, bytes memory value, bytes[] memory proof)
        internal
    {
        present;
        value;
        if (proof.length == 0) return;
        bytes[] memory other = new bytes[](proof.length - 1);
        for (uint256 i = 0; i < other.length; ++i) {
            other[i] = proof[i];
        }
        if (other.length != 0 || root != Trie.EMPTY_ROOT) {
            vm.expectPartialRevert(Trie.NodeMissing.selector);
            caller.get(root, key, other);
        }
        other = new bytes[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) {
            other[i] = proof[i];
        }
        other[proof.length] = proof[0];
        vm.expectPartialRevert(Trie.NodesLeft.selector);
        caller.get(root, key, other);
        uint256 node = uint256(keccak256(key)) % proof.length;
        proof[node][proof[node].length / 2] ^= 0x01;
        vm.expectPartialRevert(Trie.WrongNode.selector);
        caller.get(root, key, proof);
    }

    function test_deepAndOverlongProofsAreRefused() public {
        bytes[] memory deep = new bytes[](67);
        vm.expectRevert(abi.encodeWithSelector(Trie.ProofTooDeep.selector, 67));
        caller.get(keccak256("root"), hex"80", deep);
        bytes[] memory long = new bytes[](1);
        long[0] = new bytes((128 << 10) + 1025);
        vm.expectRevert(abi.encodeWithSelector(Trie.NodeTooLong.selector, 0, (128 << 10) + 1025));
        caller.get(keccak256("root"), hex"80", long);
    }

    /// @dev Anything may stand under a root that somebody chose. Whatever it is, it ends with an answer or a name.
    function test_nodesOfAnyBytesEndWithAnAnswerOrAnError(bytes calldata node, bytes calldata key)
        public
        view
    {
        bytes[] memory proof = new bytes[](1);
        proof[0] = node;
        (bool ok, bytes memory answer) = address(caller).staticcall{gas: 5_000_000}(
            abi.encodeCall(ProofCaller.get, (keccak256(node), key, proof))
        );
        assertTrue(ok || answer.length >= 4, "out of gas");
        assertTrue(ok || bytes4(answer) != bytes4(0x4e487b71), "panic");
    }

    // --- history ---

    function test_everyLeafIsProvedAtItsPlaceOnly() public {
        string memory file = vm.readFile("test/fixtures/history.json");
        for (uint256 i = 0; vm.keyExistsJson(file, item("", i)); ++i) {
            string memory one = item("", i);
            bytes32 root = vm.parseJsonBytes32(file, string.concat(one, ".root"));
            uint64 leaves = uint64(vm.parseJsonUint(file, string.concat(one, ".leaves")));
            uint64 index = uint64(vm.parseJsonUint(file, string.concat(one, ".index")));
            HeaderHash leaf = HeaderHash.wrap(vm.parseJsonBytes32(file, string.concat(one, ".leaf")));
            bytes32[] memory siblings = vm.parseJsonBytes32Array(file, string.concat(one, ".siblings"));
            bytes32[] memory peaks = vm.parseJsonBytes32Array(file, string.concat(one, ".peaks"));
            caller.verify(root, leaves, index, leaf, siblings, peaks);
            HeaderHash other = HeaderHash.wrap(keccak256("other"));
            vm.expectPartialRevert(History.WrongHistory.selector);
            caller.verify(root, leaves, index, other, siblings, peaks);
            vm.expectRevert();
            caller.verify(root, leaves, index == 0 ? leaves - 1 : index - 1, other, siblings, peaks);
            vm.expectRevert();
            caller.verify(root, leaves + 1, index, leaf, siblings, peaks);
            vm.expectPartialRevert(History.NotInHistory.selector);
            caller.verify(root, leaves, leaves, leaf, siblings, peaks);
        }
    }

    // --- what a node recorded ---

    function pushRecorded(string memory place, bytes memory header) private {
        client.update(
            header,
            View.wrap(uint64(vm.parseJsonUint(json, string.concat(place, ".certificate.view")))),
            View.wrap(uint64(vm.parseJsonUint(json, string.concat(place, ".certificate.parentView")))),
            abi.decode(vm.parseJsonBytes(json, string.concat(place, ".certificate.signature")), (G1Point)),
            vm.parseJsonBytes(json, string.concat(place, ".certificate.bitmap"))
        );
    }

    function test_recordedCertificatesAreAccepted() public {
        startRecorded();
        bytes memory header = vm.parseJsonBytes(json, ".latest.header");
        pushRecorded(".latest", header);
        assertTrue(client.isFinal(header), "latest");
    }

    function test_recordedTransactionsAreProvedThroughDescendants() public {
        startRecorded();
        for (uint256 i = 0; vm.keyExistsJson(json, item(".transactions", i)); ++i) {
            string memory place = item(".transactions", i);
            Ancestry memory ancestry;
            ancestry.header = vm.parseJsonBytes(json, string.concat(place, ".header"));
            ancestry.descendants = vm.parseJsonBytesArray(json, string.concat(place, ".descendants"));
            uint256 more = ancestry.descendants.length;
            bytes memory certified = more == 0 ? ancestry.header : ancestry.descendants[more - 1];
            if (!client.isFinal(certified)) {
                vm.expectPartialRevert(ILightClient.NotFinal.selector);
                client.verifyHeader(ancestry);
                pushRecorded(place, certified);
            }
            checkTransaction(place, ancestry);
        }
    }

    function checkTransaction(string memory place, Ancestry memory ancestry) private {
        uint256 position = vm.parseJsonUint(json, string.concat(place, ".position"));
        bytes[] memory laneProof = vm.parseJsonBytesArray(json, string.concat(place, ".laneProof"));
        (bytes32 hash, LaneBlock memory lane) = client.laneBlock(ancestry, position, laneProof);
        assertEq(lane.namespace, vm.parseJsonUint(json, string.concat(place, ".namespace")), "namespace");
        assertEq(lane.height, vm.parseJsonUint(json, string.concat(place, ".laneHeight")), "height");
        // The name is what the proposer signed: the key of the recorded chain is 7, 32 times.
        bytes memory signature = lane.signature;
        bytes32 r;
        bytes32 s;
        assembly {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        address signer = ecrecover(hash, uint8(signature[64]), r, s);
        uint256 secret = 0x0707070707070707070707070707070707070707070707070707070707070707;
        assertTrue(signer == vm.addr(secret), "signer");

        uint256 index = vm.parseJsonUint(json, string.concat(place, ".index"));
        bytes[] memory proof = vm.parseJsonBytesArray(json, string.concat(place, ".proof"));
        (, bool present, bytes memory raw) = client.transaction(ancestry, position, laneProof, index, proof);
        bytes memory want = vm.parseJsonBytes(json, string.concat(place, ".transaction"));
        assertTrue(present && keccak256(raw) == keccak256(want), "transaction");
        // Not under another index, and its absence cannot be shown with the same nodes.
        (bool ok, bytes memory data) = address(client)
            .staticcall(
                abi.encodeCall(ILightClient.transaction, (ancestry, position, laneProof, index + 1000, proof))
            );
        if (ok) {
            (, present,) = abi.decode(data, (bytes32, bool, bytes));
            assertTrue(!present, "another index");
        }
        ancestry.header[100] ^= 0x01;
        vm.expectRevert();
        client.laneBlock(ancestry, position, laneProof);
        ancestry.header[100] ^= 0x01;
    }

    function test_headerIsProvedByTheHistoryOfAStoredOne() public {
        startRecorded();
        bytes32 seats = vm.parseJsonBytes32(json, ".seatsHash");
        // Block 0 is under the history of block 1 alone: peaks are itself.
        bytes memory first = encode(headerOn(seats, 0));
        TestHeader memory second = headerOn(seats, 1);
        second.historyRoot = keccak256(abi.encodePacked(uint8(2), uint64(1), keccak256(first)));
        second.stateRoot = Trie.EMPTY_ROOT;
        bytes memory rlp = encode(second);
        uint256 sum;
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 secret = vm.parseJsonBytes32(json, string.concat(item(".seats", i), ".secret"));
            sum = addmod(sum, uint256(secret), ORDER);
        }
        client.update(rlp, View.wrap(1), View.wrap(0), sign(sum, finalize(second, keccak256(rlp))), hex"0f");
        Ancestry memory ancestry;
        ancestry.header = first;
        ancestry.peaks = new bytes32[](1);
        ancestry.anchor = rlp;
        client.verifyHeader(ancestry);
        TestHeader memory fake = headerOn(seats, 0);
        fake.view_ = 7;
        ancestry.header = encode(fake);
        vm.expectPartialRevert(History.WrongHistory.selector);
        client.verifyHeader(ancestry);
        // The state after block 1 is empty, so anything is absent from it.
        Ancestry memory direct;
        direct.header = rlp;
        (bool present,) = client.stateEntry(direct, "namespace", 7001, new bytes[](0));
        assertTrue(!present, "absent");
    }

    function test_descendantsThatDoNotFollowAreRefused() public {
        startRecorded();
        Ancestry memory ancestry;
        ancestry.header = vm.parseJsonBytes(json, string.concat(item(".transactions", 0), ".header"));
        ancestry.descendants = new bytes[](1);
        ancestry.descendants[0] = encode(headerOn(vm.parseJsonBytes32(json, ".seatsHash"), 0));
        vm.expectPartialRevert(ILightClient.NotAChild.selector);
        client.verifyHeader(ancestry);
    }
}
