use super::*;

#[test]
fn the_last_256_hashes_are_known_and_no_others() {
    let hash = |number: u64| B256::from(U256::from(number));
    let mut hashes = RecentHashes::default();
    assert_eq!(hashes.get(0), None);
    for number in 0..1_000 {
        hashes = hashes.followed_by(number, hash(number));
    }
    assert_eq!(hashes.get(999), Some(hash(999)));
    assert_eq!(hashes.get(744), Some(hash(744)));
    assert_eq!(hashes.get(743), None);
    assert_eq!(hashes.get(1_000), None);
}

#[test]
fn clones_of_recent_hashes_go_separate_ways() {
    let base = RecentHashes::default().followed_by(0, B256::ZERO);
    let left = base.followed_by(1, B256::repeat_byte(1));
    let right = base.followed_by(1, B256::repeat_byte(2));
    assert_eq!(base.get(1), None);
    assert_eq!(left.get(1), Some(B256::repeat_byte(1)));
    assert_eq!(right.get(1), Some(B256::repeat_byte(2)));
}
