//! Heads that nobody signed, or not so many, or not so.

use super::{PERIOD, block, forks, refusal, signer, spec, store, verify};
use crate::sync::{
    BeaconSpec, Fork, ForkName, LightClientOptimisticUpdate, LightClientUpdate, PARTICIPANTS_MIN,
    Preset, SpecError, SyncError, SyncStore,
};
use crate::testing::beacon::BeaconSigner;
use blst::min_pk::PublicKey;
use cortado_types::B256;

#[test]
fn a_block_that_the_sync_committee_signed_has_as_many_participants_as_signed() {
    for (preset, participants) in [(Preset::MINIMAL, 27), (Preset::MAINNET, 401)] {
        let spec = BeaconSpec::new(preset, B256::repeat_byte(0x9e), forks(2)).expect("a chain");
        let signer = BeaconSigner::new(spec, 0..=1);
        // Before and after Electra, whose states have other Merkle indices.
        for slot in [5, 2 * preset.slots_per_epoch + 3] {
            let update = signer.update(block(100, 1), slot, participants);
            let verified = verify(&store(&signer), &update).expect("it was signed");
            assert_eq!(verified.block(), block(100, 1));
            assert_eq!(verified.slot(), slot);
            assert_eq!(verified.participants(), participants);
        }
    }
}

#[test]
fn bits_of_seats_that_did_not_sign_are_refused() {
    let signer = signer();
    let store = store(&signer);
    let honest = signer.update(block(100, 1), 20, 24);
    verify(&store, &honest).expect("24 signed");
    for seat in 24..32 {
        let mut inflated = honest.clone();
        let mut bits = inflated.sync_aggregate.sync_committee_bits.to_vec();
        bits[seat / 8] |= 1 << (seat % 8);
        inflated.sync_aggregate.sync_committee_bits = bits.into();
        let participants = 25;
        assert_eq!(
            refusal(&store, &inflated),
            SyncError::Mismatch { participants }
        );
    }
    let mut inflated = honest.clone();
    inflated.sync_aggregate.sync_committee_bits = vec![0xff; 4].into();
    let participants = 32;
    assert_eq!(
        refusal(&store, &inflated),
        SyncError::Mismatch { participants }
    );
    // Nor can a seat be exchanged for one that did not sign.
    let mut exchanged = honest;
    exchanged.sync_aggregate.sync_committee_bits = vec![0xfe, 0xff, 0xff, 0x01].into();
    let participants = 24;
    assert_eq!(
        refusal(&store, &exchanged),
        SyncError::Mismatch { participants }
    );
}

#[test]
fn the_signature_of_another_committee_is_refused() {
    let signer = signer();
    let store = store(&signer);
    let mut update = signer.update(block(100, 1), 20, 32);
    // The committee of the next period signs the same header.
    let mut other = update.clone();
    other.signature_slot = PERIOD + 1;
    signer.sign(&mut other, 0..32);
    update.sync_aggregate = other.sync_aggregate;
    let participants = 32;
    assert_eq!(
        refusal(&store, &update),
        SyncError::Mismatch { participants }
    );
}

#[test]
fn a_signature_for_another_fork_or_chain_is_refused() {
    let signer = signer();
    let store = store(&signer);
    let honest = signer.update(block(100, 1), 20, 32);
    let preset = Preset::MINIMAL;
    let root = B256::repeat_byte(0x9e);
    let mut version = forks(2);
    version[1].version = [6, 0, 0, 9];
    let others = [
        BeaconSpec::new(preset, root, version),
        // In this one slot 20 is still Deneb's.
        BeaconSpec::new(preset, root, forks(3)),
        BeaconSpec::new(preset, B256::repeat_byte(0x9d), forks(2)),
    ];
    for other in others {
        let mut update = honest.clone();
        let other = BeaconSigner::new(other.expect("a chain"), 0..=0);
        other.sign(&mut update, 0..32);
        let participants = 32;
        assert_eq!(
            refusal(&store, &update),
            SyncError::Mismatch { participants }
        );
        signer.sign(&mut update, 0..32);
        verify(&store, &update).expect("signed for this chain");
    }
}

#[test]
fn the_first_block_of_a_fork_is_signed_under_its_version_and_the_last_before_under_the_old_one() {
    let signer = signer();
    let store = store(&signer);
    // Slot 16 is Electra's first. What is signed in it is the block of slot 15.
    for slot in [14, 15, 16] {
        let update = signer.update(block(100, 1), slot, 32);
        verify(&store, &update).expect("it was signed");
    }
    // Slot 15 was missed up to 16: in 17 the block of 15 is signed under Electra's version.
    let mut late = signer.update(block(100, 1), 15, 32);
    late.signature_slot = 17;
    let participants = 32;
    assert_eq!(refusal(&store, &late), SyncError::Mismatch { participants });
    signer.sign(&mut late, 0..32);
    verify(&store, &late).expect("signed under Electra's version");
}

#[test]
fn a_bit_flipped_anywhere_in_header_bits_or_signature_is_refused() {
    let signer = signer();
    let store = store(&signer);
    let update = signer.update(block(100, 1), 20, 24).to_optimistic();
    let fork = ForkName::Electra;
    let bytes = update.to_ssz(fork);
    let slot_of_signature = 4 + 4 + 96..4 + 4 + 96 + 8;
    let mut decoded = 0;
    for at in 0..bytes.len() {
        // It is not signed; what it decides, committee and version, is in the tests above.
        if slot_of_signature.contains(&at) {
            continue;
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let Ok(flipped) = LightClientOptimisticUpdate::from_ssz(&flipped, fork, 32) else {
            continue;
        };
        decoded += 1;
        assert_ne!(flipped, update);
        let verified = store.verify_optimistic(&flipped, u64::MAX);
        assert!(verified.is_err(), "byte {at}: {verified:?}");
    }
    assert!(decoded > bytes.len() - 24, "only offsets break the form");
}

#[test]
fn an_execution_header_that_is_not_in_the_attested_body_is_refused() {
    let signer = signer();
    let store = store(&signer);
    let mut update = signer.update(block(100, 1), 20, 32);
    let other = signer.update(block(100, 2), 20, 32);
    update.attested_header.execution = other.attested_header.execution.clone();
    let refused = refusal(&store, &update);
    let what = "execution header";
    assert!(
        matches!(refused, SyncError::Branch { what: at, gindex: 25, .. } if at == what),
        "{refused}"
    );
    // With its own branch it is not in this body either.
    update.attested_header.execution_branch = other.attested_header.execution_branch;
    assert!(matches!(refusal(&store, &update), SyncError::Branch { .. }));
}

#[test]
fn a_branch_with_a_changed_missing_or_further_node_is_refused() {
    type Branch = fn(&mut LightClientUpdate) -> &mut Vec<B256>;
    let branches: [Branch; 4] = [
        |update| &mut update.attested_header.execution_branch,
        |update| &mut update.next_sync_committee_branch,
        |update| &mut update.finality_branch,
        |update| &mut update.finalized_header.execution_branch,
    ];
    let signer = signer();
    let store = store(&signer);
    let honest = signer.update(block(100, 1), 30, 32);
    verify(&store, &honest).expect("it was signed");
    for branch in branches {
        let depth = branch(&mut honest.clone()).len();
        for at in 0..depth {
            let mut update = honest.clone();
            branch(&mut update)[at].0[at] ^= 1;
            assert!(matches!(refusal(&store, &update), SyncError::Branch { .. }));
        }
        for length in [0, depth - 1, depth + 1] {
            let mut update = honest.clone();
            branch(&mut update).resize(length, B256::repeat_byte(1));
            let refused = refusal(&store, &update);
            assert!(
                matches!(
                    refused,
                    SyncError::BranchLength { .. } | SyncError::Unproved { .. }
                ),
                "{refused}"
            );
        }
    }
}

#[test]
fn an_update_signed_in_a_future_slot_is_accepted_when_its_slot_has_come() {
    let signer = signer();
    let store = store(&signer);
    let update = signer.update(block(100, 1), 20, 32);
    let refused = store.verify(&update, 20).expect_err("signed in slot 21");
    let (slot, latest) = (21, 20);
    assert_eq!(refused, SyncError::Future { slot, latest });
    assert!(!refused.is_permanent());
    store.verify(&update, 21).expect("now it is slot 21");
}

#[test]
fn a_signature_from_the_blocks_own_slot_or_before_it_is_refused() {
    let signer = signer();
    let store = store(&signer);
    for signature in [0, 19, 20] {
        let mut update = signer.update(block(100, 1), 20, 32);
        update.signature_slot = signature;
        signer.sign(&mut update, 0..32);
        let attested = 20;
        assert_eq!(
            refusal(&store, &update),
            SyncError::SignedEarly {
                signature,
                attested
            }
        );
    }
}

#[test]
fn fewer_participants_than_the_minimum_are_refused() {
    let signer = signer();
    let (trusted, bootstrap) = signer.bootstrap(1);
    let spec = spec().with_participants_min(22).expect("of 32");
    let store = SyncStore::bootstrap(spec, trusted, &bootstrap).expect("a bootstrap");
    verify(&store, &signer.update(block(100, 1), 20, 22)).expect("as many as must");
    let (participants, min) = (21, 22);
    assert_eq!(
        refusal(&store, &signer.update(block(100, 1), 20, 21)),
        SyncError::TooFew { participants, min }
    );
}

#[test]
fn nobody_with_the_infinity_signature_proves_nothing() {
    let signer = signer();
    let store = store(&signer);
    let empty = signer.update(block(100, 1), 20, 0);
    assert_eq!(empty.sync_aggregate.sync_committee_signature[0], 0xc0);
    let (participants, min) = (0, PARTICIPANTS_MIN);
    assert_eq!(
        refusal(&store, &empty),
        SyncError::TooFew { participants, min }
    );
    // Infinity is the signature of nobody else either.
    let mut one = empty;
    one.sync_aggregate.sync_committee_bits = vec![1, 0, 0, 0].into();
    assert!(matches!(refusal(&store, &one), SyncError::Signature { .. }));
    // A chain cannot ask for fewer than one.
    assert!(matches!(
        spec().with_participants_min(0),
        Err(SpecError::Size { .. })
    ));
}

#[test]
fn keys_that_cancel_each_other_sign_nothing() {
    let signer = signer();
    let mut committee = signer.committee(0);
    // The compressed negative of a point has the sign bit flipped.
    committee.pubkeys[1] = committee.pubkeys[0];
    committee.pubkeys[1].0[0] ^= 0x20;
    let (trusted, bootstrap) = signer.bootstrap_of(1, committee);
    let store = SyncStore::bootstrap(spec(), trusted, &bootstrap).expect("valid points");
    let mut update = signer.update(block(100, 1), 20, 2);
    let participants = 2;
    assert_eq!(
        refusal(&store, &update),
        SyncError::Mismatch { participants }
    );
    let mut infinity = [0; 96];
    infinity[0] = 0xc0;
    update.sync_aggregate.sync_committee_signature = infinity.into();
    let refused = refusal(&store, &update);
    assert!(matches!(refused, SyncError::Signature { .. }), "{refused}");
}

#[test]
fn a_committee_with_infinity_or_a_point_outside_of_the_group_is_refused() {
    let signer = signer();
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    // On the curve, but not of the group.
    let outside = (0u8..=255)
        .map(|x| {
            let mut key = [0; 48];
            (key[0], key[47]) = (0x80, x);
            key
        })
        .find(|key| PublicKey::from_bytes(key).is_ok_and(|point| point.validate().is_err()))
        .expect("few points of the curve are of the group");
    for wrong in [infinity, outside, [0; 48], [0xff; 48]] {
        let mut committee = signer.committee(0);
        committee.pubkeys[7] = wrong.into();
        let (trusted, bootstrap) = signer.bootstrap_of(1, committee);
        let refused = SyncStore::bootstrap(spec(), trusted, &bootstrap).expect_err("no such key");
        assert!(
            matches!(refused, SyncError::Key { seat: 7, .. }),
            "{refused}"
        );
    }
}

#[test]
fn ssz_that_is_cut_or_lengthened_is_refused_wherever_it_is() {
    let signer = signer();
    let update = signer.update(block(100, 1), 30, 24);
    let fork = ForkName::Electra;
    let bytes = update.to_ssz(fork);
    assert_eq!(
        LightClientUpdate::from_ssz(&bytes, fork, 32).as_ref(),
        Ok(&update)
    );
    // Extra data is last and of any length up to 32; what is cut off it changes the header's root.
    let store = store(&signer);
    for length in 0..bytes.len() {
        if let Ok(cut) = LightClientUpdate::from_ssz(&bytes[..length], fork, 32) {
            assert!(length >= bytes.len() - 7, "{length}");
            assert!(matches!(refusal(&store, &cut), SyncError::Branch { .. }));
        }
    }
    for further in 1..64 {
        let longer = [&bytes[..], &vec![0; further]].concat();
        match LightClientUpdate::from_ssz(&longer, fork, 32) {
            Ok(longer) => {
                assert!(further <= 32 - 7);
                assert!(matches!(refusal(&store, &longer), SyncError::Branch { .. }));
            }
            Err(refused) => assert!(further > 32 - 7, "{further}: {refused}"),
        }
    }
}

#[test]
fn lists_of_another_length_are_refused() {
    let signer = signer();
    let store = store(&signer);
    let honest = signer.update(block(100, 1), 30, 32);
    for length in [0, 3, 5, 64] {
        let mut update = honest.clone();
        update.sync_aggregate.sync_committee_bits = vec![1; length].into();
        let what = "sync-committee bits";
        let (got, want) = (length, 4);
        assert_eq!(
            refusal(&store, &update),
            SyncError::Length { what, got, want }
        );
    }
    for length in [0, 31, 33, 512] {
        let key = honest.next_sync_committee.pubkeys[0];
        let mut update = honest.clone();
        update.next_sync_committee.pubkeys.resize(length, key);
        let what = "sync committee";
        let (got, want) = (length, 32);
        let wrong = SyncError::Length { what, got, want };
        assert_eq!(refusal(&store, &update), wrong);

        let (trusted, mut bootstrap) = signer.bootstrap(1);
        bootstrap.current_sync_committee.pubkeys.resize(length, key);
        assert_eq!(
            SyncStore::bootstrap(spec(), trusted, &bootstrap),
            Err(wrong)
        );
    }
    let mut update = honest;
    update.attested_header.execution.extra_data = vec![0; 33].into();
    assert!(matches!(
        refusal(&store, &update),
        SyncError::Length {
            got: 33,
            want: 32,
            ..
        }
    ));
}

#[test]
fn a_bootstrap_of_another_block_or_committee_is_refused() {
    let signer = signer();
    let (trusted, bootstrap) = signer.bootstrap(1);
    let (other, _) = signer.bootstrap(2);
    let refused = SyncStore::bootstrap(spec(), other, &bootstrap);
    let (got, want) = (trusted, other);
    assert_eq!(refused, Err(SyncError::Untrusted { got, want }));

    let mut exchanged = bootstrap.clone();
    exchanged.current_sync_committee = signer.committee(1);
    let refused = SyncStore::bootstrap(spec(), trusted, &exchanged);
    assert!(matches!(refused, Err(SyncError::Branch { gindex: 54, .. })));

    let mut forged = bootstrap;
    forged.header.execution.block_number += 1;
    let refused = SyncStore::bootstrap(spec(), trusted, &forged);
    assert!(matches!(refused, Err(SyncError::Branch { gindex: 25, .. })));
}

#[test]
fn headers_without_an_execution_block_prove_nothing() {
    let fork = |name, epoch, version| Fork {
        name,
        epoch,
        version: [version, 0, 0, 9],
    };
    let root = B256::repeat_byte(0x9e);
    let forks = vec![
        fork(ForkName::Bellatrix, 0, 2),
        fork(ForkName::Capella, 1, 3),
        fork(ForkName::Deneb, 3, 4),
    ];
    let spec = BeaconSpec::new(Preset::MINIMAL, root, forks).expect("a chain");
    let signer = BeaconSigner::new(spec, 0..=1);
    let (trusted, bootstrap) = signer.bootstrap(9);
    let store =
        SyncStore::bootstrap(signer.spec().clone(), trusted, &bootstrap).expect("of Capella");
    let (slot, fork) = (7, ForkName::Bellatrix);
    assert_eq!(
        refusal(&store, &signer.update(block(100, 1), slot, 32)),
        SyncError::NoExecution { slot, fork }
    );
    let update = signer.update_over(block(100, 1), 20, 9, 32);
    verify(&store, &update).expect("Capella's header, without blob fields");
    let mut blobs = update;
    blobs.attested_header.execution.blob_gas_used = 1;
    assert_eq!(refusal(&store, &blobs), SyncError::BlobsBeforeDeneb);
    // Finalised before Deneb, attested in it.
    let update = signer.update_over(block(100, 1), 30, 20, 32);
    verify(&store, &update).expect("each header in its own form");
}

#[test]
fn constants_that_describe_no_chain_are_refused() {
    let root = B256::ZERO;
    let preset = Preset::MINIMAL;
    for committee_size in [0, 4, 33, 520] {
        let preset = Preset {
            committee_size,
            ..preset
        };
        let refused = BeaconSpec::new(preset, root, forks(2));
        assert!(matches!(refused, Err(SpecError::Size { .. })));
    }
    for (slots_per_epoch, epochs_per_period) in [(0, 8), (8, 0), (1 << 32, 8)] {
        let preset = Preset {
            slots_per_epoch,
            epochs_per_period,
            ..preset
        };
        let refused = BeaconSpec::new(preset, root, forks(2));
        assert!(matches!(refused, Err(SpecError::Size { .. })));
    }
    let mut late = forks(2);
    late[0].epoch = 1;
    let mut twice = forks(2);
    twice.push(twice[1]);
    let reversed = forks(2).into_iter().rev().collect();
    for (forks, index) in [(vec![], 0), (late, 0), (twice, 2), (reversed, 1)] {
        let refused = BeaconSpec::new(preset, root, forks);
        assert_eq!(refused, Err(SpecError::Forks { index }));
    }
    BeaconSpec::mainnet();
    BeaconSpec::sepolia();
}
