//! Random stories of sending, sealing, forks, finality and restarts.

use crate::{
    TO,
    chain::{self, Chain, ROLLUP, at, follow_l1, referring, submit, transfer, user},
    town::{Town, balance},
};
use cortado_rollup::{
    engine::{Engine, Included},
    source::Submitted,
};
use cortado_types::{Address, L1Ref};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// From this account; a reference so many L1 blocks below the tip, if any.
    Send {
        from: u64,
        reference: Option<usize>,
    },
    Seal,
    Finalise,
    Fork {
        depth: usize,
        deposit: u64,
    },
    FinaliseL1,
    /// The proposer is killed and comes back.
    Restart,
    /// The node stops and comes back.
    Reopen {
        persisted: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0u64..6, prop::option::of(0usize..4))
            .prop_map(|(from, reference)| Step::Send { from, reference }),
        3 => Just(Step::Seal),
        5 => Just(Step::Finalise),
        6 => (0usize..5, 0u64..3).prop_map(|(depth, deposit)| Step::Fork { depth, deposit }),
        1 => Just(Step::FinaliseL1),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(|persisted| Step::Reopen { persisted }),
    ];
    prop::collection::vec(step, 5..40)
}

/// What was deposited on the chain that `L1*` is on, and where.
type Deposits = Vec<(L1Ref, u64)>;

fn reopened(town: &Town, dir: &Path) -> Engine {
    let mut node = town.chain.engine(dir, ROLLUP);
    let from = node.next_height().get() as usize - 1;
    for block in &town.blocks[from..] {
        node.apply(block).expect("applies again");
    }
    town.chain.tell(&mut node);
    node
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_happens_all_agree_nothing_is_lost_and_nobody_contradicts_himself(steps in steps()) {
        let mut town = Town::new(Chain::with_inbox());
        let depositor = Address::repeat_byte(0xdd);
        let mut nonces: BTreeMap<u64, u64> = BTreeMap::new();
        let mut sent: Vec<(Included, bool)> = Vec::new();
        let mut deposits: Deposits = Vec::new();
        let mut runs = 1;
        for (round, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send { from, reference } => {
                    let nonce = nonces.entry(from).or_default();
                    let line = town.chain.l1_line();
                    let refers = reference.map(|back| line[line.len() - 1 - back.min(line.len() - 1)]);
                    let included = match refers {
                        Some(block) => referring(&user(from), *nonce, TO, block.hash),
                        None => transfer(&user(from), *nonce, TO, 1),
                    };
                    town.now += 1;
                    if let Ok(Submitted::Promised { .. }) =
                        submit(&mut town.gateway, &included, at(0, town.now))
                    {
                        *nonce += 1;
                        sent.push((included, refers.is_some()));
                    }
                }
                Step::Seal => town.seal(),
                Step::Finalise => town.finalise(),
                Step::Fork { depth, deposit } => {
                    let depth = depth.min(town.chain.unfinalised());
                    let list = vec![(depositor, 100); deposit as usize];
                    town.fork(depth, &list);
                    let line = town.chain.l1_line();
                    deposits.retain(|(block, _)| line.contains(block));
                    deposits.extend(list.iter().map(|(_, wei)| (town.chain.l1_tip(), *wei)));
                }
                Step::FinaliseL1 => {
                    let block = town.chain.finalise_l1(town.time());
                    town.take(block);
                }
                Step::Restart => {
                    runs += 1;
                    let aside = town.chain.gateway(&town.dir.path().join(format!("aside-{round}")), 1, None);
                    drop(std::mem::replace(&mut town.gateway, aside));
                    let mut gateway = town.chain.gateway(&town.dir.path().join("proposer"), runs, None);
                    let from = gateway.engine(ROLLUP).expect("served").next_height().get() as usize - 1;
                    for block in &town.blocks[from..] {
                        follow_l1(&mut gateway, &town.chain, block, town.time());
                    }
                    gateway.resume(town.time()).expect("resumes");
                    gateway.commit().expect("commits");
                    town.gateway = gateway;
                    town.signed.read(&town.gateway);
                    town.lanes.clear();
                }
                Step::Reopen { persisted } => {
                    if persisted {
                        town.node.persist().expect("persists");
                    }
                    let dir = town.dir.path().join("node");
                    let aside = town.chain.engine(&town.dir.path().join(format!("beside-{round}")), ROLLUP);
                    drop(std::mem::replace(&mut town.node, aside));
                    town.node = reopened(&town, &dir);
                }
            }
            prop_assert_eq!(town.node.head().hash(), town.engine().head().hash());
        }
        // What is under way comes to rest; slots go by.
        let slot = town.now / chain::SLOT_MS;
        for slot in slot..slot + 4 {
            town.close_slot(slot);
            town.now = (slot + 1) * chain::SLOT_MS + 700;
            let block = town.chain.finalise(&[], town.time());
            town.take(block);
            town.finalise();
        }
        town.agree("scratch");
        let mut executed = 0;
        let mut stuck = BTreeSet::new();
        for (included, refers) in &sent {
            let place = town.position(included);
            let sender = included.transaction.signer();
            let told = town.signed.dropped.contains(&included.hash());
            executed += u64::from(place.is_some());
            // What follows one that has no place on this fork waits for it.
            if place.is_none() {
                stuck.insert(sender);
            }
            prop_assert!(
                place.is_some() || told || *refers || stuck.contains(&sender),
                "{} is neither there nor was it said to be dropped", included.hash()
            );
        }
        prop_assert_eq!(balance(&town.node, TO), executed, "each has its effect once");
        let total: u64 = deposits.iter().map(|(_, wei)| wei).sum();
        prop_assert_eq!(balance(&town.node, depositor), total, "deposits, neither lost nor doubled");
    }
}
