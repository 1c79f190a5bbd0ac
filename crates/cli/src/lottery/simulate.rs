//! `simulate`: lottery and auction with bidders that answer each other.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use cortado_lottery::lab::equilibrium::{self, Comparison, Effort};
use cortado_lottery::lab::families;
use serde_json::json;

use super::generate::Family;
use super::{input, plot, table};

/// Arguments of `simulate`.
#[derive(clap::Args)]
pub(super) struct SimulateArgs {
    /// Families to compare; all by default.
    families: Vec<Family>,
    #[arg(long, default_value_t = 24)]
    namespaces: usize,
    /// Single-minded bidders, each on a bundle of its own.
    #[arg(long, default_value_t = 60)]
    bidders: usize,
    /// Instances of each family.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    instances: u64,
    /// Sampled draws per round of best responses.
    #[arg(long, default_value_t = 400)]
    samples: usize,
    /// Rounds of best responses.
    #[arg(long, default_value_t = 60)]
    rounds: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw the comparison into this SVG file.
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// Means over the instances of a family, and the least welfare among them.
pub(super) struct Row {
    pub(super) family: &'static str,
    pub(super) mean: Comparison,
    pub(super) least_welfare: f64,
}

pub(super) fn run(args: &SimulateArgs, json: bool) -> anyhow::Result<ExitCode> {
    let chosen: &[Family] = if args.families.is_empty() {
        Family::value_variants()
    } else {
        &args.families
    };
    let effort = Effort {
        samples: args.samples,
        rounds: args.rounds,
        ..Effort::default()
    };
    let bar = input::progress(chosen.len() as u64 * args.instances, "settling");
    let mut rows = Vec::new();
    for &family in chosen {
        let family = families::Family::from(family);
        let mut results = Vec::new();
        for seed in args.seed..args.seed.saturating_add(args.instances) {
            let bidders = families::bundles(family, args.namespaces, args.bidders, seed)?;
            let result = equilibrium::compare(args.namespaces, &bidders, effort, seed);
            results.push(result.with_context(|| format!("{}, seed {seed}", family.name()))?);
            bar.inc(1);
        }
        rows.push(summarise(family.name(), &results));
    }
    bar.finish_and_clear();
    if let Some(path) = &args.plot {
        std::fs::write(path, plot::svg(&rows, args.namespaces, args.bidders))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if json {
        say!(
            "{}",
            rows.iter().map(to_json).collect::<serde_json::Value>()
        );
    } else {
        print_text(&rows, args)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summarise(family: &'static str, results: &[Comparison]) -> Row {
    let mean = |field: fn(&Comparison) -> f64| {
        results.iter().map(field).sum::<f64>() / results.len() as f64
    };
    Row {
        family,
        mean: Comparison {
            lottery_welfare: mean(|one| one.lottery_welfare),
            lottery_revenue: mean(|one| one.lottery_revenue),
            lottery_repeat: mean(|one| one.lottery_repeat),
            auction_revenue: mean(|one| one.auction_revenue),
            unrest: mean(|one| one.unrest),
        },
        least_welfare: results
            .iter()
            .map(|one| one.lottery_welfare)
            .fold(1.0, f64::min),
    }
}

fn to_json(row: &Row) -> serde_json::Value {
    json!({
        "family": row.family,
        "lottery": {
            "welfare": row.mean.lottery_welfare,
            "least_welfare": row.least_welfare,
            "revenue": row.mean.lottery_revenue,
            "same_holder_again": row.mean.lottery_repeat,
        },
        "auction": {"welfare": 1.0, "revenue": row.mean.auction_revenue, "same_holder_again": 1.0},
        "unrest": row.mean.unrest,
    })
}

fn print_text(rows: &[Row], args: &SimulateArgs) -> anyhow::Result<()> {
    say!(
        "{} namespaces, {} single-minded bidders, {} instances each; parts of the best possible \
         welfare\n",
        args.namespaces,
        args.bidders,
        args.instances
    );
    let mut lines = table::table(&[
        "family",
        "welfare",
        "least",
        "revenue",
        "auction revenue",
        "same holder again",
        "unrest",
    ]);
    for row in rows {
        let mean = &row.mean;
        let figures = [
            mean.lottery_welfare,
            row.least_welfare,
            mean.lottery_revenue,
            mean.auction_revenue,
            mean.lottery_repeat,
            mean.unrest,
        ];
        let mut cells = vec![row.family.to_owned()];
        cells.extend(figures.iter().map(|figure| format!("{figure:.3}")));
        lines.add_row(cells);
    }
    say!("{lines}");
    say!(
        "\nThe auction's welfare and its chance of the same holder again are 1 by definition: the \
         same bids always have the same winners."
    );
    Ok(())
}
