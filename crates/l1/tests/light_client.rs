//! Updates as the consensus specification's reference implementation makes them
//! (`tests/data/light-client`) are read and believed, and nothing else in their place.

use cortado_l1::{
    TrackedHeader, Weight,
    sync::{
        BeaconSpec, Fork, ForkName, LightClientBootstrap, LightClientOptimisticUpdate,
        LightClientUpdate, Preset, SyncError, SyncParticipation, SyncStore, Verified, Versioned,
    },
};
use cortado_types::B256;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// One folder of the data.
struct Chain {
    folder: &'static str,
    fork: ForkName,
    preset: Preset,
}

const FULU_MAINNET: Chain = Chain {
    folder: "fulu-mainnet",
    fork: ForkName::Fulu,
    preset: Preset::MAINNET,
};
const FULU_MINIMAL: Chain = Chain {
    folder: "fulu-minimal",
    fork: ForkName::Fulu,
    preset: Preset::MINIMAL,
};
const DENEB_MINIMAL: Chain = Chain {
    folder: "deneb-minimal",
    fork: ForkName::Deneb,
    preset: Preset::MINIMAL,
};

impl Chain {
    fn file(&self, name: &str) -> Vec<u8> {
        let data = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/light-client"
        ));
        let path = data.join(self.folder).join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn fact(&self, name: &str) -> String {
        let facts: serde_json::Value =
            serde_json::from_slice(&self.file("facts.json")).expect("JSON");
        facts[name].as_str().expect("a fact").to_owned()
    }

    fn spec(&self) -> BeaconSpec {
        let version: alloy_primitives::FixedBytes<4> =
            self.fact("version").parse().expect("four bytes");
        let fork = Fork {
            name: self.fork,
            epoch: 0,
            version: version.0,
        };
        let root = self
            .fact("genesis_validators_root")
            .parse()
            .expect("a root");
        BeaconSpec::new(self.preset, root, vec![fork]).expect("a chain")
    }

    fn bootstrap(&self) -> LightClientBootstrap {
        let bytes = self.file("bootstrap.ssz");
        let seats = self.preset.committee_size;
        let bootstrap = LightClientBootstrap::from_ssz(&bytes, self.fork, seats).expect("SSZ");
        assert_eq!(bootstrap.to_ssz(self.fork), bytes);
        bootstrap
    }

    fn store(&self) -> SyncStore {
        let trusted: B256 = self.fact("trusted_block_root").parse().expect("a root");
        SyncStore::bootstrap(self.spec(), trusted, &self.bootstrap()).expect("a bootstrap")
    }

    fn update(&self, name: &str) -> LightClientUpdate {
        let bytes = self.file(&format!("{name}.ssz"));
        let seats = self.preset.committee_size;
        let update = LightClientUpdate::from_ssz(&bytes, self.fork, seats).expect("SSZ");
        assert_eq!(update.to_ssz(self.fork), bytes);
        update
    }

    fn optimistic(&self) -> LightClientOptimisticUpdate {
        let bytes = self.file("optimistic.ssz");
        let seats = self.preset.committee_size;
        let update = LightClientOptimisticUpdate::from_ssz(&bytes, self.fork, seats).expect("SSZ");
        assert_eq!(update.to_ssz(self.fork), bytes);
        update
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> T {
        let answer: Versioned<T> =
            serde_json::from_slice(&self.file(&format!("{name}.json"))).expect("an answer");
        assert_eq!(answer.version, self.fork);
        answer.data
    }
}

fn verify(store: &SyncStore, update: &LightClientUpdate) -> Verified {
    store
        .verify(update, update.signature_slot)
        .expect("the specification accepts it")
}

fn weight(participation: &SyncParticipation, verified: &Verified) -> u64 {
    participation.of(&TrackedHeader {
        number: verified.block().number,
        hash: verified.block().hash,
        parent: B256::ZERO,
        timestamp: 0,
    })
}

/// Head, next committee, and the block after it: what each weighs.
fn story(chain: &Chain, weights: [u64; 3]) -> SyncStore {
    let mut store = chain.store();
    let mut participation = SyncParticipation::default();
    assert_eq!(store.periods(), (0, 0));

    let head = verify(&store, &chain.update("head"));
    assert_eq!((head.slot(), head.brings_committee_of()), (5, None));
    let next = verify(&store, &chain.update("next"));
    assert_eq!(next.brings_committee_of(), Some(1));
    let optimistic = chain.optimistic();
    let after = store
        .verify_optimistic(&optimistic, optimistic.signature_slot)
        .expect("the specification accepts it");
    assert_eq!(after.slot(), next.slot() + 1);

    for (verified, expected) in [&head, &next, &after].into_iter().zip(weights) {
        assert_eq!(weight(&participation, verified), 0);
        assert!(participation.record(verified));
        assert_eq!(weight(&participation, verified), expected);
    }
    assert!(!store.advance(&head));
    assert!(store.advance(&next));
    assert_eq!(store.periods(), (0, 1));
    store
}

#[test]
fn updates_of_the_reference_implementation_are_believed_at_512_seats() {
    story(&FULU_MAINNET, [512, 496, 509]);
}

#[test]
fn updates_of_the_reference_implementation_are_believed_at_32_seats() {
    for chain in [FULU_MINIMAL, DENEB_MINIMAL] {
        let rotated = chain.update("rotated");
        let early = chain.store().verify(&rotated, rotated.signature_slot);
        let unknown = SyncError::UnknownPeriod {
            period: 1,
            oldest: 0,
            newest: 0,
        };
        assert_eq!(early, Err(unknown));

        let mut store = story(&chain, [32, 31, 29]);
        let verified = verify(&store, &rotated);
        assert_eq!(verified.participants(), 28);
        assert!(store.advance(&verified), "it brings the committee of 2");
        assert_eq!(store.periods(), (0, 2));
    }
}

#[test]
fn answers_of_the_beacon_api_are_the_same_as_their_ssz() {
    let chain = FULU_MINIMAL;
    assert_eq!(
        chain.json::<LightClientBootstrap>("bootstrap"),
        chain.bootstrap()
    );
    for name in ["head", "next", "rotated"] {
        assert_eq!(chain.json::<LightClientUpdate>(name), chain.update(name));
    }
    assert_eq!(
        chain.json::<LightClientOptimisticUpdate>("optimistic"),
        chain.optimistic()
    );
}

#[test]
fn containers_of_another_fork_or_preset_are_not_read() {
    let bytes = FULU_MINIMAL.file("next.ssz");
    assert!(LightClientUpdate::from_ssz(&bytes, ForkName::Fulu, 32).is_ok());
    assert!(LightClientUpdate::from_ssz(&bytes, ForkName::Deneb, 32).is_err());
    assert!(LightClientUpdate::from_ssz(&bytes, ForkName::Fulu, 512).is_err());
    let bytes = DENEB_MINIMAL.file("optimistic.ssz");
    assert!(LightClientOptimisticUpdate::from_ssz(&bytes, ForkName::Deneb, 32).is_ok());
    assert!(LightClientOptimisticUpdate::from_ssz(&bytes, ForkName::Capella, 32).is_err());
}

#[test]
fn updates_of_another_chain_are_refused() {
    let update = DENEB_MINIMAL.optimistic();
    let other = FULU_MINIMAL.store();
    let refused = other
        .verify_optimistic(&update, u64::MAX)
        .expect_err("other keys, other chain");
    assert!(refused.is_permanent(), "{refused}");
}

#[test]
fn numbers_in_json_are_quoted_decimals() {
    let text = String::from_utf8(FULU_MINIMAL.file("optimistic.json")).expect("text");
    let slot = "\"slot\": \"36\"";
    assert!(text.contains(slot));
    for wrong in [
        "36",
        "\"0x24\"",
        "\"-36\"",
        "\"+36\"",
        "\"\"",
        "\"18446744073709551616\"",
    ] {
        let text = text.replace(slot, &format!("\"slot\": {wrong}"));
        let read: Result<Versioned<LightClientOptimisticUpdate>, _> = serde_json::from_str(&text);
        assert!(read.is_err(), "{wrong}");
    }
}
