//! Which L1 block is safe, for the rollup node's tag.

use super::{config::RpcUrls, error::L1Error, nodes::L1Nodes};
use cortado_types::{L1Config, L1Ref};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often the safe block is looked at; it moves once in an L1 epoch.
const POLL: Duration = Duration::from_secs(1);

/// Looks at the safe block of the endpoint in use; it ends when dropped.
#[derive(Debug)]
pub struct SafeWatch(JoinHandle<()>);

impl SafeWatch {
    /// Tells `tell` the safe block of an L1 like `config`, again and again.
    ///
    /// # Errors
    /// If a URL is none.
    pub fn start<F: Future<Output = ()> + Send + 'static>(
        urls: &RpcUrls,
        config: &L1Config,
        tell: impl Fn(L1Ref) -> F + Send + Sync + 'static,
    ) -> Result<Self, L1Error> {
        let nodes = L1Nodes::start(urls, config)?;
        Ok(Self(tokio::spawn(async move {
            loop {
                if let Some(block) = safe(&nodes).await {
                    tell(block).await;
                }
                tokio::time::sleep(POLL).await;
            }
        })))
    }
}

impl Drop for SafeWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The safe block of the first endpoint that names one, unless another one that answers has
/// another block in its place.
async fn safe(nodes: &L1Nodes) -> Option<L1Ref> {
    while let Some((at, _)) = nodes.chosen() {
        match nodes.rpc(at).tagged("safe").await {
            Ok(found) => {
                nodes.served(at);
                let block = found?.block;
                return nodes
                    .contradiction(at, block)
                    .await
                    .is_none()
                    .then_some(block);
            }
            Err(error) => nodes.leave(at, error),
        }
    }
    None
}
