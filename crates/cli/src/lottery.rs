//! `cortado lottery`: draw, check, prove and explain slots of the Knock-Out Lottery.

/// Writes a line to standard output; a closed pipe is an error, not a panic.
macro_rules! say {
    ($($line:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($line)*)))?
    };
}

mod auction;
mod explain;
mod generate;
mod input;
mod odds;
mod plot;
mod proof;
mod run;
mod simulate;
mod table;
mod verify;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

/// Arguments of `cortado lottery`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write JSON for machines instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw every slot of a file.
    Run {
        /// Instance file, or - for standard input.
        file: PathBuf,
    },
    /// Check an answer with the independent verifier; exit 1 and the first difference if it fails.
    Verify {
        /// Instance file.
        file: PathBuf,
        /// Answer of `run --json` to that file.
        transcript: PathBuf,
    },
    /// Chances and expected revenue: exact for small inputs, sampled with their error for large.
    Odds(odds::OddsArgs),
    /// Make an instance of a family.
    Gen(generate::GenArgs),
    /// Prove the holder of a namespace in a slot in about 400 bytes, as hex.
    Prove {
        #[command(flatten)]
        place: Place,
        /// The namespace (its index in the file).
        namespace: u32,
    },
    /// Check a proof; exit 1 if it proves nothing.
    Check {
        /// Proof file, as `prove` writes it.
        proof: PathBuf,
        /// The commitment the chain keeps for the assigned bundle, 64 hex digits.
        #[arg(long)]
        commitment: Option<String>,
    },
    /// Tell why each namespace got what it got in a slot.
    Explain {
        #[command(flatten)]
        place: Place,
    },
    /// Solve the auction the lottery is compared with, and certify the result.
    Auction(auction::AuctionArgs),
    /// Let bidders find their best stakes, and compare lottery and auction by family.
    Simulate(simulate::SimulateArgs),
}

/// One slot of one instance.
#[derive(clap::Args)]
struct Place {
    /// Instance file, or - for standard input.
    file: PathBuf,
    /// The slot; any slot may be asked for, listed in the file or not.
    slot: u64,
    /// Name of the instance if the file holds several; the first by default.
    #[arg(long)]
    name: Option<String>,
}

/// Runs the command. Exit code 1 without an error means: checked, and found false.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let result = match args.command {
        Command::Run { file } => run::run(&file, json),
        Command::Verify { file, transcript } => verify::run(&file, &transcript, json),
        Command::Odds(args) => odds::run(&args, json),
        Command::Gen(args) => generate::run(&args, json),
        Command::Prove { place, namespace } => proof::prove(&place, namespace, json),
        Command::Check { proof, commitment } => proof::check(&proof, commitment.as_deref(), json),
        Command::Explain { place } => explain::run(&place, json),
        Command::Auction(args) => auction::run(&args, json),
        Command::Simulate(args) => simulate::run(&args, json),
    };
    match result {
        // Whoever reads us has seen enough (`| head`).
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|e| e.io_error_kind() == Some(ErrorKind::BrokenPipe))
    })
}
