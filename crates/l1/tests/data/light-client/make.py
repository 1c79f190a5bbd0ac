"""Makes the light-client data in this folder with the executable consensus specification.

Run as `python make.py` where `eth-consensus-specs` 1.7.0a13 is installed. A chain of the preset's
genesis validators runs with full attestations until finality, then blocks are signed as head by the
sync committee. State transition, containers, Merkle branches and signatures are the specification's;
its own `validate_light_client_update` accepts every update before it is written.
"""
import json
import pathlib
import sys

from eth_consensus_specs.test.helpers import churn

# The release imports one of its modules by the path it has in the specification's repository.
sys.modules["tests.core.pyspec.eth_consensus_specs.test.helpers.churn"] = churn

from eth_consensus_specs.fulu import mainnet as fulu_mainnet, minimal as fulu_minimal
from eth_consensus_specs.deneb import minimal as deneb_minimal
from eth_consensus_specs.test.context import (
    default_activation_threshold, default_balances, get_copy_of_spec, spec_with_config_overrides,
)
from eth_consensus_specs.test.helpers.attestations import state_transition_with_full_block
from eth_consensus_specs.test.helpers.genesis import create_genesis_state
from eth_consensus_specs.test.helpers.light_client import create_update, get_sync_aggregate
from eth_consensus_specs.utils import bls
from eth_consensus_specs.utils.ssz.ssz_impl import serialize
from eth_consensus_specs.utils.ssz.ssz_typing import (
    BitVector, Container, List, Uint, Vector,
)

FOLDER = pathlib.Path(__file__).parent


def api(value):
    """The form of the beacon API: numbers quoted, bytes in hex."""
    if isinstance(value, Uint):
        return str(int(value))
    if isinstance(value, bytes):
        return "0x" + bytes(value).hex()
    if isinstance(value, BitVector):
        return "0x" + serialize(value).hex()
    if isinstance(value, Container):
        return {field: api(getattr(value, field)) for field in value.fields()}
    if isinstance(value, (List, Vector)):
        return [api(element) for element in value]
    raise TypeError(type(value))


def advance(spec, state):
    """One full block; its attestations count, but only the sync committee really signs."""
    bls.bls_active = False
    epoch = spec.get_current_epoch(state)
    block = state_transition_with_full_block(spec, state, epoch > 0, epoch > 0)
    bls.bls_active = True
    return block


def make(name, spec, quoted):
    forks = ["ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU"]
    epochs = {f"{fork}_FORK_EPOCH": 0 for fork in forks if hasattr(spec.config, f"{fork}_FORK_EPOCH")}
    spec, _ = spec_with_config_overrides(get_copy_of_spec(spec), epochs)
    state = create_genesis_state(spec, default_balances(spec), default_activation_threshold(spec))
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    facts = {
        "genesis_validators_root": "0x" + bytes(state.genesis_validators_root).hex(),
        "version": "0x" + bytes(state.fork.current_version).hex(),
    }
    blocks = {}

    def forward(until):
        while state.slot < until:
            block = advance(spec, state)
            blocks[bytes(block.message.hash_tree_root())] = block
        return block

    def write(file, version, value):
        (folder / f"{file}.ssz").write_bytes(serialize(value))
        if quoted:
            text = json.dumps({"version": version, "data": api(value)}, indent=1)
            (folder / f"{file}.json").write_text(text + "\n")

    version = spec.fork
    block = forward(2)
    bootstrap = spec.create_light_client_bootstrap(state, block)
    trusted = block.message.hash_tree_root()
    facts["trusted_block_root"] = "0x" + bytes(trusted).hex()
    write("bootstrap", version, bootstrap)
    store = spec.initialize_light_client_store(trusted, bootstrap)

    def update(file, until, participation, with_next=True, with_finality=True):
        block = forward(until)
        finalized = blocks.get(bytes(state.finalized_checkpoint.root))
        made = create_update(
            spec, state, block, finalized, with_next, with_finality and finalized is not None,
            participation,
        )
        root = state.genesis_validators_root
        spec.validate_light_client_update(store, made, made.signature_slot, root)
        spec.process_light_client_update(store, made, made.signature_slot, root)
        write(file, version, made)
        print(name, file, "slot", until, "finalised", made.finalized_header.beacon.slot)

    def optimistic(file, until, participants):
        block = forward(until)
        aggregate, signature_slot = get_sync_aggregate(spec, state, participants)
        made = spec.LightClientOptimisticUpdate(
            attested_header=spec.block_to_light_client_header(block),
            sync_aggregate=aggregate,
            signature_slot=signature_slot,
        )
        root = state.genesis_validators_root
        spec.process_light_client_optimistic_update(store, made, signature_slot, root)
        write(file, version, made)
        print(name, file, "slot", until)

    per_epoch, size = int(spec.SLOTS_PER_EPOCH), int(spec.SYNC_COMMITTEE_SIZE)
    update("head", 5, 1, with_next=False, with_finality=False)
    update("next", 4 * per_epoch + 3, 0.97)
    optimistic("optimistic", 4 * per_epoch + 4, size - 3)
    if size == 32:
        period = per_epoch * int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
        update("rotated", period + 4 * per_epoch + 1, 0.9)
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    make("fulu-minimal", fulu_minimal, True)
    make("deneb-minimal", deneb_minimal, False)
    make("fulu-mainnet", fulu_mainnet, False)
