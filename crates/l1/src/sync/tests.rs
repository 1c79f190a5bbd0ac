//! What updates prove, and which prove nothing.

mod forged;
mod periods;
mod weights;

use super::{
    BeaconSpec, Fork, ForkName, LightClientUpdate, Preset, SyncError, SyncStore, Verified,
};
use crate::testing::beacon::BeaconSigner;
use cortado_types::{B256, L1Ref};

/// First slot of period `p` in the minimal preset.
const PERIOD: u64 = 64;

fn forks(electra: u64) -> Vec<Fork> {
    let fork = |name, epoch, version| Fork {
        name,
        epoch,
        version: [version, 0, 0, 9],
    };
    vec![
        fork(ForkName::Deneb, 0, 4),
        fork(ForkName::Electra, electra, 5),
    ]
}

/// A chain with committees of 32; Electra starts with epoch 2.
fn spec() -> BeaconSpec {
    BeaconSpec::new(Preset::MINIMAL, B256::repeat_byte(0x9e), forks(2)).expect("a chain")
}

fn signer() -> BeaconSigner {
    BeaconSigner::new(spec(), 0..=4)
}

/// A store that knows the committee of period 0.
fn store(signer: &BeaconSigner) -> SyncStore {
    let (trusted, bootstrap) = signer.bootstrap(1);
    SyncStore::bootstrap(signer.spec().clone(), trusted, &bootstrap).expect("a bootstrap")
}

fn block(number: u64, salt: u8) -> L1Ref {
    L1Ref {
        number,
        hash: B256::repeat_byte(salt),
    }
}

/// Verified at the time it was signed.
fn verify(store: &SyncStore, update: &LightClientUpdate) -> Result<Verified, SyncError> {
    let verified = store.verify(update, update.signature_slot)?;
    let head = store.verify_optimistic(&update.to_optimistic(), update.signature_slot)?;
    assert_eq!(head.block(), verified.block());
    assert_eq!(head.participants(), verified.participants());
    Ok(verified)
}

fn refusal(store: &SyncStore, update: &LightClientUpdate) -> SyncError {
    let refused = store
        .verify(update, update.signature_slot)
        .expect_err("it proves nothing");
    assert!(refused.is_permanent(), "{refused}");
    refused
}
