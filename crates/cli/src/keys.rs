//! `cortado keys`: makes and shows key files.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use cortado_node::keys::{self, ProposerKeys, SeatKeys, Secret};
use cortado_types::{ChainId, bls::SecretBls};
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
    /// Print the public half of a key file, as a genesis and a registration need it.
    Show {
        /// The key file.
        file: PathBuf,
        /// Chain for which the proof of possession is made.
        #[arg(long, default_value_t = 0)]
        chain_id: u64,
    },
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
        Command::Show { file, chain_id } => match keys::load::<SeatKeys>(&file) {
            Ok(seat) => {
                let possession = seat.possession(ChainId::new(chain_id))?;
                let shown = serde_json::json!({
                    "seat": seat.seat(0)?, "possession": possession, "chain_id": chain_id,
                });
                println!("{}", serde_json::to_string_pretty(&shown)?);
            }
            Err(keys::KeyFileError::Malformed { .. }) => show_proposer(&keys::load(&file)?)?,
            Err(error) => return Err(error.into()),
        },
    }
    Ok(())
}

fn show_proposer(keys: &ProposerKeys) -> Result<()> {
    let shown = serde_json::json!({"identity": keys.identity()?, "address": keys.address()?});
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}
