//! `auction`: the packing with the greatest sum of bids, certified.

use std::path::PathBuf;
use std::process::ExitCode;

use cortado_lottery::auction::{Auction, Packing, solve, solve_exact};
use cortado_lottery::{Gwei, Index, Sum};
use serde_json::json;

use super::{input, table};

/// Arguments of `auction`.
#[derive(clap::Args)]
pub(super) struct AuctionArgs {
    /// Instance file, or - for standard input.
    file: PathBuf,
    /// Name of the instance if the file holds several; the first by default.
    #[arg(long)]
    name: Option<String>,
    /// Prove the optimum by branch and bound (about 60 namespaces × 300 bids).
    #[arg(long)]
    exact: bool,
    /// Nodes of the proof before it is given up.
    #[arg(long, default_value_t = 1_000_000)]
    nodes: u64,
    /// Steps of the local search.
    #[arg(long, default_value_t = 40_000)]
    steps: u64,
    /// Rows shown.
    #[arg(long, default_value_t = 30)]
    rows: usize,
}

pub(super) fn run(args: &AuctionArgs, json: bool) -> anyhow::Result<ExitCode> {
    let instance = input::instance(&args.file, args.name.as_deref())?;
    let index = Index::new(&instance.batch);
    let auction = Auction::new(&index);
    let (packing, value, bound, prices) = if args.exact {
        let (packing, value) = solve_exact(&auction, args.nodes)?;
        (packing, value, value, None)
    } else {
        let solution = solve(&auction, args.steps, 0);
        (
            solution.packing,
            solution.value,
            solution.bound,
            Some(solution.prices),
        )
    };
    let gap = 1.0 - value.get() as f64 / bound.get().max(1) as f64;
    if json {
        let prices = prices.map(|prices| prices.into_iter().map(Gwei::get).collect::<Vec<_>>());
        say!(
            "{}",
            to_json(
                &instance.name,
                &index,
                &auction,
                &packing,
                value,
                bound,
                prices
            )
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "{}: {} bids after filtering, {} win {value} gwei above the reserves",
        instance.name,
        auction.bids().len(),
        packing.bids.len()
    );
    let proof = if args.exact {
        "proved optimal by branch and bound"
    } else {
        "by its prices"
    };
    say!(
        "no packing can exceed {bound} gwei ({proof}), gap {}\n",
        table::percent(gap)
    );
    let mut rows = table::table(&["bundle", "ticket", "bid", "split"]);
    for &bid in packing.bids.iter().take(args.rows) {
        let winner = &auction.bids()[bid as usize];
        let split: Vec<String> = auction
            .split(bid)
            .iter()
            .map(|(member, part)| format!("{member}: {part}"))
            .collect();
        rows.add_row([
            table::bundle(&winner.members),
            winner
                .source
                .map_or("-".into(), |(_, ticket)| ticket.to_string()),
            winner.amount.to_string(),
            split.join("  "),
        ]);
    }
    say!("{rows}");
    Ok(ExitCode::SUCCESS)
}

fn to_json(
    name: &str,
    index: &Index,
    auction: &Auction,
    packing: &Packing,
    value: Sum,
    bound: Sum,
    prices: Option<Vec<u64>>,
) -> serde_json::Value {
    let winner = |&bid: &u32| {
        let winner = &auction.bids()[bid as usize];
        let split = auction.split(bid);
        json!({
            "bundle": table::ids(&winner.members),
            "ticket": winner.source.map(|(_, ticket)| ticket.get()),
            "bid": winner.amount.get(),
            "reserve": winner.source.map(|(pool, _)| index.reserve(pool).to_string()),
            "split": split.iter().map(|(_, part)| part.to_string()).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": name,
        "value": value.to_string(),
        "bound": bound.to_string(),
        "prices": prices,
        "winners": packing.bids.iter().map(winner).collect::<Vec<_>>(),
    })
}
