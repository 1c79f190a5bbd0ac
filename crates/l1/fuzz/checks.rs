//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use alloy_rlp::Decodable;
use cortado_l1::{BlockCount, TrackedHeader, Tree};
use cortado_types::{L1Ref, keccak256};

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
