//! The services of a deployment, each runnable alone.

use crate::service::Service;
use anyhow::Result;
use cortado_devl1 as devl1;
use cortado_node::{
    attester::{Attester, AttesterConfig},
    proposer::{Proposer, ProposerNodeConfig},
    rollup::{RollupNode, RollupNodeConfig},
};

/// The embedded L1.
pub struct L1(pub devl1::Handle);

impl Service for L1 {
    type Config = devl1::Config;
    const NAME: &'static str = "l1";

    async fn start(config: devl1::Config) -> Result<Self> {
        Ok(Self(devl1::start(config).await?))
    }

    fn urls(&self) -> Vec<(&'static str, String)> {
        vec![
            ("rpc", format!("http://{}", self.0.rpc_addr())),
            ("beacon", format!("http://{}", self.0.beacon_addr())),
        ]
    }

    async fn failed(&mut self) -> String {
        self.0.failed().await
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

impl Service for Attester {
    type Config = AttesterConfig;
    const NAME: &'static str = "attester";

    async fn start(config: AttesterConfig) -> Result<Self> {
        Ok(Attester::start(config).await?)
    }

    fn urls(&self) -> Vec<(&'static str, String)> {
        vec![("api", self.url())]
    }

    async fn failed(&mut self) -> String {
        Attester::failed(self).await;
        "a seat has stopped by itself; the log says why".into()
    }

    async fn stop(self) {
        Attester::stop(self).await;
    }
}

impl Service for Proposer {
    type Config = ProposerNodeConfig;
    const NAME: &'static str = "proposer";

    async fn start(config: ProposerNodeConfig) -> Result<Self> {
        Ok(Proposer::start(config).await?)
    }

    fn urls(&self) -> Vec<(&'static str, String)> {
        vec![("rpc", self.url())]
    }

    async fn failed(&mut self) -> String {
        Proposer::failed(self).await
    }

    async fn stop(self) {
        Proposer::stop(self).await;
    }
}

impl Service for RollupNode {
    type Config = RollupNodeConfig;
    const NAME: &'static str = "rollup";

    async fn start(config: RollupNodeConfig) -> Result<Self> {
        Ok(RollupNode::start(config).await?)
    }

    fn urls(&self) -> Vec<(&'static str, String)> {
        vec![("rpc", self.url())]
    }

    async fn failed(&mut self) -> String {
        RollupNode::failed(self).await
    }

    async fn stop(self) {
        RollupNode::stop(self).await;
    }
}
