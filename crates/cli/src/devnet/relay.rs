//! The relay of a devnet. The light client is deployed when the finality chain is there, since it
//! starts from that chain's block 0, and this takes some blocks of L1; nobody waits for it.

use super::{
    layout::{Layout, Part, read_toml},
    plan::Shape,
    run::Stop,
    stake,
};
use crate::{
    contracts::open_sender,
    relay::{RelayConfig, RelayService},
    service::Service,
};
use anyhow::Result;
use cortado_chain::State;
use cortado_contracts::{DeployConfig, deploy::deploy, plan::LightClientSettings};
use cortado_node::attester::load_genesis;
use cortado_types::codec;
use futures::future::BoxFuture;
use std::{path::Path, time::Duration};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Pause between two tries.
const RETRY: Duration = Duration::from_secs(2);

/// A relay that starts when it can.
pub struct Later(Option<JoinHandle<RelayService>>, Option<RelayService>);

/// Deploys the light client and starts the relay of `part`, in the background.
pub fn start(layout: &Layout, shape: &Shape, part: &Part) -> Box<dyn Stop> {
    let (layout, shape, config) = (layout.clone(), shape.clone(), part.config.clone());
    let starting = tokio::spawn(async move {
        loop {
            match open(&layout, &shape, &config).await {
                Ok(service) => return service,
                Err(error) => warn!(%error, "no relay yet; trying again"),
            }
            tokio::time::sleep(RETRY).await;
        }
    });
    Box::new(Later(Some(starting), None))
}

async fn open(layout: &Layout, shape: &Shape, config: &Path) -> Result<RelayService> {
    let relay: RelayConfig = read_toml(config)?;
    let deployer = layout.account("deployer");
    let sender = open_sender(&relay.rpc, &deployer, None, stake::sender_settings(shape)).await?;
    let mut plan: DeployConfig = read_toml(&layout.contracts_config())?;
    let genesis = load_genesis(&layout.genesis())?;
    plan.light_client = Some(LightClientSettings {
        anchor: codec::encode(&State::genesis(&genesis)?.genesis_block().header).into(),
        seats: genesis.seats.seats.clone(),
        nonce: Some(plan.first_nonce + stake::light_client_nonce(shape)),
    });
    let addresses = deploy(&sender, &plan).await?;
    stake::write_addresses(layout, &addresses)?;
    info!(light_client = ?addresses.light_client, "Ethereum checks finality");
    RelayService::start(relay).await
}

impl Stop for Later {
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(starting) = self.0 {
                if !starting.is_finished() {
                    return starting.abort();
                }
                if let Ok(service) = starting.await {
                    service.stop().await;
                }
            }
            if let Some(service) = self.1 {
                service.stop().await;
            }
        })
    }

    fn failed(&mut self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            if let Some(starting) = &mut self.0 {
                let started = starting.await;
                self.0 = None;
                match started {
                    Ok(service) => self.1 = Some(service),
                    Err(error) => return error.to_string(),
                }
            }
            match &mut self.1 {
                Some(service) => Service::failed(service).await,
                None => std::future::pending().await,
            }
        })
    }
}
