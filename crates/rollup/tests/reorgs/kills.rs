//! The proposer is killed while acknowledged transactions have no place: whatever it had in memory is gone.

use crate::{
    TO,
    chain::{
        Chain, ROLLUP, Signed, at, custom, follow, promised, referring, submit, tick, transfer,
        user,
    },
    town::{Town, balance},
};
use cortado_ethrpc::SubmitError;
use cortado_rollup::{
    engine::Included,
    gateway::{AGAIN_PER_TICK_MAX, QUEUED_MS_MAX},
    source::Submitted,
};
use cortado_types::{Address, B256};

/// More than are placed again at once.
const MANY: u64 = AGAIN_PER_TICK_MAX as u64 + 40;

impl Town {
    /// The proposer dies without a word and is started again. It follows the chain; nobody tells it yet what L1
    /// queued.
    fn killed(&mut self) {
        let other = self.dir.path().join(format!("away at {}", self.now));
        drop(std::mem::replace(
            &mut self.gateway,
            self.chain.gateway(&other, 1, None),
        ));
        let home = self.dir.path().join("proposer");
        let mut gateway = self.chain.gateway(&home, 2, None);
        let engine = gateway.engine(ROLLUP).expect("served");
        let next = engine.next_height();
        self.now += 1;
        let missed = self.blocks.iter();
        for block in missed.filter(|block| block.block().header.height >= next) {
            follow(&mut gateway, block, at(0, self.now));
        }
        self.gateway = gateway;
        self.lanes.clear();
    }

    fn resumed(&mut self) {
        self.gateway.resume(at(0, self.now)).expect("resumes");
        self.gateway.commit().expect("commits");
    }

    fn told(&mut self) {
        let asked = self.engine().asked().map(|(block, _)| *block);
        for block in asked.collect::<Vec<_>>() {
            let entries = self.chain.queued.get(&block).cloned().unwrap_or_default();
            let told = self.gateway.tell_queue(ROLLUP, block, entries);
            told.expect("derives");
        }
    }

    /// A finalised block comes to the proposer, which is killed before it does anything else, and with or without its
    /// effect on disk.
    fn killed_by(&mut self, block: cortado_rollup::source::Finalised, is_durable: bool) {
        self.now += 1;
        follow(&mut self.gateway, &block, at(0, self.now));
        if is_durable {
            self.gateway.persist().expect("persists");
        }
        self.node.apply(&block).expect("applies");
        self.blocks.push(block);
        self.killed();
    }

    fn submitted(&mut self, included: &Included) -> Result<Submitted, SubmitError> {
        let now = self.time();
        submit(&mut self.gateway, included, now)
    }

    fn settle(&mut self) {
        for _ in 0..4 {
            self.finalise();
        }
    }

    /// Transactions that are promised, many of them.
    fn many(&mut self) -> Vec<Included> {
        let sent: Vec<_> = (0..MANY)
            .map(|nonce| transfer(&user(0), nonce, TO, 1))
            .collect();
        for included in &sent {
            promised(&mut self.gateway, included, at(0, self.now));
        }
        sent
    }

    /// It takes up work, promises all of this anew, and each is executed once.
    fn all_placed(&mut self, sent: &[Included]) {
        self.resumed();
        while self.gateway.tick(self.time()).expect("runs") <= self.time() {}
        self.gateway.commit().expect("commits");
        assert_eq!(self.without_promise(sent), 0);
        self.settle();
        assert_eq!(balance(&self.node, TO), sent.len() as u64);
    }

    fn without_promise(&self, sent: &[Included]) -> usize {
        let book = self.gateway.book();
        let is_missing = |included: &&Included| book.live(&included.hash()).is_none();
        sent.iter().filter(is_missing).count()
    }
}

#[test]
fn what_lost_its_place_to_a_fork_is_placed_again_by_a_proposer_that_died_before_it_could() {
    for is_durable in [false, true] {
        let mut town = Town::new(Chain::new());
        town.move_pointer();
        let sent = town.many();
        town.finalise();
        // The journal forgets final lane blocks.
        town.gateway.roll().expect("rolls");
        let block = town.chain.fork_pointer(1, &[], town.time());
        town.killed_by(block, is_durable);
        town.all_placed(&sent);
    }
}

#[test]
fn what_waits_behind_a_fork_survives_the_roll_of_the_journal() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    let sent = town.many();
    town.finalise();
    let block = town.chain.fork_pointer(1, &[], town.time());
    town.now += 1;
    follow(&mut town.gateway, &block, at(0, town.now));
    town.node.apply(&block).expect("applies");
    town.blocks.push(block);
    town.gateway.roll().expect("rolls");
    town.killed();
    town.all_placed(&sent);
}

#[test]
fn what_stood_in_dead_lane_blocks_is_placed_again_by_a_proposer_that_died_before_it_could() {
    let mut town = Town::new(Chain::new());
    let sent = town.many();
    tick(&mut town.gateway, at(0, 1_900));
    // Slot 0 closes without them.
    town.now = 2_700;
    let block = town.chain.finalise(&[], at(0, 2_700));
    town.killed_by(block, true);
    town.all_placed(&sent);
}

#[test]
fn what_waits_for_a_nonce_is_still_there_after_a_kill() {
    let mut town = Town::new(Chain::new());
    let (first, second) = (transfer(&user(0), 0, TO, 7), transfer(&user(0), 1, TO, 7));
    let hash = second.hash();
    let answer = town.submitted(&second);
    assert_eq!(answer, Ok(Submitted::Queued { hash, expected: 0 }));
    town.killed();
    town.resumed();
    town.gateway.roll().expect("rolls");
    town.killed();
    town.resumed();
    town.promised(&first);
    town.settle();
    assert_eq!(balance(&town.node, TO), 14);
}

#[test]
fn what_was_given_up_is_not_taken_up_again_after_a_kill() {
    let mut town = Town::new(Chain::new());
    let (first, second) = (transfer(&user(0), 0, TO, 7), transfer(&user(0), 1, TO, 7));
    town.submitted(&second).expect("waits");
    town.now += QUEUED_MS_MAX + 1;
    tick(&mut town.gateway, at(0, town.now));
    town.signed.read(&town.gateway);
    assert_eq!(town.signed.dropped, [second.hash()], "its sender is told");
    town.killed();
    town.resumed();
    town.promised(&first);
    tick(&mut town.gateway, at(0, town.now));
    assert_eq!(
        town.without_promise(&[first, second]),
        1,
        "the first is alone"
    );
}

#[test]
fn what_cannot_have_another_place_is_given_up_once() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    let late = referring(&user(0), 0, TO, town.chain.l1_tip().hash);
    town.promised(&late);
    town.finalise();
    town.fork(1, &[]);
    assert_eq!(
        town.signed.dropped,
        [late.hash()],
        "it refers to a lost block"
    );
    town.killed();
    town.resumed();
    tick(&mut town.gateway, at(0, town.now));
    let mut after = Signed::default();
    after.read(&town.gateway);
    assert!(after.dropped.is_empty(), "its sender is not told again");
}

#[test]
fn a_better_offer_takes_the_turn_of_what_waits_for_a_nonce() {
    let mut town = Town::new(Chain::new());
    let offer = |to: Address, fee: u128| {
        custom(&user(0), |tx| {
            tx.nonce = 1;
            tx.to = to.into();
            tx.max_fee_per_gas = fee;
            tx.max_priority_fee_per_gas = fee;
        })
    };
    let (old, new) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    let waits = offer(old, 1_000_000_000);
    town.submitted(&waits).expect("waits");
    let refused = town.submitted(&offer(new, 1_099_999_999));
    let underpriced = SubmitError::ReplacementUnderpriced;
    assert_eq!(refused, Err(underpriced), "not a tenth more");
    let better = offer(new, 1_100_000_000);
    town.submitted(&better).expect("waits instead");
    town.signed.read(&town.gateway);
    assert_eq!(town.signed.dropped, [waits.hash()], "its sender is told");
    town.promised(&transfer(&user(0), 0, TO, 7));
    town.settle();
    assert_eq!(
        (town.position(&waits), town.position(&better)),
        (None, Some(1))
    );
}

#[test]
fn a_proposer_does_not_go_on_before_it_is_told_again_what_its_lane_blocks_import() {
    let mut town = Town::new(Chain::with_inbox());
    town.fork(0, &[(Address::repeat_byte(0xaa), 50)]);
    let plain = transfer(&user(0), 0, TO, 7);
    town.promised(&plain);
    town.seal();
    let lanes: Vec<_> = town.lanes.drain(..).map(|lane| lane.lane).collect();
    town.killed();
    assert!(!town.gateway.can_resume());
    town.told();
    assert!(town.gateway.can_resume());
    town.resumed();
    let offered = tick(&mut town.gateway, at(0, town.now));
    let again: Vec<_> = offered.iter().map(|lane| lane.lane.clone()).collect();
    assert_eq!(again, lanes, "the very same, and no other");
    let block = town.chain.finalise(&offered, town.time());
    town.take(block);
    assert_eq!(town.position(&plain), Some(1));
    town.agree("after");
}

/// A lane block is final whose L1 block the proposer knows nothing of, since it was killed.
fn underived() -> (Town, Included, B256) {
    let mut town = Town::new(Chain::with_inbox());
    let anchor = town.chain.l1_tip();
    town.fork(0, &[(Address::repeat_byte(0xaa), 50)]);
    let (plain, early) = (
        transfer(&user(0), 0, TO, 7),
        referring(&user(1), 0, TO, anchor.hash),
    );
    town.promised(&plain);
    town.promised(&early);
    town.seal();
    let lanes = std::mem::take(&mut town.lanes);
    let block = town.chain.finalise(&lanes, town.time());
    town.now += 1;
    // It is killed before the block comes, and what it was told of L1 was not on disk.
    town.node.apply(&block).expect("applies");
    town.blocks.push(block);
    town.killed();
    assert!(!town.engine().is_ready(), "nobody has said what L1 queued");
    town.resumed();
    (town, plain, early.hash())
}

#[test]
fn a_final_lane_block_that_is_not_derived_after_a_kill_keeps_its_transactions() {
    let (mut town, plain, early) = underived();
    town.told();
    town.settle();
    town.signed.read(&town.gateway);
    assert!(!town.signed.dropped.contains(&plain.hash()));
    assert!(!town.signed.dropped.contains(&early));
    assert_eq!(town.position(&plain), Some(1));
    town.agree("after");
}

#[test]
fn what_falls_of_a_lane_block_that_was_final_and_not_derived_before_a_kill_is_placed_again() {
    let (mut town, plain, _) = underived();
    town.fork(1, &[]);
    assert_eq!(
        town.position(&plain),
        None,
        "it was built on the lost block"
    );
    town.settle();
    assert!(town.position(&plain).is_some());
    town.agree("after");
}
