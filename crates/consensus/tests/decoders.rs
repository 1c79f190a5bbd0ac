//! Every decoder of network or disk bytes, fed with damage: an error, never a panic, and never two
//! encodings of one thing.

use bytes::Bytes;
use commonware_codec::{Decode as _, Encode as _};
use cortado_chain::State;
use cortado_consensus::{
    block::Block,
    engine::Tuning,
    lanes::{Ack, LANE_BLOCK_BYTES_MAX, LaneBlock},
    simulate::{Plan, genesis},
};
use cortado_types::{
    B256, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot, TimestampMs,
    bls::SignatureBytes, decode_exact, limits::BLOCK_BYTES_MAX,
};

/// A small generator: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    /// Flips bits, cuts, grows or repeats.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.roll(4) {
            match self.roll(5) {
                0 => out.truncate(self.roll(out.len() + 1)),
                1 => out.extend((0..self.roll(40)).map(|i| i as u8)),
                2 if !out.is_empty() => {
                    let at = self.roll(out.len());
                    out.insert(at, self.roll(256) as u8);
                }
                3 if !out.is_empty() => {
                    let at = self.roll(out.len());
                    out.remove(at);
                }
                _ if !out.is_empty() => {
                    let at = self.roll(out.len());
                    out[at] ^= 1 << self.roll(8);
                }
                _ => {}
            }
        }
        out
    }
}

fn plan() -> Plan {
    Plan {
        seats: 4,
        proposers: 1,
        spares: 0,
        slot_ms: 2_000,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 1 << 20,
        anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
        tuning: Tuning::default(),
    }
}

fn lane_block() -> LaneBlock {
    let body = LaneBody {
        transactions: (0..5u8).map(|i| vec![i + 1; 60].into()).collect(),
    };
    let header = LaneHeader {
        version: 1,
        chain_id: genesis(&plan()).1.chain_id,
        namespace: Namespace::new(1_000),
        slot: Slot::new(3),
        seq: Seq::ZERO,
        last: true,
        height: Height::new(1),
        parent: B256::ZERO,
        context: L1Ref::default(),
        timestamp: TimestampMs::new(6_001),
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    };
    let signature = genesis(&plan()).0[4].lane.sign(header.hash());
    LaneBlock {
        lane: SignedLaneHeader { header, signature },
        body,
    }
}

const ROLLS: usize = 20_000;

#[test]
fn damaged_blocks_are_errors_or_the_same_bytes_again() {
    let block = Block::new(State::genesis(&genesis(&plan()).1).unwrap().genesis_block());
    let encoded = block.encode();
    assert_eq!(Block::decode_cfg(encoded.clone(), &()).unwrap(), block);
    let mut dice = Dice(1);
    let mut refused = 0;
    for _ in 0..ROLLS {
        let damaged = Bytes::from(dice.damage(&encoded));
        match Block::decode_cfg(damaged.clone(), &()) {
            Ok(read) => assert_eq!(read.encode(), damaged, "two encodings of one block"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > ROLLS / 2, "damage is seen: {refused}");
}

#[test]
fn a_block_whose_roots_do_not_fit_is_not_the_block_its_hash_names() {
    let mut block = State::genesis(&genesis(&plan()).1).unwrap().genesis_block();
    block.lanes.push(cortado_types::LaneEntry {
        lane: lane_block().lane,
        certificate: None,
    });
    assert!(Block::from_bytes(alloy_rlp::encode(&block).into()).is_err());
}

#[test]
fn an_oversized_block_is_refused_before_it_is_read() {
    let length = u32::try_from(BLOCK_BYTES_MAX + 1).unwrap();
    let bytes = Bytes::copy_from_slice(&length.to_be_bytes());
    assert!(Block::decode_cfg(bytes, &()).is_err());
    assert!(Block::from_bytes(vec![0u8; BLOCK_BYTES_MAX + 1].into()).is_err());
}

#[test]
fn damaged_lane_blocks_and_acknowledgements_never_panic() {
    let block = lane_block();
    let encoded = alloy_rlp::encode(&block);
    let ack = alloy_rlp::encode(Ack {
        term: cortado_types::Term::ZERO,
        hash: B256::repeat_byte(7),
        signature: SignatureBytes::repeat_byte(9),
    });
    let mut dice = Dice(2);
    for _ in 0..ROLLS {
        let damaged = dice.damage(&encoded);
        let read: Result<LaneBlock, _> = decode_exact("lane block", &damaged, LANE_BLOCK_BYTES_MAX);
        if let Ok(read) = read {
            // Whoever changed a transaction changed the root.
            if read.lane.header == block.lane.header {
                let fits = read.body.check(&read.lane.header).is_ok();
                assert_eq!(read.body == block.body, fits);
            }
            let _ = read.lane.signer();
        }
        let damaged = dice.damage(&ack);
        if let Ok(read) = Ack::read(&damaged) {
            assert_eq!(alloy_rlp::encode(read), damaged);
        }
    }
    assert!(Ack::read(&[0; 1_000]).is_err());
}
