//! The header tree: what extends it, what does not, what it forgets.

mod forks;
mod model;

use crate::{
    BlockCount, FinalityError, HeaderError, MoveError, Moved, TrackedHeader, Tree, Weight,
};
use alloy_consensus::Header;
use alloy_rlp::{Decodable, Encodable};
use cortado_types::{
    B256, Bytes, L1Ref, keccak256,
    limits::{CONTEXT_LAG, L1_HEADER_BYTES_MAX, L1_HEADERS_PER_MOVE_MAX, L1_TRACKED_HEADERS_MAX},
};

/// Raw header `number` on `parent`; `salt` tells siblings apart. Twelve seconds a block.
fn raw(parent: B256, number: u64, salt: u8) -> Bytes {
    let header = Header {
        parent_hash: parent,
        number,
        timestamp: 1_000_000 + 12 * number,
        extra_data: vec![salt].into(),
        ..Header::default()
    };
    alloy_rlp::encode(header).into()
}

fn read(raw: &Bytes) -> TrackedHeader {
    TrackedHeader::read(raw).expect("a header")
}

/// `count` headers on `from`, oldest first.
fn chain(from: L1Ref, count: u64, salt: u8) -> Vec<Bytes> {
    let mut at = from;
    let mut headers = Vec::new();
    for _ in 0..count {
        let next = raw(at.hash, at.number + 1, salt);
        at = read(&next).to_ref();
        headers.push(next);
    }
    headers
}

fn tree() -> Tree {
    Tree::new(read(&raw(B256::repeat_byte(1), 100, 0)))
}

fn extended(tree: &mut Tree, count: u64) -> Vec<L1Ref> {
    let headers = chain(tree.head(), count, 0);
    for part in headers.chunks(L1_HEADERS_PER_MOVE_MAX) {
        tree.take(part, u64::MAX, &BlockCount)
            .expect("extends the head");
    }
    headers.iter().map(|header| read(header).to_ref()).collect()
}

fn reloaded(tree: &Tree) -> Tree {
    let bytes = alloy_rlp::encode(tree);
    assert_eq!(bytes.len(), tree.length());
    Tree::decode(&mut &bytes[..]).expect("our own bytes")
}

#[test]
fn the_pointer_moves_along_the_headers_it_is_shown() {
    let mut tree = tree();
    let headers = chain(tree.head(), 3, 0);
    let tip = read(&headers[2]).to_ref();
    assert_eq!(
        tree.take(&headers, u64::MAX, &BlockCount),
        Ok(Moved::To(tip))
    );
    assert_eq!((tree.head(), tree.fin().number, tree.len()), (tip, 100, 4));
    for header in &headers {
        let header = read(header);
        assert_eq!(tree.get(&header.hash), Some(&header));
        assert!(tree.is_on_chain_of(&header.to_ref(), &tip.hash));
    }
}

#[test]
fn a_header_is_named_by_the_hash_of_its_bytes() {
    let bytes = raw(B256::repeat_byte(3), 7, 0);
    let header = read(&bytes);
    assert_eq!((header.hash, header.number), (keccak256(&bytes), 7));
    assert_eq!(
        (header.parent, header.timestamp),
        (B256::repeat_byte(3), 1_000_084)
    );
}

#[test]
fn bytes_that_are_not_one_header_are_refused() {
    let good = raw(B256::ZERO, 1, 0);
    let longer = [&good[..], &[0]].concat();
    assert_eq!(
        TrackedHeader::read(&longer),
        Err(HeaderError::Trailing { trailing: 1 })
    );
    for end in 0..good.len() {
        let cut = TrackedHeader::read(&good[..end]);
        assert!(
            matches!(cut, Err(HeaderError::Malformed(_))),
            "cut at {end}"
        );
    }
    let size = L1_HEADER_BYTES_MAX + 1;
    assert_eq!(
        TrackedHeader::read(&vec![0xc0; size]),
        Err(HeaderError::TooLong { size })
    );
    let mut tree = tree();
    let source = HeaderError::Trailing { trailing: 1 };
    let bad = tree.take(&[longer.into()], u64::MAX, &BlockCount);
    assert_eq!(bad, Err(MoveError::Header { index: 0, source }));
}

#[test]
fn the_largest_header_that_ethereum_can_have_is_read() {
    let word = B256::repeat_byte(0xff);
    let header = Header {
        parent_hash: word,
        number: u64::MAX,
        timestamp: u64::MAX,
        gas_limit: u64::MAX,
        gas_used: u64::MAX,
        extra_data: vec![0xff; 32].into(),
        base_fee_per_gas: Some(u64::MAX),
        withdrawals_root: Some(word),
        blob_gas_used: Some(u64::MAX),
        excess_blob_gas: Some(u64::MAX),
        parent_beacon_block_root: Some(word),
        requests_hash: Some(word),
        ..Header::default()
    };
    let bytes = alloy_rlp::encode(header);
    assert!(
        bytes.len() < 800 && TrackedHeader::read(&bytes).is_ok(),
        "{} bytes",
        bytes.len()
    );
}

#[test]
fn a_move_of_nothing_or_of_too_much_is_refused() {
    let mut tree = tree();
    assert_eq!(tree.take(&[], u64::MAX, &BlockCount), Err(MoveError::Empty));
    let count = L1_HEADERS_PER_MOVE_MAX + 1;
    let headers = chain(tree.head(), count as u64, 0);
    assert_eq!(
        tree.take(&headers, u64::MAX, &BlockCount),
        Err(MoveError::TooMany { count })
    );
    assert!(
        tree.take(&headers[..count - 1], u64::MAX, &BlockCount)
            .is_ok()
    );
}

#[test]
fn a_gap_in_the_headers_is_refused() {
    let mut tree = tree();
    let headers = chain(tree.head(), 3, 0);
    let (one, three) = (read(&headers[0]), read(&headers[2]));
    let gap = [headers[0].clone(), headers[2].clone()];
    let want = MoveError::Unlinked {
        number: three.number,
        hash: three.hash,
        parent_number: one.number,
        parent_hash: one.hash,
    };
    assert_eq!(tree.take(&gap, u64::MAX, &BlockCount), Err(want));
}

#[test]
fn a_header_with_the_wrong_number_is_refused() {
    let mut tree = tree();
    for number in [100, 102, 0] {
        let wrong = raw(tree.head().hash, number, 0);
        let error = tree
            .take(&[wrong], u64::MAX, &BlockCount)
            .expect_err("not 101");
        assert!(
            matches!(error, MoveError::Unlinked { .. }) && error.is_permanent(),
            "{error}"
        );
    }
}

#[test]
fn time_that_does_not_increase_is_refused() {
    let mut tree = tree();
    let parent = *tree.get(&tree.head().hash).expect("tracked");
    for timestamp in [parent.timestamp, parent.timestamp - 1] {
        let header = Header {
            parent_hash: parent.hash,
            number: 101,
            timestamp,
            ..Header::default()
        };
        let error = tree.take(&[alloy_rlp::encode(header).into()], u64::MAX, &BlockCount);
        assert!(
            matches!(error, Err(MoveError::Unlinked { .. })),
            "{timestamp}"
        );
    }
}

#[test]
fn a_header_from_the_future_must_wait() {
    let mut tree = tree();
    let headers = chain(tree.head(), 2, 0);
    let timestamp = read(&headers[1]).timestamp;
    let limit = timestamp - 1;
    let early = tree
        .take(&headers, limit, &BlockCount)
        .expect_err("one second early");
    assert_eq!(
        early,
        MoveError::Future {
            number: 102,
            timestamp,
            limit
        }
    );
    assert!(!early.is_permanent());
    assert!(tree.take(&headers, timestamp, &BlockCount).is_ok());
}

#[test]
fn a_header_on_an_unknown_parent_must_wait() {
    let mut tree = tree();
    let headers = chain(tree.head(), 3, 0);
    let parent = read(&headers[0]).hash;
    let early = tree
        .take(&headers[1..], u64::MAX, &BlockCount)
        .expect_err("its parent is missing");
    assert_eq!(early, MoveError::UnknownParent { parent });
    assert!(!early.is_permanent());
    assert!(tree.take(&headers, u64::MAX, &BlockCount).is_ok());
}

#[test]
fn the_floor_rises_only_and_to_tracked_blocks() {
    let mut tree = tree();
    let refs = extended(&mut tree, 10);
    assert_eq!(tree.finalize(refs[4]), Ok(()));
    assert_eq!(tree.fin(), refs[4]);
    let (number, fin) = (105, 105);
    assert_eq!(
        tree.finalize(refs[4]),
        Err(FinalityError::NotAbove { number, fin })
    );
    let (number, fin) = (103, 105);
    assert_eq!(
        tree.finalize(refs[2]),
        Err(FinalityError::NotAbove { number, fin })
    );
    let stranger = L1Ref {
        number: 106,
        hash: B256::repeat_byte(9),
    };
    let misnumbered = L1Ref {
        number: 107,
        ..refs[5]
    };
    for L1Ref { number, hash } in [stranger, misnumbered] {
        let want = FinalityError::Untracked { number, hash };
        assert_eq!(tree.finalize(L1Ref { number, hash }), Err(want));
    }
    assert_eq!(tree.finalize(refs[9]), Ok(()), "up to the head itself");
    assert_eq!((tree.fin(), tree.head()), (refs[9], refs[9]));
}

#[test]
fn below_the_floor_only_what_a_context_may_name_is_kept() {
    let mut tree = tree();
    let refs = extended(&mut tree, 60);
    tree.finalize(refs[39]).expect("an ancestor of the head");
    let lowest = refs[39].number - CONTEXT_LAG;
    for block in &refs {
        let kept = tree.get(&block.hash).is_some();
        assert_eq!(kept, block.number >= lowest, "block {}", block.number);
    }
    assert_eq!(tree.len() as u64, 160 - lowest + 1);
    assert_eq!(reloaded(&tree), tree);
    assert_eq!(tree.ancestor_at(&refs[59].hash, lowest - 1), None);
    assert_eq!(
        tree.ancestor_at(&refs[59].hash, 161),
        None,
        "no ancestor is above"
    );
}

#[test]
fn l1_without_finality_fills_the_tree_and_then_the_pointer_waits() {
    let mut tree = tree();
    let refs = extended(&mut tree, L1_TRACKED_HEADERS_MAX as u64 - 1);
    let next = chain(tree.head(), 1, 0);
    let full = tree.take(&next, u64::MAX, &BlockCount).expect_err("full");
    assert_eq!(
        full,
        MoveError::Full {
            count: L1_TRACKED_HEADERS_MAX + 1
        }
    );
    assert!(!full.is_permanent());
    assert_eq!(reloaded(&tree), tree, "a full tree comes back");
    tree.finalize(refs[CONTEXT_LAG as usize]).expect("tracked");
    assert!(
        tree.take(&next, u64::MAX, &BlockCount).is_ok(),
        "finality makes room"
    );
}

#[test]
fn corrupt_snapshots_are_refused_and_never_loop() {
    #[derive(alloy_rlp::RlpEncodable)]
    struct Stored {
        headers: Vec<TrackedHeader>,
        head: L1Ref,
        fin: L1Ref,
    }
    let load = |stored: &Stored| Tree::decode(&mut &alloy_rlp::encode(stored)[..]);
    let mut good = tree();
    let refs = extended(&mut good, 3);
    let mut headers: Vec<_> = [good.fin()]
        .iter()
        .chain(&refs)
        .map(|b| *good.get(&b.hash).expect("tracked"))
        .collect();
    headers.sort_by_key(|header| header.hash);
    let stored = |change: &dyn Fn(&mut Stored)| {
        let mut stored = Stored {
            headers: headers.clone(),
            head: good.head(),
            fin: good.fin(),
        };
        change(&mut stored);
        load(&stored)
    };
    assert_eq!(stored(&|_| {}).as_ref(), Ok(&good));
    type Change = fn(&mut Stored);
    let bad: [(&str, Change); 9] = [
        ("unsorted", |s| s.headers.reverse()),
        ("twice", |s| s.headers.push(s.headers[3])),
        ("no head", |s| s.head.hash = B256::ZERO),
        ("head under another number", |s| s.head.number += 1),
        ("no floor", |s| s.fin.hash = B256::ZERO),
        ("headers too low for any context", |s| {
            for block in [&mut s.head, &mut s.fin] {
                block.number += CONTEXT_LAG + 9;
            }
            s.headers
                .iter_mut()
                .for_each(|h| h.number += if h.number > 102 { CONTEXT_LAG + 9 } else { 0 });
        }),
        ("a cycle", |s| {
            let (one, two) = (s.headers[0].hash, s.headers[1].hash);
            s.headers[0].parent = two;
            s.headers[1].parent = one;
        }),
        ("its own parent", |s| {
            s.headers.iter_mut().for_each(|h| h.parent = h.hash)
        }),
        ("an orphan", |s| {
            let tip = s.head.hash;
            s.headers
                .iter_mut()
                .filter(|h| h.hash == tip)
                .for_each(|h| h.parent = B256::ZERO);
        }),
    ];
    for (what, change) in bad {
        assert!(stored(&change).is_err(), "{what}");
    }
}
