use alloy_primitives::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    ExecutedBlock,
    testing::{COUNTER, Wallet, block, l1},
};

fn example() -> ExecutedBlock {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let (create, counter) = alice.create(COUNTER);
    let call = alice.tx(counter.into(), 0, Bytes::new());
    let delegate = alice.sign(alice.set_code(vec![Wallet::new(2).authorize(counter)]));
    alice.nonce += 1;
    let blob = alice.sign(alice.blob(1));
    block(&spec, &genesis, &[create, call, delegate, blob])
}

fn parts(block: &BlockRecord) -> [Vec<u8>; 4] {
    [
        encode_header(&block.header),
        encode_body(block),
        encode_receipts(&block.receipts),
        encode_unfinalized(block),
    ]
}

#[test]
fn a_block_comes_back_as_it_went() {
    let block = example();
    let [header, body, receipts, unfinalized] = parts(&block);
    let read = decode_block(decode_header(&header).unwrap(), &body, &receipts).unwrap();
    assert_eq!(read, *block.record);
    let read = decode_unfinalized(&unfinalized).unwrap();
    assert_eq!(
        read,
        BlockRecord {
            receipts: Vec::new(),
            ..(*block.record).clone()
        }
    );
}

#[test]
fn parts_of_different_lengths_make_no_block() {
    let block = example();
    let [header, body, _, _] = parts(&block);
    let fewer = encode_receipts(&block.receipts[1..]);
    let error = decode_block(decode_header(&header).unwrap(), &body, &fewer).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("4 transactions, 4 senders, 3 receipts"),
        "{error}"
    );
}

#[test]
fn any_flipped_bit_is_noticed() {
    for bytes in parts(&example()) {
        for position in (0..bytes.len()).step_by(7) {
            let mut rotten = bytes.clone();
            rotten[position] ^= 0x10;
            assert!(decode_unfinalized(&rotten).is_err());
            assert!(decode_header(&rotten).is_err());
            assert!(decode_receipts(&rotten).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// With a checksum that fits, so that the RLP decoders see the damage.
    #[test]
    fn damaged_rlp_never_panics(
        part in 0usize..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = parts(&example())[part].split_off(CHECKSUM_BYTES);
        bytes.truncate(keep.index(bytes.len()) + 1);
        for (position, value) in edits {
            let position = position.index(bytes.len());
            bytes[position] = value;
        }
        let sealed = [&keccak256(&bytes)[..CHECKSUM_BYTES], &bytes].concat();
        // Whatever the answer: it must be one.
        let _ = decode_header(&sealed);
        let _ = decode::<Body>("body", &sealed);
        let _ = decode_receipts(&sealed);
        let _ = decode_unfinalized(&sealed);
        let _ = StoredAccount::from_bytes(&sealed);
    }
}
