//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use cortado_types::{
    Block, FinalityCertificate, Genesis, Header, LaneBody, LaneEntry, Operation, QuorumCertificate,
    SignedLaneHeader,
    block::{L1Finality, PointerMove},
    codec, decode_exact, keccak256,
    limits::{BLOCK_BYTES_MAX, LANE_BODY_BYTES_MAX},
    mmr::{HistoryProof, Peaks},
    trie::{TrieProof, verify_keyed, verify_ordered},
};

/// What decodes encodes to the same bytes.
fn round_trip<T: alloy_rlp::Decodable + alloy_rlp::Encodable>(bytes: &[u8], limit: usize) {
    if let Ok(value) = decode_exact::<T>("value", bytes, limit) {
        assert_eq!(codec::encode(&value), bytes);
    }
}

/// Blocks and all that is in them.
pub fn block(bytes: &[u8]) {
    round_trip::<Block>(bytes, BLOCK_BYTES_MAX);
    round_trip::<Header>(bytes, BLOCK_BYTES_MAX);
    round_trip::<LaneEntry>(bytes, BLOCK_BYTES_MAX);
    round_trip::<Operation>(bytes, BLOCK_BYTES_MAX);
    round_trip::<PointerMove>(bytes, BLOCK_BYTES_MAX);
    round_trip::<L1Finality>(bytes, BLOCK_BYTES_MAX);
    if let Ok(block) = decode_exact::<Block>("block", bytes, BLOCK_BYTES_MAX) {
        block.is_whole();
    }
}

/// Lane headers; recovering a signer from anything never fails badly.
pub fn lane(bytes: &[u8]) {
    round_trip::<SignedLaneHeader>(bytes, BLOCK_BYTES_MAX);
    if let Ok(lane) = decode_exact::<SignedLaneHeader>("lane", bytes, BLOCK_BYTES_MAX) {
        let _ = lane.signer();
    }
}

/// Bodies; what decodes is within the limits.
pub fn body(bytes: &[u8]) {
    round_trip::<LaneBody>(bytes, LANE_BODY_BYTES_MAX);
    if let Ok(body) = LaneBody::decode_limited(bytes) {
        assert_eq!(body.size(), bytes.len() as u64);
        body.root();
    }
}

/// Certificates; a bitmap never names a seat that is not there.
pub fn certificate(bytes: &[u8]) {
    round_trip::<QuorumCertificate>(bytes, 1_024);
    round_trip::<FinalityCertificate>(bytes, 1_024);
    round_trip::<Peaks>(bytes, 4_096);
    if let Ok(certificate) = decode_exact::<QuorumCertificate>("certificate", bytes, 1_024) {
        for seats in [4, 7, 8, 9, 1_024] {
            if let Ok(signers) = certificate.signers.signers(seats) {
                assert!(signers.iter().all(|seat| (seat.get() as usize) < seats));
            }
        }
    }
}

/// Genesis files, valid or not.
pub fn genesis(bytes: &[u8]) {
    if let Ok(genesis) = serde_json::from_slice::<Genesis>(bytes) {
        let text = serde_json::to_vec(&genesis).expect("serialises");
        assert_eq!(
            serde_json::from_slice::<Genesis>(&text).expect("our own text"),
            genesis
        );
        let _ = genesis.validate();
    }
}

/// Trie proofs: the nodes are the bytes cut at every 0xfe, the root is whatever the first hashes to.
pub fn trie_proof(bytes: &[u8]) {
    let nodes: Vec<_> = bytes
        .split(|byte| *byte == 0xfe)
        .map(|n| n.to_vec().into())
        .collect();
    let proof = TrieProof(nodes);
    let root = keccak256(&proof.0[0]);
    let index = usize::from(bytes.first().copied().unwrap_or_default());
    let key = keccak256(bytes);
    for value in [None, Some(&b"value"[..])] {
        let _ = verify_ordered(root, index, value, &proof);
        let _ = verify_keyed(root, key, value, &proof);
    }
}

/// A proof shows one thing at most: it never shows both a value and its absence.
pub fn trie_proof_json(bytes: &[u8]) {
    if let Ok(proof) = serde_json::from_slice::<TrieProof>(bytes) {
        let root = keccak256(
            proof
                .0
                .first()
                .map(|node| node.as_ref())
                .unwrap_or_default(),
        );
        let shows = |value: Option<&[u8]>| verify_ordered(root, 0, value, &proof).is_ok();
        assert!(!(shows(None) && shows(Some(b"value"))));
    }
}

/// History proofs.
pub fn history_proof(bytes: &[u8]) {
    if let Ok(proof) = serde_json::from_slice::<HistoryProof>(bytes) {
        let (leaf, root) = (keccak256(b"leaf"), keccak256(b"root"));
        assert!(
            proof.verify(leaf, root).is_err(),
            "no proof leads to a root picked at random"
        );
    }
}
