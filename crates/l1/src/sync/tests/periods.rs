//! How one committee follows another.

use super::{PERIOD, block, refusal, signer, store, verify};
use crate::sync::{LightClientHeader, PERIODS_KEPT, SyncError, SyncStore};
use crate::testing::beacon::BeaconSigner;

/// A store that knows the committees of periods 0 and 1.
fn advanced(signer: &BeaconSigner) -> SyncStore {
    let mut store = store(signer);
    let verified = verify(&store, &signer.update(block(100, 1), 30, 32)).expect("it was signed");
    assert!(store.advance(&verified));
    store
}

#[test]
fn the_next_committee_takes_over_and_the_oldest_is_forgotten() {
    let signer = signer();
    let mut store = store(&signer);
    for period in 0..4 {
        let update = signer.update(block(100 + period, 1), PERIOD * period + 30, 30);
        let verified = verify(&store, &update).expect("signed by the committee of its period");
        assert_eq!(verified.brings_committee_of(), Some(period + 1));
        assert!(store.advance(&verified));
        assert!(!store.advance(&verified), "it is known already");
    }
    let kept = PERIODS_KEPT as u64;
    assert_eq!(store.periods(), (5 - kept, 4));
    // The committee before the sitting one still gives weight to blocks of its own time.
    verify(&store, &signer.update(block(90, 1), PERIOD * 2 + 60, 30)).expect("known still");
    let refused = refusal(&store, &signer.update(block(80, 1), PERIOD + 60, 30));
    let (period, oldest, newest) = (1, 2, 4);
    assert_eq!(
        refused,
        SyncError::UnknownPeriod {
            period,
            oldest,
            newest
        }
    );
}

#[test]
fn an_update_of_a_period_whose_committee_is_not_known_yet_has_to_wait() {
    let signer = signer();
    let mut store = store(&signer);
    let update = signer.update(block(100, 1), PERIOD + 5, 32);
    let refused = store.verify(&update, u64::MAX).expect_err("committee 1");
    let (period, oldest, newest) = (1, 0, 0);
    assert_eq!(
        refused,
        SyncError::UnknownPeriod {
            period,
            oldest,
            newest
        }
    );
    assert!(!refused.is_permanent());
    let next = verify(&store, &signer.update(block(90, 1), 30, 32)).expect("it was signed");
    assert!(store.advance(&next));
    verify(&store, &update).expect("committee 1 is known");
}

#[test]
fn the_last_block_of_a_period_is_signed_by_the_committee_of_the_next() {
    let signer = signer();
    let last = signer.update(block(100, 1), PERIOD - 1, 32);
    assert_eq!(last.signature_slot, PERIOD);
    assert!(store(&signer).verify(&last, PERIOD).is_err());
    verify(&advanced(&signer), &last).expect("signed by committee 1");
}

#[test]
fn a_committee_that_two_thirds_did_not_sign_does_not_follow() {
    let signer = signer();
    let mut store = store(&signer);
    let few = verify(&store, &signer.update(block(100, 1), 30, 21)).expect("it was signed");
    assert_eq!(few.participants(), 21, "for the weight it counts");
    assert_eq!(few.brings_committee_of(), None);
    assert!(!store.advance(&few));
    let enough = verify(&store, &signer.update(block(100, 1), 30, 22)).expect("it was signed");
    assert!(store.advance(&enough));
}

#[test]
fn a_committee_without_finality_in_its_period_does_not_follow() {
    let signer = signer();
    let mut store = advanced(&signer);
    for finalized in [0, PERIOD - 8] {
        let update = signer.update_over(block(200, 1), PERIOD + 30, finalized, 32);
        let verified = verify(&store, &update).expect("it was signed");
        assert!(!store.advance(&verified), "finalised: slot {finalized}");
    }
    let update = signer.update_over(block(200, 1), PERIOD + 30, PERIOD, 32);
    let verified = verify(&store, &update).expect("it was signed");
    assert!(store.advance(&verified));
}

#[test]
fn another_committee_for_a_known_period_is_refused() {
    let signer = signer();
    let store = advanced(&signer);
    // In this state committee 1 is another, though the sitting one signed it.
    let mut update = signer.update(block(100, 1), 30, 32);
    let honest = update.clone();
    let (root, strange) = {
        let mut committee = signer.committee(1);
        committee.pubkeys.swap(0, 1);
        (committee.root(), committee)
    };
    assert_ne!(root, honest.next_sync_committee.root());
    update.next_sync_committee = strange;
    // Not under the honest state,
    assert!(matches!(refusal(&store, &update), SyncError::Branch { .. }));
    // and not under a state that has it.
    let mut node = root;
    for (level, sibling) in update.next_sync_committee_branch.iter().enumerate() {
        node = if (87 >> level) & 1 == 1 {
            crate::sync::hash_pair(*sibling, node)
        } else {
            crate::sync::hash_pair(node, *sibling)
        };
    }
    update.attested_header.beacon.state_root = node;
    update.finality_branch.fill(Default::default());
    update.finalized_header = LightClientHeader::default();
    signer.sign(&mut update, 0..32);
    let period = 1;
    assert_eq!(
        refusal(&store, &update),
        SyncError::OtherCommittee { period }
    );
}

#[test]
fn a_committee_or_finalised_header_without_its_branch_is_refused() {
    let signer = signer();
    let store = store(&signer);
    let honest = signer.update(block(100, 1), 30, 32);
    let mut update = honest.clone();
    update.next_sync_committee_branch.fill(Default::default());
    let what = "next sync committee";
    assert_eq!(refusal(&store, &update), SyncError::Unproved { what });
    let mut update = honest;
    update.finality_branch.fill(Default::default());
    let what = "finalised header";
    assert_eq!(refusal(&store, &update), SyncError::Unproved { what });
}

#[test]
fn what_is_finalised_later_than_the_attested_block_is_refused() {
    let signer = signer();
    let store = store(&signer);
    let update = signer.update_over(block(100, 1), 30, 31, 32);
    let (finalized, attested) = (31, 30);
    assert_eq!(
        refusal(&store, &update),
        SyncError::FinalizedLate {
            finalized,
            attested
        }
    );
}
