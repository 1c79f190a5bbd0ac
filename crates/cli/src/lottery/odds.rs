//! `odds`: what can be expected of a slot before it is drawn.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use cortado_lottery::lab::odds::{self, Estimate, Exact, STATES_MAX, Sampled};
use cortado_lottery::{Index, OwnerId, PoolIndex};
use serde_json::{Value, json};

use super::{input, table};

/// Arguments of `odds`.
#[derive(clap::Args)]
pub(super) struct OddsArgs {
    /// Instance file, or - for standard input.
    file: PathBuf,
    /// Name of the instance if the file holds several; the first by default.
    #[arg(long)]
    name: Option<String>,
    /// Slots drawn where the exact recursion would be too large.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..))]
    samples: u64,
    /// Sample even where the exact odds are within reach.
    #[arg(long)]
    sampled: bool,
    /// Rows shown of each table; JSON always has all.
    #[arg(long, default_value_t = 30)]
    rows: usize,
}

/// One number of the result: exact as a fraction, or sampled with its error.
struct Figure {
    mean: f64,
    fraction: Option<String>,
    error: f64,
}

impl Figure {
    fn json(&self) -> Value {
        match &self.fraction {
            Some(fraction) => json!({"value": self.mean, "exact": fraction}),
            None => json!({"value": self.mean, "error": self.error}),
        }
    }

    fn text(&self, show: impl Fn(f64) -> String) -> String {
        match &self.fraction {
            // A fraction nobody can read says less than its value.
            Some(fraction) if fraction.len() <= 15 => format!("{} = {fraction}", show(self.mean)),
            Some(_) => show(self.mean),
            None => format!("{} ± {}", show(self.mean), show(self.error)),
        }
    }
}

struct Odds {
    assigned: Vec<Figure>,
    sold: Vec<Figure>,
    revenue: Vec<Figure>,
    method: String,
}

pub(super) fn run(args: &OddsArgs, json: bool) -> anyhow::Result<ExitCode> {
    let instance = input::instance(&args.file, args.name.as_deref())?;
    let index = Index::new(&instance.batch);
    let exact = if args.sampled {
        None
    } else {
        odds::exact(&index, STATES_MAX).ok()
    };
    let odds = match exact {
        Some(exact) => from_exact(&exact),
        None => {
            let bar = input::progress(args.samples, "sampling");
            let sampled = odds::sample(&index, instance.beacon, args.samples, || bar.inc(1));
            bar.finish_and_clear();
            from_sampled(&sampled)
        }
    };
    let owners = owners(&index, &odds);
    if json {
        print_json(&instance.name, &index, &odds, &owners)?;
    } else {
        print_text(&instance.name, &index, &odds, &owners, args.rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What an owner pays per slot and how many bundles it can expect.
struct Expectation {
    pays: u128,
    bundles: f64,
    namespaces: f64,
}

fn owners(index: &Index, odds: &Odds) -> BTreeMap<OwnerId, Expectation> {
    let mut owners = BTreeMap::new();
    for (pool, figure) in odds.assigned.iter().enumerate() {
        let pool = PoolIndex::new(pool as u32);
        for entry in index.entries(pool) {
            let owner = owners.entry(entry.owner).or_insert(Expectation {
                pays: 0,
                bundles: 0.0,
                namespaces: 0.0,
            });
            let stake = entry.stake.get();
            let wins = figure.mean * stake as f64 / index.stake(pool).get() as f64;
            owner.pays += u128::from(stake);
            owner.bundles += wins;
            owner.namespaces += wins * index.members(pool).len() as f64;
        }
    }
    owners
}

fn from_exact(exact: &Exact) -> Odds {
    let figures = |list: &[odds::Fraction]| {
        list.iter()
            .map(|fraction| Figure {
                mean: odds::to_f64(fraction),
                fraction: Some(fraction.to_string()),
                error: 0.0,
            })
            .collect()
    };
    Odds {
        assigned: figures(&exact.assigned),
        sold: figures(&exact.sold),
        revenue: figures(&exact.revenue),
        method: format!("exact, {} live sets", exact.states),
    }
}

fn from_sampled(sampled: &Sampled) -> Odds {
    let figures = |list: &[Estimate]| {
        let figure = |one: &Estimate| Figure {
            mean: one.mean,
            fraction: None,
            error: one.error,
        };
        list.iter().map(figure).collect()
    };
    Odds {
        assigned: figures(&sampled.assigned),
        sold: figures(&sampled.sold),
        revenue: figures(&sampled.revenue),
        method: format!(
            "sampled over {} slots, ± one standard error",
            sampled.samples
        ),
    }
}

fn print_json(
    name: &str,
    index: &Index,
    odds: &Odds,
    owners: &BTreeMap<OwnerId, Expectation>,
) -> anyhow::Result<()> {
    let pool = |(at, figure): (usize, &Figure)| {
        let pool = PoolIndex::new(at as u32);
        json!({
            "bundle": table::ids(index.members(pool)),
            "stake": index.stake(pool).to_string(),
            "assigned": figure.json(),
        })
    };
    let namespace = |(at, figure): (usize, &Figure)| {
        json!({
            "namespace": at,
            "reserve": index.reserves()[at].get(),
            "sold": figure.json(),
            "revenue": odds.revenue[at].json(),
        })
    };
    let owner = |(owner, expectation): (&OwnerId, &Expectation)| {
        json!({
            "owner": owner.get(),
            "pays": expectation.pays.to_string(),
            "bundles": expectation.bundles,
            "namespaces": expectation.namespaces,
        })
    };
    say!(
        "{}",
        json!({
            "name": name,
            "method": odds.method,
            "pools": odds.assigned.iter().enumerate().map(pool).collect::<Vec<_>>(),
            "namespaces": odds.sold.iter().enumerate().map(namespace).collect::<Vec<_>>(),
            "owners": owners.iter().map(owner).collect::<Vec<_>>(),
        })
    );
    Ok(())
}

fn print_text(
    name: &str,
    index: &Index,
    odds: &Odds,
    owners: &BTreeMap<OwnerId, Expectation>,
    rows: usize,
) -> anyhow::Result<()> {
    say!("{name}: {}\n", odds.method);
    let mut pools = table::table(&["bundle", "stake", "chance to be assigned"]);
    for (at, figure) in odds.assigned.iter().enumerate().take(rows) {
        let pool = PoolIndex::new(at as u32);
        pools.add_row([
            table::bundle(index.members(pool)),
            index.stake(pool).to_string(),
            figure.text(table::percent),
        ]);
    }
    say!("{pools}{}", rest(index.pools(), rows));
    let mut namespaces = table::table(&["namespace", "reserve", "chance to be sold", "revenue"]);
    for (at, figure) in odds.sold.iter().enumerate().take(rows) {
        namespaces.add_row([
            at.to_string(),
            index.reserves()[at].to_string(),
            figure.text(table::percent),
            odds.revenue[at].text(|value| format!("{value:.2}")),
        ]);
    }
    say!("\n{namespaces}{}", rest(odds.sold.len(), rows));
    let mut people = table::table(&["owner", "pays per slot", "bundles won", "namespaces won"]);
    for (owner, expectation) in owners.iter().take(rows) {
        people.add_row([
            owner.to_string(),
            expectation.pays.to_string(),
            format!("{:.4}", expectation.bundles),
            format!("{:.4}", expectation.namespaces),
        ]);
    }
    say!("\n{people}{}", rest(owners.len(), rows));
    Ok(())
}

fn rest(all: usize, shown: usize) -> String {
    match all.checked_sub(shown) {
        None | Some(0) => String::new(),
        Some(more) => format!("\n… and {more} more (--rows, --json)"),
    }
}
