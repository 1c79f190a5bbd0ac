//! `cortado contracts`: deploys the contracts on L1, and finds what is deployed.

use crate::{config, logs, service::runtime};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use cortado_chain::State;
use cortado_contracts::{
    Addresses, DeployConfig,
    deploy::deploy,
    plan::LightClientSettings,
    rpc::{L1, Rpc},
    sender::{Sender, SenderSettings},
};
use cortado_node::{
    attester::load_genesis,
    home::write_atomically,
    keys::{self, AccountKeys},
};
use cortado_types::codec;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// An address file is under 1 KiB.
const ADDRESSES_BYTES_MAX: u64 = 16 << 10;

/// Wei in a gwei.
const GWEI: u128 = 1_000_000_000;

/// Arguments of `cortado contracts`.
#[derive(Args)]
pub struct ContractsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Deploy what is missing and verify what is there; prints the addresses as JSON.
    Deploy {
        /// What to deploy.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Genesis of the Cortado chain: starts the light client from its block 0.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
        /// Where to write the addresses, beside standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        account: AccountArgs,
    },
}

/// Who pays on which L1, and how patiently.
#[derive(Args)]
pub struct AccountArgs {
    /// Ethereum JSON-RPC of the L1.
    #[arg(long, value_name = "URL")]
    pub rpc: String,
    /// Key file of the account that sends (`cortado keys account`).
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    #[command(flatten)]
    patience: Patience,
}

/// How a transaction is brought into the L1.
#[derive(Args)]
pub struct Patience {
    /// Blocks on top of a transaction's before it counts.
    #[arg(long, default_value_t = 2)]
    confirmations: u64,
    /// Most that is paid for gas, in gwei.
    #[arg(long, default_value_t = 500)]
    fee_max_gwei: u32,
    /// Seconds without inclusion before the fee is raised.
    #[arg(long, default_value_t = 40)]
    bump_after: u64,
    /// Milliseconds between looks at the chain.
    #[arg(long, default_value_t = 1_000)]
    poll_ms: u64,
}

impl Patience {
    /// As a sender has it.
    pub fn settings(&self) -> SenderSettings {
        SenderSettings {
            confirmations: self.confirmations,
            bump_after: Duration::from_secs(self.bump_after),
            poll: Duration::from_millis(self.poll_ms),
            fee_max: u128::from(self.fee_max_gwei) * GWEI,
        }
    }
}

impl AccountArgs {
    /// The account's sender. Its journal is beside its key, so that all commands share it.
    pub async fn sender(&self) -> Result<Sender> {
        open_sender(&self.rpc, &self.key, None, self.patience.settings()).await
    }
}

/// A sender for the account in a key file; its journal is in `home`, or beside the key file.
pub async fn open_sender(
    rpc: &str,
    key: &Path,
    home: Option<&Path>,
    settings: SenderSettings,
) -> Result<Sender> {
    let l1: Arc<dyn L1> = Arc::new(Rpc::new(rpc)?);
    let chain_id = l1.chain_id().await?;
    let account: AccountKeys = keys::load_for(key, chain_id)?;
    let journal = match home {
        Some(home) => home.join("transactions.json"),
        None => {
            let mut name = key.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{chain_id}.transactions.json"));
            key.with_file_name(name)
        }
    };
    let signing = account.signing_key()?;
    Ok(Sender::open(l1, signing, &journal, settings).await?)
}

/// Reads an address file.
pub fn load_addresses(path: &Path) -> Result<Addresses> {
    let what = || format!("contracts {}", path.display());
    let size = std::fs::metadata(path).with_context(what)?.len();
    if size > ADDRESSES_BYTES_MAX {
        bail!(
            "{} has {size} bytes, the limit is {ADDRESSES_BYTES_MAX}",
            what()
        );
    }
    serde_json::from_str(&std::fs::read_to_string(path).with_context(what)?).with_context(what)
}

/// Runs `cortado contracts`.
pub fn run(args: ContractsArgs) -> Result<()> {
    logs::to_stderr();
    let Command::Deploy {
        config,
        genesis,
        out,
        account,
    } = args.command;
    let mut plan: DeployConfig = config::load(&config)?;
    if let Some(path) = genesis {
        let genesis = load_genesis(&path)?;
        let anchor = State::genesis(&genesis)?.genesis_block().header;
        let nonce = plan.light_client.as_ref().and_then(|light| light.nonce);
        plan.light_client = Some(LightClientSettings {
            anchor: codec::encode(&anchor).into(),
            seats: genesis.seats.seats.clone(),
            nonce,
        });
    }
    plan.check()?;
    runtime()?.block_on(async {
        let sender = account.sender().await?;
        if let Some(out) = out.as_ref().filter(|out| out.exists()) {
            let (known, planned) = (load_addresses(out)?, plan.addresses(sender.account()));
            if (known.registry, known.slasher) != (planned.registry, planned.slasher) {
                bail!(
                    "{} is of another deployment: its registry is {}, this one's is {}",
                    out.display(),
                    known.registry,
                    planned.registry
                );
            }
        }
        let addresses = deploy(&sender, &plan).await?;
        let text = serde_json::to_string_pretty(&addresses)?;
        if let Some(out) = out {
            write_atomically(&out, format!("{text}\n").as_bytes(), 0o644)
                .with_context(|| format!("writing {}", out.display()))?;
        }
        println!("{text}");
        Ok(())
    })
}
