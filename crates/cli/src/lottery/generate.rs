//! `gen`: make an instance of a family.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use cortado_lottery::file::{OneOrMany, write};
use cortado_lottery::lab::families::{self, Size};

/// A family of instances.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Family {
    /// Complements without structure.
    Arbitrary,
    /// Complements by nearness on a grid.
    Regions,
    /// Routes through a network.
    Paths,
    /// A take-off and a landing slot.
    Matching,
    /// Runs of consecutive time slots.
    Scheduling,
    /// Every namespace alone, and bundles that favour the popular ones.
    L2Like,
}

impl From<Family> for families::Family {
    fn from(family: Family) -> Self {
        match family {
            Family::Arbitrary => Self::Arbitrary,
            Family::Regions => Self::Regions,
            Family::Paths => Self::Paths,
            Family::Matching => Self::Matching,
            Family::Scheduling => Self::Scheduling,
            Family::L2Like => Self::L2Like,
        }
    }
}

/// Arguments of `gen`.
#[derive(clap::Args)]
pub(super) struct GenArgs {
    family: Family,
    #[arg(long, default_value_t = 40)]
    namespaces: usize,
    #[arg(long, default_value_t = 160)]
    bundles: usize,
    #[arg(long, default_value_t = 600)]
    tickets: usize,
    #[arg(long, default_value_t = 8)]
    slots: u64,
    /// The same seed gives the same instance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// The instance is JSON already, so `--json` changes nothing but the line breaks.
pub(super) fn run(args: &GenArgs, json: bool) -> anyhow::Result<ExitCode> {
    let GenArgs {
        namespaces,
        bundles,
        tickets,
        slots,
        ..
    } = *args;
    let size = Size {
        namespaces,
        bundles,
        tickets,
        slots,
    };
    let instance = families::instance(args.family.into(), size, args.seed)?;
    let text = write(&OneOrMany::One(instance));
    let text = if json {
        text.replace('\n', "") + "\n"
    } else {
        text
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
