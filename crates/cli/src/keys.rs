//! `cortado keys`: makes and shows key files.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use cortado_contracts::KeyRegistration;
use cortado_node::keys::{self, AccountKeys, ProposerKeys, SeatKeys, Secret};
use cortado_types::{Address, ChainId, bls::SecretBls};
use std::path::{Path, PathBuf};

/// Arguments of `cortado keys`.
#[derive(Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the keys of a seat.
    Seat {
        /// Where to write them; must not exist.
        file: PathBuf,
    },
    /// Make the keys of a proposer.
    Proposer {
        /// Where to write them; must not exist.
        file: PathBuf,
    },
    /// Make the key of an Ethereum account, for stake and transactions on L1.
    Account {
        /// Where to write it; must not exist.
        file: PathBuf,
    },
    /// Print the public half of a key file, as a genesis and a registration need it.
    Show {
        /// The key file.
        file: PathBuf,
        #[command(flatten)]
        possession: Possession,
    },
}

/// For which registration a proof of possession is made; none without these.
#[derive(Args)]
struct Possession {
    /// The Cortado chain.
    #[arg(long, requires_all = ["registry", "owner"])]
    chain_id: Option<u64>,
    /// The registry on L1.
    #[arg(long, requires = "chain_id")]
    registry: Option<Address>,
    /// The operator's account, which registers the key.
    #[arg(long, requires = "chain_id")]
    owner: Option<Address>,
}

fn secret() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gave no randomness")?;
    Ok(bytes)
}

fn new_file(file: &Path) -> Result<()> {
    if file.exists() {
        bail!("{} exists and is not overwritten", file.display());
    }
    Ok(())
}

/// Runs `cortado keys`.
pub fn run(args: KeysArgs) -> Result<()> {
    match args.command {
        Command::Seat { file } => {
            new_file(&file)?;
            let bls = SecretBls::derive(&secret()?)?.to_bytes();
            let made = SeatKeys {
                identity: Secret(secret()?),
                bls: Secret(bls),
                test_only: false,
            };
            keys::save(&file, &made)?;
            println!("{}", serde_json::to_string_pretty(&made.seat(0)?)?);
        }
        Command::Proposer { file } => {
            new_file(&file)?;
            let made = ProposerKeys {
                identity: Secret(secret()?),
                signing: Secret(secret()?),
                test_only: false,
            };
            keys::save(&file, &made)?;
            show_proposer(&made)?;
        }
        Command::Account { file } => {
            new_file(&file)?;
            let made = AccountKeys {
                account: Secret(secret()?),
                test_only: false,
            };
            keys::save(&file, &made)?;
            show_account(&made)?;
        }
        Command::Show { file, possession } => show(&file, &possession)?,
    }
    Ok(())
}

/// Tells the kinds of files apart by their fields.
fn show(file: &Path, possession: &Possession) -> Result<()> {
    match keys::load::<SeatKeys>(file) {
        Ok(seat) => show_seat(&seat, possession),
        Err(keys::KeyFileError::Malformed { .. }) => match keys::load::<ProposerKeys>(file) {
            Ok(proposer) => show_proposer(&proposer),
            Err(keys::KeyFileError::Malformed { .. }) => show_account(&keys::load(file)?),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn show_seat(keys: &SeatKeys, possession: &Possession) -> Result<()> {
    let seat = keys.seat(0)?;
    let mut shown = serde_json::json!({ "seat": seat });
    let Possession {
        chain_id,
        registry,
        owner,
    } = possession;
    if let (Some(chain_id), Some(registry), Some(owner)) = (chain_id, registry, owner) {
        let chain = ChainId::new(*chain_id);
        let secret = keys.secret_bls()?;
        let made = KeyRegistration::new(chain, *registry, *owner, seat.identity, &secret);
        shown["possession"] = serde_json::json!(made.possession);
        shown["chain_id"] = serde_json::json!(chain_id);
    }
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn show_account(keys: &AccountKeys) -> Result<()> {
    let shown = serde_json::json!({"address": keys.signing_key()?.address()});
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn show_proposer(keys: &ProposerKeys) -> Result<()> {
    let shown = serde_json::json!({"identity": keys.identity()?, "address": keys.address()?});
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}
