//! `cortado sim`: random stories of the protocol, checked.

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use cortado_sim::{Report, Setup, Stories, run as tell};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    num::NonZeroUsize,
    process::ExitCode,
    thread::available_parallelism,
    time::{Duration, Instant},
};

/// Deepest reorg that stories can tell: two epochs of mainnet, as far as L1 goes back without
/// breaking its own finality.
const DEPTH_MAX: u64 = 64;

#[derive(Args)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reorgs of L1 at every depth, with deposits, references and promises in flight: chain and
    /// derivation against a naive model.
    Reorg(ReorgArgs),
}

#[derive(Args)]
struct ReorgArgs {
    /// How many stories.
    #[arg(long, default_value_t = 20_000)]
    cases: u64,
    /// Seed of the first story; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Deepest reorg, L1 blocks.
    #[arg(long, default_value_t = DEPTH_MAX, value_parser = clap::value_parser!(u64).range(0..=DEPTH_MAX))]
    depth: u64,
}

pub(crate) fn run(args: &SimArgs) -> ExitCode {
    let Command::Reorg(args) = &args.command;
    let stories = Stories {
        seed: args.seed,
        cases: args.cases,
        depth: args.depth,
        threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let bar = ProgressBar::new(args.cases).with_message("stories");
    let bar = match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    let start = Instant::now();
    let result = tell(&Setup::new(), stories, || bar.inc(1));
    bar.finish_and_clear();
    match result {
        Ok(report) => {
            print(&report, start.elapsed());
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            println!(
                "again: cortado sim reorg --cases 1 --seed {} --depth {}",
                violation.seed, args.depth
            );
            ExitCode::FAILURE
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn print(report: &Report, elapsed: Duration) {
    let mut depths = table(&["depth", "reorgs", "dropped", "survived", "returned"]);
    let all = [("all".to_owned(), report.reorged)];
    let of = report.by_depth.iter();
    for (name, of) in of
        .map(|(first, of)| (Report::depths(*first), *of))
        .chain(all)
    {
        let counts = [of.reorgs, of.dropped, of.survived, of.returned];
        depths.add_row([vec![name], counts.map(|count| count.to_string()).to_vec()].concat());
    }
    let mut counts = table(&["what", "count"]);
    let promises = report.promises;
    for (what, count) in [
        ("cases", report.cases),
        ("blocks of the finality chain", report.blocks),
        ("L1 blocks, all forks", report.l1_blocks),
        (
            "another fork finalised than the pointer's",
            report.other_finalised,
        ),
        ("lane blocks", report.lanes),
        ("L2 blocks", report.l2_blocks),
        ("L2 blocks that only import", report.import_only),
        ("transactions executed", report.executed),
        ("transactions in, not valid", report.skipped),
        ("transactions out by their reference", report.dropped),
        ("deposits on the last fork", report.deposits),
        ("deposits credited", report.credited),
        ("deposits queued", report.waiting),
        ("deposits lost with their fork", report.lost),
        ("promises kept", promises.kept),
        ("promises excused", promises.excused),
        ("promises of lane blocks that came too late", promises.void),
        ("violations", 0),
        ("seconds", elapsed.as_secs()),
    ] {
        counts.add_row([what.to_owned(), count.to_string()]);
    }
    println!("transactions derived anew, by the depth of the reorg\n{depths}\n\n{counts}");
}
