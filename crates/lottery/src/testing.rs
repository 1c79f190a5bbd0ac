//! Small batches for tests, written as numbers, and arbitrary ones.

use proptest::prelude::*;

use crate::amount::Gwei;
use crate::batch::{Batch, BundleIndex, Bundles, Member, OwnerId, Ticket, TicketId};

/// Tickets from rows of id, bundle index and stake; every ticket has an owner of its own.
pub(crate) fn tickets(rows: &[(u64, u32, u64)]) -> Vec<Ticket> {
    rows.iter()
        .map(|&(id, bundle, stake)| Ticket {
            id: TicketId::new(id),
            owner: OwnerId::new(1_000 + id),
            bundle: BundleIndex::new(bundle),
            stake: Gwei::new(stake),
        })
        .collect()
}

/// A batch from reserves, bundles and rows of id, bundle index and stake.
pub(crate) fn batch(reserves: &[u64], bundles: &[&[u32]], rows: &[(u64, u32, u64)]) -> Batch {
    let mut list = Bundles::default();
    for bundle in bundles {
        list.push(&bundle.iter().copied().map(Member::new).collect::<Vec<_>>())
            .unwrap();
    }
    Batch::new(
        reserves.iter().copied().map(Gwei::new).collect(),
        list,
        tickets(rows),
    )
    .unwrap()
}

/// Up to 8 namespaces, 12 bundles (some equal, some unused) and 30 tickets in any order, stakes
/// from tiny to the greatest.
pub(crate) fn arbitrary_batch() -> impl Strategy<Value = Batch> {
    let stake = prop_oneof![1u64..10, 1u64..1_000_000, Just(u64::MAX), 1..=u64::MAX];
    let reserve = prop_oneof![Just(0u64), 0u64..1_000, any::<u64>()];
    (1usize..=8)
        .prop_flat_map(move |namespaces| {
            let bundle = prop::collection::btree_set(0..namespaces as u32, 1..=namespaces);
            (
                prop::collection::vec(reserve.clone(), namespaces),
                prop::collection::vec(bundle, 1..12),
                prop::collection::btree_map(
                    any::<u64>(),
                    (any::<prop::sample::Index>(), 0u64..6, stake.clone()),
                    0..30,
                ),
            )
        })
        .prop_map(|(reserves, lists, rows)| {
            let mut bundles = Bundles::default();
            for list in &lists {
                bundles
                    .push(&list.iter().copied().map(Member::new).collect::<Vec<_>>())
                    .unwrap();
            }
            let tickets = rows.into_iter().map(|(id, (bundle, owner, stake))| Ticket {
                id: TicketId::new(id.rotate_left(32)),
                owner: OwnerId::new(owner),
                bundle: BundleIndex::new(bundle.index(lists.len()) as u32),
                stake: Gwei::new(stake),
            });
            let reserves = reserves.into_iter().map(Gwei::new).collect();
            Batch::new(reserves, bundles, tickets.collect()).unwrap()
        })
}
