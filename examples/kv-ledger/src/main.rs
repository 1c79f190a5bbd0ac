//! Follows a namespace and keeps its key-value ledger, trusting no node.
//!
//! `kv-ledger GENESIS_JSON NAMESPACE NODE_URL...`

mod ledger;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use cortado_client::Client;
use cortado_derive::{Cursor, Fork, Lane, Params, Timeline, lanes_of, pointer_headers};
use cortado_l1::TrackedHeader;
use cortado_types::{Block, Genesis, Height, LaneBody, Namespace};
use futures::StreamExt;
use ledger::{Ledger, TextReferences};
use std::{collections::VecDeque, sync::Arc};

/// Where this rollup stands: its lane blocks as they are derived on the fork of L1 that the chain's
/// pointer is on, and what the executor made of them.
struct Rollup {
    namespace: Namespace,
    timeline: Timeline<TextReferences>,
    ledger: Ledger,
    /// The ledger before each lane block that another fork could still change.
    before: VecDeque<Ledger>,
}

impl Rollup {
    fn new(genesis: &Genesis, namespace: Namespace) -> anyhow::Result<Self> {
        let anchor = TrackedHeader::read(&genesis.l1.anchor)?;
        // No calls come from L1, so there is no limit to them either.
        let params = Params { import_gas: 0 };
        let (fork, cursor) = (Fork::new(anchor), Cursor::new(anchor.to_ref()));
        Ok(Self {
            namespace,
            timeline: Timeline::new(TextReferences, params, fork, cursor),
            ledger: Ledger::default(),
            before: VecDeque::new(),
        })
    }

    /// Takes in one finalised block; `bodies` are those of this namespace's lane blocks, in order.
    fn apply(&mut self, block: &Block, bodies: &[LaneBody]) -> anyhow::Result<()> {
        let lanes = lanes_of(block, self.namespace).zip(bodies);
        let lanes = lanes.map(|(lane, body)| Lane {
            header: lane.header.clone(),
            body: Arc::new(body.clone()),
        });
        let headers = pointer_headers(block)?;
        let to = (block.header.l1_head.block, block.header.l1_fin);
        let advance = self.timeline.advance(lanes.collect(), &headers, to)?;
        if advance.kept < advance.derived {
            let again = advance.derived - advance.kept;
            println!("L1 changed forks: {again} lane blocks are derived again");
            self.ledger = self.before[advance.kept].clone();
            self.before.truncate(advance.kept);
        }
        for input in &advance.inputs {
            self.before.push_back(self.ledger.clone());
            for dropped in &input.dropped {
                println!(
                    "transaction {} fell back: {}",
                    dropped.index, dropped.reason
                );
            }
            if let Some((block, skipped)) = self.ledger.execute(input) {
                let (number, hash, root) = (block.number, block.hash, block.root);
                let keys = self.ledger.entries().len();
                println!("block {number} {hash}: {keys} keys under {root}, {skipped} skipped");
            }
        }
        let settled = self.timeline.settle(&block.header.l1_fin);
        self.before.drain(..settled);
        self.timeline.prune();
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [genesis, namespace, nodes @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: kv-ledger GENESIS_JSON NAMESPACE NODE_URL...");
    };
    let text = std::fs::read(genesis).with_context(|| format!("cannot read {genesis}"))?;
    let genesis: Genesis = serde_json::from_slice(&text)?;
    let namespace = Namespace::new(namespace.parse()?);
    let client = Client::new(&genesis, nodes)?;
    let mut rollup = Rollup::new(&genesis, namespace)?;
    // Verified blocks from the first on, in order, without gaps; bodies are checked against them.
    let mut blocks = client.follow(Height::new(1));
    while let Some(block) = blocks.next().await {
        let block = block?;
        let mut bodies = Vec::new();
        for lane in lanes_of(block.block(), namespace) {
            bodies.push(client.lane_body(&lane.header).await?);
        }
        rollup.apply(block.block(), &bodies)?;
    }
    Ok(())
}
