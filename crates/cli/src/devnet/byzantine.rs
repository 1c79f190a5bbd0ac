//! An attester that lies, in the place of the devnet's last one. It runs in the devnet's process
//! only: no command runs it alone.

use super::{layout::read_toml, run::Stop};
use anyhow::{Context, Result};
use cortado_byzantine::{Equivocator, EquivocatorConfig};
use cortado_node::{
    attester::{PeerConfig, SeatConfig, load_genesis},
    keys::{self, SeatKeys},
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// It notarizes two blocks in a view, every few views.
    Equivocate,
}

/// What it is made from.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiarConfig {
    /// How it lies.
    pub lie: Lie,
    /// The genesis file.
    pub genesis: PathBuf,
    /// For its runtime.
    pub data_dir: PathBuf,
    /// Its seats.
    pub seats: Vec<SeatConfig>,
    /// Addresses of all seats.
    pub peers: Vec<PeerConfig>,
}

/// The seats that lie.
struct Liar(Vec<Equivocator>);

/// Starts the liar of a file.
///
/// # Errors
/// If a file cannot be read or a seat does not start.
pub fn start(config: &Path) -> Result<Box<dyn Stop>> {
    let config: LiarConfig = read_toml(config)?;
    let genesis = load_genesis(&config.genesis)?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| config.data_dir.display().to_string())?;
    let Lie::Equivocate = config.lie;
    let mut seats = Vec::new();
    for seat in &config.seats {
        let secrets: SeatKeys = keys::load_for(&seat.keys, genesis.l1.chain_id)?;
        let peers = config.peers.iter();
        seats.push(Equivocator::start(EquivocatorConfig {
            genesis: genesis.clone(),
            identity: secrets.identity.0,
            secret: secrets.secret_bls().context("the BLS secret of a liar")?,
            listen: seat.listen,
            seats: peers.map(|peer| (peer.identity, peer.address)).collect(),
            directory: config.data_dir.clone(),
        })?);
    }
    Ok(Box::new(Liar(seats)))
}

impl Stop for Liar {
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let stopped = tokio::task::spawn_blocking(move || {
                self.0.into_iter().for_each(Equivocator::stop);
            });
            let _ = stopped.await;
        })
    }

    fn failed(&mut self) -> BoxFuture<'_, String> {
        // Whatever becomes of a liar, the devnet goes on.
        Box::pin(std::future::pending())
    }
}
