//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use alloy_rlp::Decodable;
use cortado_l1::{
    BlockCount, TrackedHeader, Tree,
    sync::{BeaconSpec, Fork, ForkName, LightClientUpdate, Preset, SyncStore, Versioned},
    testing::beacon::BeaconSigner,
};
use cortado_types::{B256, L1Ref, keccak256};
use std::sync::LazyLock;

/// Raw L1 headers: the hash is of the very bytes, and extending with them never fails badly.
pub fn header(bytes: &[u8]) {
    let Ok(header) = TrackedHeader::read(bytes) else {
        return;
    };
    assert_eq!(header.hash, keccak256(bytes));
    let mut tree = Tree::new(header);
    let _ = tree.take(&[bytes.to_vec().into()], u64::MAX, &BlockCount);
    assert_eq!(tree.head(), header.to_ref(), "no block is its own child");
}

/// Stored trees: what decodes encodes to the same bytes and can be walked.
pub fn tree(bytes: &[u8]) {
    let mut rest = bytes;
    let Ok(mut tree) = Tree::decode(&mut rest) else {
        return;
    };
    assert_eq!(alloy_rlp::encode(&tree), bytes[..bytes.len() - rest.len()]);
    let (head, fin) = (tree.head(), tree.fin());
    assert!(
        tree.ancestor_at(&head.hash, 0)
            .is_none_or(|header| header.number == 0)
    );
    assert!(
        tree.finalize(L1Ref {
            number: u64::MAX,
            ..head
        })
        .is_err()
            || head.number == u64::MAX
    );
    let raised = head.number > fin.number && tree.is_head_on_final();
    assert_eq!(tree.finalize(head).is_ok(), raised);
    let again = alloy_rlp::encode(&tree);
    assert_eq!(Tree::decode(&mut &again[..]).as_ref(), Ok(&tree));
}

/// The fork whose containers light-client data here has.
pub const FORK: ForkName = ForkName::Electra;

/// A store with the committee of period 0, and the one update that this committee signed.
pub static SIGNED: LazyLock<(SyncStore, LightClientUpdate)> = LazyLock::new(|| {
    let fork = Fork {
        name: FORK,
        epoch: 0,
        version: [5, 0, 0, 0],
    };
    let root = B256::repeat_byte(0x9e);
    let spec = BeaconSpec::new(Preset::MINIMAL, root, vec![fork]).expect("a chain");
    let signer = BeaconSigner::new(spec.clone(), 0..=1);
    let (trusted, bootstrap) = signer.bootstrap(1);
    let store = SyncStore::bootstrap(spec, trusted, &bootstrap).expect("a bootstrap");
    let block = L1Ref {
        number: 100,
        hash: B256::repeat_byte(1),
    };
    (store, signer.update(block, 30, 24))
});

/// Light-client updates: what decodes encodes to the same bytes, and proves nothing but what was
/// signed.
pub fn light_client_update(bytes: &[u8]) {
    let Ok(update) = LightClientUpdate::from_ssz(bytes, FORK, Preset::MINIMAL.committee_size)
    else {
        return;
    };
    assert_eq!(update.to_ssz(FORK), bytes);
    proves_only_what_was_signed(&update);
}

/// The same in the beacon API's JSON.
pub fn light_client_json(bytes: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Versioned<LightClientUpdate>>(bytes) else {
        return;
    };
    proves_only_what_was_signed(&answer.data);
    let again = serde_json::to_vec(&answer).expect("JSON");
    assert_eq!(serde_json::from_slice(&again).ok(), Some(answer));
}

fn proves_only_what_was_signed(update: &LightClientUpdate) {
    let (store, signed) = &*SIGNED;
    let head = store.verify_optimistic(&update.to_optimistic(), u64::MAX);
    if let Ok(head) = &head {
        assert_eq!(update.attested_header, signed.attested_header);
        assert_eq!(update.sync_aggregate, signed.sync_aggregate);
        assert_eq!(head.participants(), 24);
    }
    if let Ok(verified) = store.verify(update, u64::MAX) {
        assert!(head.is_ok(), "all that shows a committee shows a head");
        let mut advanced = store.clone();
        if advanced.advance(&verified) {
            assert_eq!(update.next_sync_committee, signed.next_sync_committee);
        }
    }
}
