use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, U256};

use super::*;
use crate::testing::{Account, CHAIN_ID, RICH_WEI, contracts};

const CLOCK: SlotClock = SlotClock {
    genesis_time_ms: 10_000,
    slot_ms: 2_000,
    slots_per_epoch: 4,
};

/// The rings of EIP-2935 and EIP-4788 hold this many entries.
const RING: u64 = 8_191;

struct World {
    chain: L1Chain,
}

fn world() -> World {
    let mut alloc = contracts();
    for number in 1..=3 {
        alloc
            .entry(Account::new(number).address)
            .or_default()
            .balance = RICH_WEI;
    }
    let timestamp = CLOCK.timestamp(0);
    let genesis = Genesis {
        alloc,
        timestamp,
        ..Genesis::default()
    };
    let spec = ChainSpec::ethereum(CHAIN_ID);
    let store = Arc::new(ChainStore::in_memory(spec, &genesis).expect("a new store"));
    let beacon = Arc::new(Beacon::new(CLOCK, 1, 8));
    let chain = L1Chain::new(beacon, store, Arc::default(), 2).expect("a new chain");
    World { chain }
}

impl World {
    /// Ticks at the start of a slot.
    fn slot(&mut self, slot: u64) -> Option<Step> {
        self.chain
            .tick(CLOCK.start_ms(slot))
            .expect("the chain goes on")
    }

    fn run(&mut self, slots: std::ops::RangeInclusive<u64>) {
        for slot in slots {
            self.slot(slot);
        }
    }

    fn send(&self, tx: &alloy_consensus::transaction::Recovered<alloy_consensus::TxEnvelope>) {
        let head = self.chain.head();
        self.chain
            .pool()
            .add(tx.clone(), self.chain.spec(), &head)
            .expect("valid");
    }

    /// Slots of the canonical chain, genesis first.
    fn slots(&self) -> Vec<u64> {
        let head = self.chain.head().number();
        let block = |number| self.chain.store.block_by_number(number).expect("reads");
        (0..=head)
            .map(|n| slot_of(&block(n).expect("canonical").header))
            .collect()
    }

    /// Numbers of finalised, safe and head block.
    fn tags(&self) -> (u64, u64, u64) {
        let finalized = self.chain.store.finalized().number();
        (
            finalized,
            self.chain.safe().number(),
            self.chain.head().number(),
        )
    }

    fn balance(&self, address: Address) -> U256 {
        self.chain
            .head()
            .state
            .account(&address)
            .map_or(U256::ZERO, |account| account.balance)
    }
}

fn hashes(blocks: &[Arc<ExecutedBlock>]) -> Vec<B256> {
    blocks.iter().map(|block| block.hash()).collect()
}

#[test]
fn every_slot_brings_one_block_on_the_last() {
    let mut world = world();
    assert!(world.slot(0).is_none(), "slot 0 is genesis");
    assert!(
        world
            .chain
            .tick(CLOCK.start_ms(1) - 1)
            .expect("goes on")
            .is_none()
    );
    let step = world.slot(1).expect("a block");
    assert_eq!((step.removed.len(), step.added.len()), (0, 1));
    assert!(
        world
            .chain
            .tick(CLOCK.start_ms(2) - 1)
            .expect("goes on")
            .is_none(),
        "once a slot"
    );
    world.slot(2).expect("a block");
    let head = world.chain.head();
    assert_eq!(head.header.parent_hash, step.added[0].hash());
    assert_eq!(head.header.timestamp, 14);
    assert_eq!(world.slots(), [0, 1, 2]);
}

#[test]
fn time_running_backwards_brings_nothing() {
    let mut world = world();
    world.run(1..=3);
    assert!(world.slot(2).is_none());
    assert!(world.chain.tick(0).expect("goes on").is_none());
    assert_eq!(world.slots(), [0, 1, 2, 3]);
}

#[test]
fn a_missed_slot_is_skipped_and_the_next_builds_on_the_last_block() {
    let mut world = world();
    world.run(1..=1);
    world.chain.miss_next(2);
    assert!(world.slot(2).is_none() && world.slot(3).is_none());
    world.slot(4).expect("a block");
    assert_eq!(world.slots(), [0, 1, 4]);
}

#[test]
fn slots_that_pass_unticked_are_missed_and_count_as_such() {
    let mut world = world();
    world.chain.miss_next(2);
    // Two slots pass while nobody ticks: nothing is left to be missed on purpose.
    world.slot(3).expect("a block");
    world.slot(4).expect("a block");
    assert_eq!(world.slots(), [0, 3, 4]);
}

#[test]
fn a_chain_opened_again_goes_on_at_the_current_slot() {
    let mut world = world();
    world.run(1..=3);
    let head = world.chain.head().hash();
    let L1Chain {
        beacon,
        store,
        pool,
        ..
    } = world.chain;
    let mut world = World {
        chain: L1Chain::new(beacon, store, pool, 2).expect("opens"),
    };
    assert_eq!(world.chain.head().hash(), head);
    assert!(world.slot(3).is_none(), "slot 3 has its block");
    world.slot(9).expect("a block");
    assert_eq!(world.slots(), [0, 1, 2, 3, 9]);
}

#[test]
fn every_block_stores_its_parents_hash_and_beacon_root_in_the_system_contracts() {
    let mut world = world();
    world.run(1..=2);
    world.slot(4);
    let head = world.chain.head();
    let parent = world
        .chain
        .store
        .block_by_number(2)
        .expect("reads")
        .expect("canonical");
    let root = world.chain.beacon.header(&parent.header).root();
    assert_eq!(head.header.parent_beacon_block_root, Some(root));
    let stored = |contract, slot: u64| B256::from(head.state.storage(&contract, U256::from(slot)));
    assert_eq!(stored(HISTORY_STORAGE_ADDRESS, 2 % RING), parent.hash());
    let at = head.header.timestamp % RING;
    assert_eq!(stored(BEACON_ROOTS_ADDRESS, at + RING), root);
}

#[test]
fn the_proposer_of_the_slot_earns_the_tips() {
    let mut world = world();
    let proposer = world.chain.beacon.proposer(1).fee_recipient;
    world.send(&Account::new(1).transfer(0, 3));
    world.slot(1).expect("a block");
    assert_eq!(world.chain.head().header.beneficiary, proposer);
    assert_eq!(
        world.balance(proposer),
        U256::from(21_000u64 * 3_000_000_000)
    );
}

#[test]
fn safe_is_one_epoch_behind_and_finalized_two() {
    let mut world = world();
    world.run(1..=3);
    assert_eq!(world.tags(), (0, 0, 3));
    world.run(4..=8);
    assert_eq!(world.tags(), (0, 4, 8));
    world.run(9..=11);
    assert_eq!(world.tags(), (0, 4, 11));
    let finality = world
        .slot(12)
        .expect("a block")
        .finalized
        .expect("epoch 1 is final");
    assert_eq!((finality.epoch, finality.checkpoint.number()), (1, 4));
    assert_eq!(finality.blocks.len(), 4);
    assert_eq!(world.tags(), (4, 8, 12));
}

#[test]
fn a_missed_epoch_start_makes_the_block_before_it_the_checkpoint() {
    let mut world = world();
    world.run(1..=3);
    world.chain.miss_next(2);
    world.run(4..=13);
    // Blocks 1, 2, 3 at their slots, block 4 at slot 6: the checkpoint of slot 4 is block 3.
    assert_eq!(world.tags().0, 3);
}

#[test]
fn stalled_finality_stands_still_and_catches_up_when_released() {
    let mut world = world();
    world.run(1..=12);
    assert_eq!(world.tags(), (4, 8, 12));
    world.chain.stall_finality(true);
    world.run(13..=24);
    assert_eq!(world.tags(), (4, 8, 24));
    world.chain.stall_finality(false);
    let finality = world
        .slot(25)
        .expect("a block")
        .finalized
        .expect("catches up");
    assert_eq!((finality.epoch, finality.blocks.len()), (4, 12));
    assert_eq!(world.tags(), (16, 20, 25));
}

#[test]
fn a_reorg_replaces_the_last_blocks_and_is_one_block_heavier() {
    let mut world = world();
    world.run(1..=5);
    let old: Vec<B256> = (4..=5)
        .map(|n| {
            world
                .chain
                .store
                .hash_by_number(n)
                .expect("reads")
                .expect("canonical")
        })
        .collect();
    world.chain.reorg(2).expect("possible");
    let step = world.slot(6).expect("a block");
    assert_eq!(hashes(&step.removed), old);
    assert_eq!(
        step.added
            .iter()
            .map(|b| slot_of(&b.header))
            .collect::<Vec<_>>(),
        [4, 5, 6]
    );
    assert_eq!(
        step.added[0].header.parent_hash,
        step.removed[0].header.parent_hash
    );
    assert_ne!(hashes(&step.added)[..2], old[..]);
    assert_eq!(world.slots(), [0, 1, 2, 3, 4, 5, 6]);
    // Done once: the next slot is an ordinary one.
    assert!(world.slot(7).expect("a block").removed.is_empty());
}

#[test]
fn reorged_transactions_return_and_enter_the_new_fork() {
    let mut world = world();
    let (alice, bob) = (Account::new(1), Account::new(2));
    world.run(1..=1);
    let txs = [
        alice.transfer(0, 1),
        alice.transfer(1, 1),
        bob.transfer(0, 9),
    ];
    world.send(&txs[0]);
    world.slot(2);
    world.send(&txs[1]);
    world.send(&txs[2]);
    world.slot(3);
    world.chain.reorg(2).expect("possible");
    let step = world.slot(4).expect("a block");
    assert!(
        step.added[..2]
            .iter()
            .all(|block| block.transactions.is_empty())
    );
    let mined: Vec<B256> = step.added[2]
        .transactions
        .iter()
        .map(|tx| *tx.tx_hash())
        .collect();
    assert_eq!(mined, [2, 0, 1].map(|index: usize| *txs[index].tx_hash()));
    assert!(world.chain.pool().is_empty());
}

#[test]
fn two_reorgs_of_the_same_slots_give_three_different_forks() {
    let mut world = world();
    world.run(1..=2);
    let mut seen = vec![world.chain.head().hash()];
    for slot in 3..=4 {
        world.chain.reorg(slot - 1).expect("possible");
        let step = world.slot(slot).expect("a block");
        seen.push(step.added[1].hash());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_reorg_of_nothing_or_past_finality_is_refused_with_the_numbers() {
    let mut world = world();
    world.run(1..=12);
    assert_eq!(world.tags().0, 4);
    let refusal = |world: &mut World, depth| {
        world
            .chain
            .reorg(depth)
            .expect_err("has to be refused")
            .to_string()
    };
    assert_eq!(refusal(&mut world, 0), "a reorg of depth 0 changes nothing");
    assert_eq!(
        refusal(&mut world, 9),
        "a reorg of depth 9 at head 12 would revert the finalised block 4"
    );
    world.chain.reorg(8).expect("down to the finalised block");
    assert_eq!(world.slot(13).expect("a block").removed.len(), 8);
}

#[test]
fn safe_stays_canonical_through_a_reorg_below_it() {
    let mut world = world();
    world.run(1..=10);
    let safe = world.chain.safe();
    assert_eq!(safe.number(), 4);
    world.chain.reorg(8).expect("possible");
    world.slot(11).expect("a block");
    let canonical = world
        .chain
        .store
        .hash_by_number(4)
        .expect("reads")
        .expect("canonical");
    assert_ne!(canonical, safe.hash());
    assert_eq!(world.chain.safe().hash(), canonical);
}

#[test]
fn safe_falls_back_to_finalized_when_a_reorg_removes_it_under_a_stall() {
    let mut world = world();
    world.run(1..=10);
    world.chain.stall_finality(true);
    world.chain.reorg(8).expect("possible");
    world.slot(11).expect("a block");
    assert_eq!(world.tags(), (0, 0, 11));
}

#[test]
fn equal_inputs_give_equal_chains() {
    let story = || {
        let mut world = world();
        world.send(&Account::new(1).transfer(0, 1));
        world.run(1..=6);
        world.chain.reorg(3).expect("possible");
        world.chain.miss_next(1);
        world.run(7..=14);
        world.chain.head().hash()
    };
    assert_eq!(story(), story());
}

#[test]
fn the_block_at_a_slot_is_the_last_one_at_or_before_it() {
    let mut world = world();
    world.run(1..=2);
    world.run(5..=6);
    let found: Vec<u64> = (0..=8)
        .map(|slot| world.chain.block_at_slot(slot).expect("reads").number())
        .collect();
    assert_eq!(found, [0, 1, 2, 2, 2, 3, 4, 4, 4]);
}
