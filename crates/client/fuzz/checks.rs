//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use cortado_client::{
    LightClient,
    api::{BlockEvent, CertificateView, LaneProofView, SeatsView, Status, TransactionProofView},
};
use cortado_types::Genesis;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::LazyLock;

const RECORDED: &str = include_str!("../../../vectors/finality.json");

/// Answers of an honest node by path.
pub static ANSWERS: LazyLock<Value> = LazyLock::new(|| {
    let recorded: Value = serde_json::from_str(RECORDED).expect("the vectors are JSON");
    recorded["answers"].clone()
});

static CLIENT: LazyLock<LightClient> = LazyLock::new(|| {
    let genesis: Genesis =
        serde_json::from_value(ANSWERS["/v1/genesis"].clone()).expect("a genesis");
    LightClient::new(&genesis).expect("a valid genesis")
});

fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    serde_json::to_vec(&read).expect("serialises");
    Some(read)
}

/// A proof that verifies proves a transaction that an honest node proves too.
pub fn proof(bytes: &[u8]) {
    let Some(proof) = read::<TransactionProofView>(bytes) else {
        return;
    };
    if let Ok(found) = CLIENT.transaction(&proof) {
        let known = ANSWERS.as_object().expect("an object").values();
        let hash = serde_json::to_value(cortado_types::keccak256(&found.raw)).expect("serialises");
        assert!(known.clone().any(|answer| answer["hash"] == hash));
    }
}

/// Everything else that a node says is read or refused.
pub fn answers(bytes: &[u8]) {
    read::<LaneProofView>(bytes);
    read::<CertificateView>(bytes);
    read::<BlockEvent>(bytes);
    read::<SeatsView>(bytes);
    read::<Status>(bytes);
    if let Some(genesis) = read::<Genesis>(bytes) {
        // Whatever it says, looking at it does not panic.
        let _ = LightClient::new(&genesis).is_ok();
    }
}
