//! Scenarios as text, read by the library's driver here and by the model.
//!
//! ```text
//! fork a b c d        F, from the anchor `o`
//! side b C D          C on b, D on C: known, but not on F
//! queue c 50 30       c queued two calls, of 50 and 30 gas
//! gas 60              import limit
//! lane c - a b+c zz   a lane block with context c and four transactions: without reference,
//!                     referring to a, to b and c, to a block nobody knows
//! ```

use crate::*;
use cortado_l1::TrackedHeader;
use cortado_types::{
    B256, Bytes, ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, Slot, TimestampMs,
    keccak256,
};

/// A scenario, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Scenario {
    /// (name, parent), parents first; those of `fork` in order.
    pub(super) fork: Vec<String>,
    pub(super) sides: Vec<(String, String)>,
    pub(super) queue: Vec<(String, Vec<u64>)>,
    pub(super) gas: u64,
    pub(super) lanes: Vec<(String, Vec<String>)>,
}

impl Scenario {
    pub(super) fn read(text: &str) -> Self {
        let mut scenario = Self {
            gas: 100,
            ..Self::default()
        };
        for line in text.lines() {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            match words.split_first() {
                None => {}
                Some((verb, rest)) => match verb.as_str() {
                    "fork" => scenario.fork = rest.to_vec(),
                    "side" => {
                        let links = rest.windows(2).map(|w| (w[1].clone(), w[0].clone()));
                        scenario.sides.extend(links);
                    }
                    "queue" => {
                        let gas = rest[1..].iter().map(|gas| gas.parse().expect("gas"));
                        scenario.queue.push((rest[0].clone(), gas.collect()));
                    }
                    "gas" => scenario.gas = rest[0].parse().expect("gas"),
                    "lane" => scenario.lanes.push((rest[0].clone(), rest[1..].to_vec())),
                    other => panic!("unknown word {other}"),
                },
            }
        }
        scenario
    }
}

/// References of transactions that are names: `-` has none, `b+c` has two.
#[derive(Clone, Copy)]
pub(super) struct Names;

impl References for Names {
    fn references(&self, transaction: &Bytes) -> Vec<B256> {
        let text = String::from_utf8(transaction.to_vec()).expect("a name");
        text.split('+')
            .filter(|name| *name != "-")
            .map(hash)
            .collect()
    }
}

pub(super) fn hash(name: &str) -> B256 {
    keccak256(name)
}

pub(super) fn block(name: &str, number: u64, parent: &str) -> TrackedHeader {
    TrackedHeader {
        number,
        hash: hash(name),
        parent: hash(parent),
        timestamp: number,
    }
}

pub(super) fn lane(context: L1Ref) -> LaneHeader {
    LaneHeader {
        version: 1,
        chain_id: ChainId::new(1),
        namespace: Namespace::new(8_001),
        slot: Slot::ZERO,
        seq: Seq::ZERO,
        last: false,
        height: Height::new(1),
        parent: B256::ZERO,
        context,
        timestamp: TimestampMs::ZERO,
        body_root: B256::ZERO,
        size: 0,
        group: B256::ZERO,
    }
}

/// The view of F that a scenario describes.
pub(super) fn view(scenario: &Scenario) -> Fork {
    let mut fork = Fork::with_queue(block("o", 0, "nothing"));
    let mut parent = "o";
    for (name, number) in scenario.fork.iter().zip(1..) {
        fork.insert(block(name, number, parent)).expect("linked");
        parent = name;
    }
    fork.set_tip(hash(parent)).expect("held");
    for (name, parent) in &scenario.sides {
        let number = fork
            .header(&hash(parent))
            .expect("parents come first")
            .number
            + 1;
        fork.insert(block(name, number, parent)).expect("linked");
    }
    for name in scenario
        .fork
        .iter()
        .chain(scenario.sides.iter().map(|(name, _)| name))
    {
        fork.set_entries(hash(name), vec![]);
    }
    for (name, calls) in &scenario.queue {
        let at = fork.header(&hash(name)).expect("known").to_ref();
        let entry = |(log_index, gas): (usize, &u64)| Entry {
            block: at,
            log_index: log_index as u64,
            gas: *gas,
            payload: Bytes::new(),
        };
        let entries = calls.iter().enumerate().map(entry);
        // In the wrong order: the fork sorts.
        fork.set_entries(at.hash, entries.rev().collect());
    }
    fork
}

/// One line per lane block: context, imports, transactions; as the model writes them too.
pub(super) fn derive(scenario: &Scenario) -> Vec<String> {
    let fork = view(scenario);
    let params = Params {
        import_gas: scenario.gas,
    };
    let mut cursor = Cursor::new(L1Ref {
        number: 0,
        hash: hash("o"),
    });
    let mut lines = Vec::new();
    for (context, names) in &scenario.lanes {
        let context = fork.header(&hash(context)).expect("known").to_ref();
        let transactions = names
            .iter()
            .map(|name| Bytes::from(name.clone().into_bytes()));
        let body = LaneBody {
            transactions: transactions.collect(),
        };
        let (next, input) = derive_lane(&cursor, &lane(context), &body, &fork, &Names, &params)
            .expect("all of it is known");
        cursor = next;
        lines.push(line(&input, body.transactions.len()));
    }
    lines
}

pub(super) fn line(input: &L2Input, count: usize) -> String {
    let imports = input
        .imports
        .iter()
        .map(|e| format!("{}.{}", e.block.number, e.log_index));
    let mut fates = vec![String::new(); count];
    for derived in &input.transactions {
        fates[derived.index] = "in".into();
    }
    for dropped in &input.dropped {
        fates[dropped.index] = match dropped.reason {
            DropReason::OffFork(_) => "off-fork",
            DropReason::ContextOffFork(_) => "context-off-fork",
            DropReason::NotAncestor(_) => "not-ancestor",
            DropReason::TooOld(_) => "too-old",
            DropReason::Several(_) => "several",
        }
        .into();
    }
    assert_eq!(
        input.dropped.len() + input.transactions.len(),
        count,
        "each once"
    );
    let block = if input.yields_block() {
        "block"
    } else {
        "none"
    };
    let imports = imports.collect::<Vec<_>>().join(",");
    format!(
        "{block} at {} import [{imports}] run [{}]",
        input.context.number,
        fates.join(",")
    )
}
