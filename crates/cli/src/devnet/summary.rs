//! `devnet.json`: every URL and key that a person or a script needs.

use super::{
    accounts,
    layout::{Layout, read_toml},
    plan::{CHAIN_ID, LIAR, RELAY},
    run::{Made, command_of},
    traffic::rpc,
};
use crate::relay::RelayConfig;
use alloy_primitives::hex;
use anyhow::{Context, Result};
use cortado_node::{
    attester::AttesterConfig, home::write_atomically, keys, keys::SeatKeys,
    proposer::ProposerNodeConfig, rollup::RollupNodeConfig,
};
use cortado_types::{Address, Identity};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Pause between two looks at a URL that does not answer yet.
const RETRY: Duration = Duration::from_millis(25);

/// The whole of it.
#[derive(Serialize, Deserialize)]
pub struct Summary {
    /// Id of the finality chain.
    pub chain_id: u64,
    /// The devnet's process.
    pub pid: u32,
    /// The L1.
    pub l1: L1,
    /// Attesters.
    pub attesters: Vec<Attester>,
    /// Proposers.
    pub proposers: Vec<Proposer>,
    /// Rollups.
    pub rollups: Vec<Rollup>,
    /// The file that says where on L1 the contracts are.
    pub contracts: PathBuf,
    /// The relay, which brings headers to L1.
    pub relay: Option<String>,
    /// Accounts with money on L1 and every rollup, used by no agent.
    pub accounts: Vec<Account>,
    /// All parts but the relay; with the command that runs each alone.
    pub processes: Vec<Process>,
}

/// The L1's URLs.
#[derive(Serialize, Deserialize)]
pub struct L1 {
    /// EIP-155 id.
    pub chain_id: u64,
    /// JSON-RPC over HTTP.
    pub rpc: String,
    /// JSON-RPC over WebSocket.
    pub ws: String,
    /// Beacon REST.
    pub beacon: Option<String>,
}

/// An attester's URL.
#[derive(Serialize, Deserialize)]
pub struct Attester {
    /// REST and events.
    pub api: String,
    /// Identities of its seats.
    pub seats: Vec<Identity>,
    /// Its process, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// A proposer's URL.
#[derive(Serialize, Deserialize)]
pub struct Proposer {
    /// JSON-RPC over WebSocket, for rollup nodes.
    pub rpc: String,
    /// Namespaces it proposes for.
    pub namespaces: Vec<u64>,
    /// Its process, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// A rollup's URLs.
#[derive(Serialize, Deserialize)]
pub struct Rollup {
    /// Its namespace, equal to `eth_chainId`.
    pub namespace: u64,
    /// JSON-RPC over HTTP.
    pub rpc: String,
    /// JSON-RPC over WebSocket.
    pub ws: String,
    /// Its inbox on L1, which takes deposits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Address>,
    /// Its process, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// A funded account.
#[derive(Serialize, Deserialize)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Its key, 0x-hex.
    pub private_key: String,
}

/// A part.
#[derive(Serialize, Deserialize)]
pub struct Process {
    /// `attester-0`.
    pub name: String,
    /// Its process.
    pub pid: Option<u32>,
    /// What runs it alone.
    pub command: Vec<String>,
}

impl Summary {
    /// Reads it off the parts' files; `pids` are those of children, by name.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn new(layout: &Layout, made: &Made, pids: &BTreeMap<String, Option<u32>>) -> Result<Self> {
        let pid = |name: &str| pids.get(name).copied().flatten();
        let mut l1 = None;
        let (mut attesters, mut proposers, mut rollups) = (Vec::new(), Vec::new(), Vec::new());
        let (mut relay, mut processes) = (None, Vec::new());
        // One that lies serves nothing, and nothing runs it alone.
        for part in made.parts.iter().filter(|part| part.command != LIAR) {
            let pid = pid(&part.name);
            match part.command.as_str() {
                "l1" => {
                    let config: cortado_devl1::Config = read_toml(&part.config)?;
                    l1 = Some(L1 {
                        chain_id: made.l1_chain_id,
                        rpc: format!("http://{}", config.rpc_addr),
                        ws: format!("ws://{}", config.rpc_addr),
                        beacon: Some(format!("http://{}", config.beacon_addr)),
                    });
                }
                "node" => {
                    let config: AttesterConfig = read_toml(&part.config)?;
                    let mut seats = Vec::new();
                    for seat in &config.seats {
                        seats.push(keys::load::<SeatKeys>(&seat.keys)?.seat(0)?.identity);
                    }
                    attesters.push(Attester {
                        api: format!("http://{}", config.api),
                        seats,
                        pid,
                    });
                }
                RELAY => {
                    let config: RelayConfig = read_toml(&part.config)?;
                    relay = Some(format!("http://{}", config.listen));
                    // It waits for the light client in the devnet's own process, whatever the others do.
                    continue;
                }
                "proposer" => {
                    let config: ProposerNodeConfig = read_toml(&part.config)?;
                    let served = config.gateway.rollups.iter();
                    proposers.push(Proposer {
                        rpc: format!("ws://{}", config.gateway.listen),
                        namespaces: served.map(|rollup| rollup.namespace.get()).collect(),
                        pid,
                    });
                }
                _ => {
                    let config: RollupNodeConfig = read_toml(&part.config)?;
                    rollups.push(Rollup {
                        namespace: config.rollup.namespace.get(),
                        rpc: format!("http://{}", config.rollup.listen),
                        ws: format!("ws://{}", config.rollup.listen),
                        inbox: config.rollup.inbox,
                        pid,
                    });
                }
            }
            processes.push(Process {
                name: part.name.clone(),
                pid,
                command: command_of(part)?,
            });
        }
        let outside = || {
            let rpc = made
                .shape
                .l1
                .clone()
                .context("neither an embedded nor an outside L1")?;
            let ws = rpc.replacen("http", "ws", 1);
            Ok::<_, anyhow::Error>(L1 {
                chain_id: made.l1_chain_id,
                rpc,
                ws,
                beacon: made.shape.beacon.clone(),
            })
        };
        let accounts = accounts::accounts(made.shape.seed)
            .into_iter()
            .map(|key| Account {
                address: key.address(),
                private_key: hex::encode_prefixed(key.to_bytes()),
            });
        Ok(Self {
            chain_id: CHAIN_ID,
            pid: std::process::id(),
            l1: l1.map_or_else(outside, Ok)?,
            attesters,
            proposers,
            rollups,
            contracts: layout.contracts(),
            relay,
            accounts: accounts.collect(),
            processes,
        })
    }

    /// Resolves when every URL answers, and a block has been finalised.
    pub async fn answers(&self) {
        let http = reqwest::Client::new();
        let ethereum = std::iter::once(&self.l1.rpc).chain(self.rollups.iter().map(|r| &r.rpc));
        for url in ethereum {
            let question =
                json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []});
            while !rpc(&http, url, &question)
                .await
                .is_ok_and(|answer| answer["result"].is_string())
            {
                tokio::time::sleep(RETRY).await;
            }
        }
        let beacon = self
            .l1
            .beacon
            .iter()
            .map(|url| format!("{url}/eth/v1/beacon/genesis"));
        for url in beacon {
            while !http
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                tokio::time::sleep(RETRY).await;
            }
        }
        for attester in &self.attesters {
            let url = format!("{}/v1/status", attester.api);
            loop {
                if let Ok(answer) = http.get(&url).send().await
                    && let Ok(status) = answer.json::<cortado_client::api::Status>().await
                    && status.height.get() > 0
                {
                    break;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Reads the summary of a devnet that runs.
    ///
    /// # Errors
    /// If none runs there.
    pub fn read(layout: &Layout) -> Result<Self> {
        let path = layout.summary();
        let what = || format!("no devnet runs on {}", layout.dir.display());
        let text = std::fs::read_to_string(&path).with_context(what)?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Writes `devnet.json`, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, layout: &Layout) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        // Keys of a devnet are public by construction, and any tool of the user may read them.
        write_atomically(&layout.summary(), text.as_bytes(), 0o644)
            .with_context(|| layout.summary().display().to_string())
    }
}

/// Removes the summary of a devnet that does not run any more.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove(layout: &Layout) -> Result<()> {
    match std::fs::remove_file(layout.summary()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| layout.summary().display().to_string())
        }
        _ => Ok(()),
    }
}
