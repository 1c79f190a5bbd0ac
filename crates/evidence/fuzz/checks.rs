//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use cortado_evidence::{EVIDENCE_BYTES_MAX, Evidence, VIEW_RECORD_BYTES_MAX, ViewRecord};
use cortado_types::{VoteCertificate, codec, decode_exact};

/// Evidence: what decodes encodes to the same bytes, and one vote is no conflict with itself.
pub fn evidence(bytes: &[u8]) {
    let Ok(evidence) = decode_exact::<Evidence>("evidence", bytes, EVIDENCE_BYTES_MAX) else {
        return;
    };
    let again = codec::encode(&evidence);
    let same = decode_exact::<Evidence>("evidence", &again, EVIDENCE_BYTES_MAX);
    assert_eq!(same.as_ref(), Ok(&evidence));
    let (first, second) = (&evidence.first.vote, &evidence.second.vote);
    assert!(!first.conflicts_with(first) && !first.crosses(first));
    assert_eq!(first.conflicts_with(second), second.conflicts_with(first));
    if let Some(crossing) = &evidence.crossing {
        let _ = crossing.verify();
    }
    let _ = (evidence.offence(), evidence.signature());
}

/// Views: what decodes is packed to what decodes to the same.
pub fn view_record(bytes: &[u8]) {
    let Ok(record) = decode_exact::<ViewRecord>("view record", bytes, VIEW_RECORD_BYTES_MAX) else {
        return;
    };
    let again = codec::encode(&record);
    let same = decode_exact::<ViewRecord>("view record", &again, VIEW_RECORD_BYTES_MAX);
    assert_eq!(same.as_ref(), Ok(&record));
    for (first, second) in record.conflicts() {
        assert!(first.vote.conflicts_with(&second.vote));
        assert_eq!(first.seat, second.seat);
    }
}

/// Certificates: what decodes encodes to the same bytes.
pub fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = decode_exact::<VoteCertificate>("certificate", bytes, 512) {
        assert_eq!(codec::encode(&certificate), bytes);
    }
}
