//! Follows a namespace and keeps its key-value ledger, trusting no node.
//!
//! `kv-ledger GENESIS_JSON NAMESPACE NODE_URL...`

mod ledger;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use cortado_client::Client;
use cortado_derive::{Cursor, Fork, Params, derive_lane, lanes_of};
use cortado_l1::TrackedHeader;
use cortado_types::{Block, Genesis, Height, LaneBody, Namespace};
use futures::StreamExt;
use ledger::{Ledger, TextReferences};

/// Where this rollup stands: derivation's cursor, the L1 fork it assumes, and the executor's state.
/// The fork is the chain's own `L1*`, which moves by extension, so there is nothing to roll back.
struct Rollup {
    namespace: Namespace,
    cursor: Cursor,
    fork: Fork,
    ledger: Ledger,
}

impl Rollup {
    fn new(genesis: &Genesis, namespace: Namespace) -> anyhow::Result<Self> {
        let anchor = TrackedHeader::read(&genesis.l1.anchor)?;
        Ok(Self {
            namespace,
            cursor: Cursor::new(anchor.to_ref()),
            fork: Fork::new(anchor),
            ledger: Ledger::default(),
        })
    }

    /// Takes in one finalised block; `bodies` are those of this namespace's lane blocks, in order.
    fn apply(&mut self, block: &Block, bodies: &[LaneBody]) -> anyhow::Result<()> {
        // No calls come from L1, so there is no limit to them either.
        let params = Params { import_gas: 0 };
        for (lane, body) in lanes_of(block, self.namespace).zip(bodies) {
            let header = &lane.header;
            let (cursor, input) = derive_lane(
                &self.cursor,
                header,
                body,
                &self.fork,
                &TextReferences,
                &params,
            )?;
            self.cursor = cursor;
            for dropped in &input.dropped {
                println!(
                    "transaction {} fell back: {}",
                    dropped.index, dropped.reason
                );
            }
            if let Some((block, skipped)) = self.ledger.execute(&input) {
                let (number, hash, root) = (block.number, block.hash, block.root);
                let keys = self.ledger.entries().len();
                println!("block {number} {hash}: {keys} keys under {root}, {skipped} skipped");
            }
        }
        // R8: lane blocks first, then the pointer.
        self.fork.follow(block)?;
        self.fork.prune(&self.cursor);
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
