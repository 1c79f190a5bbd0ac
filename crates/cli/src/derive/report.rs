//! What is printed: text as it is derived, or one JSON document at the end.

use alloy_primitives::U256;
use anyhow::Result;
use cortado_rollup::fork::{Fate, ForkBlock, Imported, Placed, Standing};
use cortado_types::{Address, B256, Height, L1Ref, Namespace, SignedLaneHeader};
use serde::Serialize;
use std::io::Write;

/// What is derived.
#[derive(Serialize)]
pub struct Head {
    /// The rollup.
    pub namespace: Namespace,
    /// The last block of the finality chain that counts.
    pub height: Height,
    /// The end of the fork.
    pub fork: L1Ref,
    /// Where that stands beside `L1*`.
    pub standing: Standing,
    /// `L1*`.
    pub l1_head: L1Ref,
}

/// A block of L2.
#[derive(Serialize)]
struct L2Block {
    number: u64,
    hash: B256,
}

/// An import.
#[derive(Serialize)]
struct Import {
    block: L1Ref,
    log_index: u64,
    /// Who gets what; nobody if it is no deposit.
    to: Option<Address>,
    wei: Option<U256>,
}

/// A transaction.
#[derive(Serialize)]
struct Transaction {
    hash: B256,
    #[serde(flatten)]
    fate: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
enum Outcome {
    In { index: usize },
    Dropped { reason: String },
    Skipped { reason: String },
}

/// A lane block.
#[derive(Serialize)]
struct Lane {
    lane_block: Height,
    hash: B256,
    /// The block of the finality chain that carries it.
    height: Height,
    /// The L1 block whose state it may read.
    context: L1Ref,
    l2_block: Option<L2Block>,
    imports: Vec<Import>,
    transactions: Vec<Transaction>,
}

impl Lane {
    fn new(lane: &SignedLaneHeader, at: Height, derived: &ForkBlock) -> Self {
        let l2_block = derived.block.as_ref().map(|block| L2Block {
            number: block.number(),
            hash: block.hash(),
        });
        Self {
            lane_block: lane.header.height,
            hash: lane.header.hash(),
            height: at,
            context: derived.context,
            l2_block,
            imports: derived.imports.iter().map(Import::new).collect(),
            transactions: derived.transactions.iter().map(Transaction::new).collect(),
        }
    }

    /// Idle slots are closed by lane blocks in which there is nothing to tell.
    fn is_empty(&self) -> bool {
        self.imports.is_empty() && self.transactions.is_empty()
    }

    fn write(&self, out: &mut impl Write) -> Result<()> {
        let Self {
            lane_block, height, ..
        } = self;
        write!(out, "lane block {lane_block} in block {height}: ")?;
        match &self.l2_block {
            Some(L2Block { number, hash }) => {
                let context = self.context.number;
                writeln!(out, "L2 block {number} ({hash}) on L1 block {context}")?;
            }
            None => writeln!(out, "no L2 block")?,
        }
        for import in &self.imports {
            import.write(out)?;
        }
        for transaction in &self.transactions {
            transaction.write(self.l2_block.as_ref(), out)?;
        }
        Ok(())
    }
}

impl Import {
    fn new(imported: &Imported) -> Self {
        let credit = imported.credit.as_ref();
        Self {
            block: imported.entry.block,
            log_index: imported.entry.log_index,
            to: credit.map(|credit| credit.address),
            wei: credit.map(|credit| credit.wei),
        }
    }

    fn write(&self, out: &mut impl Write) -> Result<()> {
        let (number, log) = (self.block.number, self.log_index);
        write!(out, "  import of L1 block {number}, log {log}: ")?;
        match (self.to, self.wei) {
            (Some(to), Some(wei)) => writeln!(out, "{wei} wei for {to}")?,
            _ => writeln!(out, "no deposit, without effect")?,
        }
        Ok(())
    }
}

impl Transaction {
    fn new(placed: &Placed) -> Self {
        let fate = match &placed.fate {
            Fate::In { index } => Outcome::In { index: *index },
            Fate::Dropped(reason) => Outcome::Dropped {
                reason: reason.to_string(),
            },
            Fate::Skipped(reason) => Outcome::Skipped {
                reason: reason.clone(),
            },
        };
        Self {
            hash: placed.hash,
            fate,
        }
    }

    fn write(&self, block: Option<&L2Block>, out: &mut impl Write) -> Result<()> {
        let hash = self.hash;
        match &self.fate {
            Outcome::In { index } => {
                let number = block.map_or(0, |block| block.number);
                writeln!(out, "  {hash} in: L2 block {number}, index {index}")?;
            }
            Outcome::Dropped { reason } => writeln!(out, "  {hash} out, dropped: {reason}")?,
            Outcome::Skipped { reason } => writeln!(out, "  {hash} out, skipped: {reason}")?,
        }
        Ok(())
    }
}

/// How many of what, from the first lane block on.
#[derive(Default, Serialize)]
struct Counts {
    lane_blocks: u64,
    l2_blocks: u64,
    imports: u64,
    transactions_in: u64,
    transactions_dropped: u64,
    transactions_skipped: u64,
}

impl Counts {
    fn add(&mut self, lane: &Lane) {
        self.lane_blocks += 1;
        self.l2_blocks += u64::from(lane.l2_block.is_some());
        self.imports += lane.imports.len() as u64;
        for transaction in &lane.transactions {
            match transaction.fate {
                Outcome::In { .. } => self.transactions_in += 1,
                Outcome::Dropped { .. } => self.transactions_dropped += 1,
                Outcome::Skipped { .. } => self.transactions_skipped += 1,
            }
        }
    }
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: &'a Head,
    lane_blocks: &'a [Lane],
    counts: &'a Counts,
    /// Why derivation stopped before the last lane block.
    stopped: Option<String>,
}

/// What is printed.
pub struct Report<W> {
    out: W,
    from: Height,
    head: Head,
    counts: Counts,
    /// For the document, if it is one.
    lanes: Option<Vec<Lane>>,
}

impl<W: Write> Report<W> {
    /// Begins it. Lane blocks below `from` only count.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(mut out: W, json: bool, from: Height, head: Head) -> Result<Self> {
        if !json {
            let Head {
                namespace,
                height,
                fork,
                l1_head,
                ..
            } = &head;
            let beside = format!("L1* is block {} ({})", l1_head.number, l1_head.hash);
            let standing = match head.standing {
                Standing::Pointer => "which is L1*".to_owned(),
                Standing::Below => format!("an ancestor of L1*: {beside}"),
                Standing::Above => format!("a descendant of L1*: {beside}"),
                Standing::Beside => format!("another fork than that of L1*: {beside}"),
            };
            let (number, hash) = (fork.number, fork.hash);
            writeln!(
                out,
                "Rollup {namespace} up to block {height} of the finality chain, on the fork of L1 that \
                 ends in block {number} ({hash}), {standing}.\n"
            )?;
        }
        Ok(Self {
            out,
            from,
            head,
            counts: Counts::default(),
            lanes: json.then(Vec::new),
        })
    }

    /// Takes in what a lane block in block `at` became.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn lane(&mut self, lane: &SignedLaneHeader, at: Height, derived: &ForkBlock) -> Result<()> {
        let lane = Lane::new(lane, at, derived);
        self.counts.add(&lane);
        if lane.lane_block < self.from || lane.is_empty() {
            return Ok(());
        }
        match &mut self.lanes {
            Some(lanes) => lanes.push(lane),
            None => lane.write(&mut self.out)?,
        }
        Ok(())
    }

    /// Ends it, before its end if `stopped` says why.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self, stopped: Option<&anyhow::Error>) -> Result<()> {
        if let Some(lanes) = &self.lanes {
            let document = Document {
                head: &self.head,
                lane_blocks: lanes,
                counts: &self.counts,
                stopped: stopped.map(|error| format!("{error:#}")),
            };
            let text = serde_json::to_string_pretty(&document)?;
            writeln!(self.out, "{text}")?;
            return Ok(());
        }
        let Counts {
            lane_blocks,
            l2_blocks,
            imports,
            transactions_in,
            transactions_dropped,
            transactions_skipped,
        } = self.counts;
        writeln!(
            self.out,
            "\n{lane_blocks} lane blocks became {l2_blocks} L2 blocks with {imports} imports; of the \
             transactions {transactions_in} are in, {transactions_dropped} dropped, \
             {transactions_skipped} skipped."
        )?;
        Ok(())
    }
}
