//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use cortado_preconf::{LaneEquivocation, SignedPromise, TwoPromises};
use cortado_types::{codec, decode_exact};

/// Evidence of two headers: what decodes encodes to the same bytes; nobody is guilty of one header.
pub fn equivocation(bytes: &[u8]) {
    let Ok(evidence) = decode_exact::<LaneEquivocation>("evidence", bytes, 4_096) else {
        return;
    };
    assert_eq!(codec::encode(&evidence), bytes);
    if evidence.culprit().is_ok() {
        assert_ne!(evidence.first.header, evidence.second.header);
    }
}

/// Promises as JSON; nobody is guilty of one promise.
pub fn promise(bytes: &[u8]) {
    let Ok(promise) = serde_json::from_slice::<SignedPromise>(bytes) else {
        return;
    };
    let text = serde_json::to_vec(&promise).expect("serialises");
    assert_eq!(
        serde_json::from_slice::<SignedPromise>(&text).expect("our own text"),
        promise
    );
    let _ = promise.signer();
    assert!(
        TwoPromises {
            first: promise,
            second: promise
        }
        .culprit()
        .is_err()
    );
}
