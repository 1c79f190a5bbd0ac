//! What an L1 block queued, from its header and its receipts.

use crate::*;
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, TxType, proofs::ordered_trie_root_encoded,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bloom, Log, LogData, U256};
use alloy_sol_types::SolEvent;
use cortado_types::{Address, B256, Bytes, L1Ref, keccak256};
use proptest::prelude::*;

const INBOX: Address = Address::repeat_byte(0x1b);
const OTHER: Address = Address::repeat_byte(0x07);

fn queued(index: u64, gas: u64, payload: &[u8]) -> LogData {
    let event = Queued {
        index: U256::from(index),
        gas,
        payload: Bytes::copy_from_slice(payload),
        accumulator: B256::repeat_byte(9),
    };
    event.encode_log_data()
}

fn log(address: Address, data: LogData) -> Log {
    Log { address, data }
}

fn noise() -> Log {
    log(
        OTHER,
        LogData::new_unchecked(vec![B256::ZERO], Bytes::from(vec![1; 40])),
    )
}

fn receipt(kind: TxType, logs: Vec<Log>) -> Bytes {
    let receipt = Receipt {
        status: Eip658Value::Eip658(true),
        cumulative_gas_used: 21_000,
        logs,
    };
    ReceiptEnvelope::from_typed(kind, receipt)
        .encoded_2718()
        .into()
}

/// The header (RLP) of a block with these receipts, whose bloom names the inbox.
fn header_of(receipts: &[Bytes]) -> Bytes {
    let mut logs_bloom = Bloom::ZERO;
    logs_bloom.accrue_log(&log(INBOX, queued(0, 0, &[])));
    encode(Header {
        number: 7,
        gas_used: 30_000_000,
        receipts_root: ordered_trie_root_encoded(receipts),
        logs_bloom,
        ..Header::default()
    })
}

fn encode(header: Header) -> Bytes {
    alloy_rlp::encode(header).into()
}

/// Gas and position of what is found.
fn found(receipts: &[Bytes]) -> Vec<(u64, u64)> {
    let entries = entries_of(&header_of(receipts), receipts, INBOX).expect("true receipts");
    let short = entries.iter().map(|entry| (entry.log_index, entry.gas));
    short.collect()
}

#[test]
fn entries_come_in_the_order_of_the_logs_counted_over_the_block() {
    let receipts = [
        receipt(TxType::Legacy, vec![noise(), noise()]),
        receipt(
            TxType::Eip1559,
            vec![
                log(INBOX, queued(0, 5, b"one")),
                noise(),
                log(INBOX, queued(1, 6, b"")),
            ],
        ),
        receipt(TxType::Eip4844, vec![]),
        receipt(
            TxType::Eip7702,
            vec![noise(), log(INBOX, queued(2, 7, &[3; 52]))],
        ),
    ];
    let header = header_of(&receipts);
    let block = L1Ref {
        number: 7,
        hash: keccak256(&header),
    };
    let entry = |log_index, gas, payload: &[u8]| Entry {
        block,
        log_index,
        gas,
        payload: Bytes::copy_from_slice(payload),
    };
    assert_eq!(
        entries_of(&header, &receipts, INBOX),
        Ok(vec![
            entry(2, 5, b"one"),
            entry(4, 6, b""),
            entry(6, 7, &[3; 52])
        ])
    );
}

#[test]
fn receipts_of_another_block_are_told_by_their_root() {
    let one = receipt(TxType::Eip1559, vec![log(INBOX, queued(0, 5, b"one"))]);
    let two = receipt(TxType::Eip1559, vec![log(INBOX, queued(0, 5, b"two"))]);
    let honest = [one.clone(), two.clone()];
    let header = header_of(&honest);
    let lies: [&[Bytes]; 5] = [
        &[],
        std::slice::from_ref(&one),
        &[two.clone(), one.clone()],
        &[one.clone(), one.clone()],
        &[one.clone(), two.clone(), one.clone()],
    ];
    for lie in lies {
        let error = entries_of(&header, lie, INBOX).expect_err("a lie");
        assert!(error.is_lie(), "{error}");
        let InboxError::Root { got, want, .. } = error else {
            panic!("{error}")
        };
        assert_ne!(got, want);
    }
    assert_eq!(entries_of(&header, &honest, INBOX).map(|e| e.len()), Ok(2));
}

#[test]
fn type_that_is_not_known_yet_counts_its_logs_if_its_form_is_known() {
    let mut unknown = receipt(TxType::Eip7702, vec![noise(), noise()]).to_vec();
    unknown[0] = 0x2a;
    let after = receipt(TxType::Legacy, vec![log(INBOX, queued(0, 5, b""))]);
    assert_eq!(found(&[unknown.into(), after]), [(2, 5)]);
}

#[test]
fn true_receipt_of_an_unknown_form_is_no_lie_and_nothing_is_guessed() {
    let after = receipt(TxType::Legacy, vec![log(INBOX, queued(0, 5, b""))]);
    for bytes in [&[0x2a, 0xc0][..], &[0x2a], &[], &[0x80]] {
        let receipts = [Bytes::copy_from_slice(bytes), after.clone()];
        let error = entries_of(&header_of(&receipts), &receipts, INBOX).expect_err("unknown");
        assert!(
            matches!(error, InboxError::Form { index: 0, .. }),
            "{error}"
        );
        assert!(!error.is_lie());
    }
    let mut trailing = after.to_vec();
    trailing.push(0);
    let receipts = [trailing.into()];
    assert!(entries_of(&header_of(&receipts), &receipts, INBOX).is_err());
}

#[test]
fn log_that_is_no_entry_of_the_inbox_is_skipped_and_counted() {
    let good = queued(0, 5, b"payload");
    let with_topics = |topics: &[B256]| LogData::new_unchecked(topics.to_vec(), good.data.clone());
    let with_data =
        |data: &[u8]| LogData::new_unchecked(good.topics().to_vec(), Bytes::copy_from_slice(data));
    let signature = Queued::SIGNATURE_HASH;
    let changed = |at: usize, to: u8| {
        let mut data = good.data.to_vec();
        data[at] = to;
        data
    };
    let mut lengthened = good.data.to_vec();
    lengthened.extend([0; 32]);
    let skipped = [
        with_topics(&[]),
        with_topics(&[signature]),
        with_topics(&[signature, B256::ZERO, B256::ZERO]),
        with_topics(&[B256::ZERO, B256::ZERO]),
        with_data(&[]),
        with_data(&good.data[..good.data.len() - 1]),
        with_data(&lengthened),
        // Gas above 64 bits; an offset elsewhere; padding that is not zero.
        with_data(&changed(0, 1)),
        with_data(&changed(63, 0x40)),
        with_data(&changed(159, 1)),
    ];
    for data in skipped {
        let logs = vec![
            log(INBOX, data.clone()),
            log(OTHER, good.clone()),
            log(INBOX, good.clone()),
        ];
        assert_eq!(
            found(&[receipt(TxType::Eip1559, logs)]),
            [(2, 5)],
            "{data:?}"
        );
    }
}

#[test]
fn bloom_that_rules_the_inbox_out_needs_no_receipts() {
    let receipts = [receipt(TxType::Legacy, vec![noise()])];
    let mut header = Header {
        gas_used: 21_000,
        receipts_root: ordered_trie_root_encoded(&receipts),
        ..Header::default()
    };
    header.logs_bloom.accrue_log(&noise());
    let raw = encode(header.clone());
    assert_eq!(needs_receipts(&raw, INBOX), Ok(false));
    assert_eq!(entries_of(&raw, &[], INBOX), Ok(vec![]), "not even read");
    // The address alone, and the event of another inbox alone, are not enough.
    let mut address = header.clone();
    address.logs_bloom.accrue_raw_log(INBOX, &[]);
    assert_eq!(needs_receipts(&encode(address.clone()), INBOX), Ok(false));
    address
        .logs_bloom
        .accrue_raw_log(OTHER, &[Queued::SIGNATURE_HASH]);
    let raw = encode(address);
    assert_eq!(
        needs_receipts(&raw, INBOX),
        Ok(true),
        "a bloom may be wrong so"
    );
    assert_eq!(entries_of(&raw, &receipts, INBOX), Ok(vec![]));
}

#[test]
fn more_bytes_than_the_blocks_gas_paid_for_are_refused_unhashed() {
    let receipts = [receipt(TxType::Legacy, vec![noise(); 40])];
    let bytes = receipts[0].len() as u64;
    let mut header = alloy_rlp::Decodable::decode(&mut header_of(&receipts).as_ref());
    let header: &mut Header = header.as_mut().expect("a header");
    header.gas_used = bytes * RECEIPT_GAS_PER_BYTE;
    assert_eq!(
        entries_of(&encode(header.clone()), &receipts, INBOX),
        Ok(vec![])
    );
    header.gas_used -= 1;
    assert_eq!(
        entries_of(&encode(header.clone()), &receipts, INBOX),
        Err(InboxError::TooLong {
            number: 7,
            bytes,
            limit: bytes - 1,
            gas_used: header.gas_used,
        })
    );
}

#[test]
fn what_is_no_header_is_named() {
    let header = header_of(&[]);
    for raw in [&[][..], &[0xc0], &header[1..], &[0; 2_000]] {
        assert!(needs_receipts(raw, INBOX).is_err());
        assert!(matches!(
            entries_of(raw, &[], INBOX),
            Err(InboxError::Header(_))
        ));
    }
}

proptest! {
    /// Any mix of receipts and logs, against a walk that knows what it put in.
    #[test]
    fn every_entry_is_found_once_at_its_place(
        block in proptest::collection::vec(
            (0u8..5, proptest::collection::vec((any::<bool>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..6)),
            0..12,
        )
    ) {
        let mut place = 0;
        let mut want = Vec::new();
        let mut receipts = Vec::new();
        for (kind, logs) in &block {
            let mut list = Vec::new();
            for (is_entry, gas, payload) in logs {
                if *is_entry {
                    want.push((place, *gas, payload.clone()));
                }
                let address = if *is_entry { INBOX } else { OTHER };
                list.push(log(address, queued(place, *gas, payload)));
                place += 1;
            }
            receipts.push(receipt(TxType::try_from(*kind).expect("below 5"), list));
        }
        let entries = entries_of(&header_of(&receipts), &receipts, INBOX).expect("true receipts");
        let got: Vec<_> = entries
            .into_iter()
            .map(|entry| (entry.log_index, entry.gas, entry.payload.to_vec()))
            .collect();
        prop_assert_eq!(got, want);
    }
}
