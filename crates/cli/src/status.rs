//! `cortado status`: the state of a node, and of rollups, for people.

use crate::{
    finality::Finality,
    rpc::{Rpc, TIMEOUT},
    running::{DATA_DIR, Running},
    service::runtime,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use cortado_client::api::{L1NodeStatus, NamespacesView, Status};
use std::path::PathBuf;

/// Arguments of `cortado status`.
#[derive(Args)]
pub struct StatusArgs {
    /// URL of a node's API; the first attester of the devnet if absent.
    url: Option<String>,
    /// JSON-RPC of a rollup node to show as well; all of the devnet if no node is named.
    #[arg(long, value_name = "URL")]
    rollup: Vec<String>,
    /// Directory of the devnet.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `cortado status`.
pub fn run(args: &StatusArgs) -> Result<()> {
    runtime()?.block_on(async {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let mut rollups = args.rollup.clone();
        let url = match &args.url {
            Some(url) => url.clone(),
            None => {
                let devnet = Running::read(&args.data_dir).context("no URL is given")?;
                rollups.extend(devnet.rollups.into_iter().map(|rollup| rollup.rpc));
                let first = devnet.attesters.into_iter().next();
                first.context("the devnet has no attester")?.api
            }
        };
        let base = url.trim_end_matches('/');
        let status: Status = get(&http, &format!("{base}/v1/status")).await?;
        let namespaces: NamespacesView = get(&http, &format!("{base}/v1/namespaces")).await?;
        let mut finality = Vec::new();
        for url in rollups {
            match Finality::of(&Rpc::new(&url)).await {
                Ok(Some(one)) => finality.push((url, Ok(one))),
                // Nodes that do not say have nothing to show.
                Ok(None) => {}
                // One that is down hides nothing of the others.
                Err(error) => finality.push((url, Err(format!("{error:#}")))),
            }
        }
        if args.json {
            let rollups: serde_json::Map<_, _> = finality
                .into_iter()
                .map(|(url, one)| {
                    let one = match one {
                        Ok(one) => serde_json::to_value(one)?,
                        Err(error) => serde_json::json!({ "error": error }),
                    };
                    Ok((url, one))
                })
                .collect::<Result<_>>()?;
            let all = serde_json::json!({
                "status": status,
                "namespaces": namespaces.namespaces,
                "rollups": rollups,
            });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            print(&status, &namespaces);
            print_rollups(&finality);
        }
        Ok(())
    })
}

/// A JSON document of a node's API.
///
/// # Errors
/// If it does not answer, or not with a `T`.
pub async fn get<T: serde::de::DeserializeOwned>(http: &reqwest::Client, url: &str) -> Result<T> {
    let answer = http
        .get(url)
        .send()
        .await
        .with_context(|| format!("asking {url}"))?;
    let status = answer.status();
    let text = answer
        .text()
        .await
        .with_context(|| format!("reading {url}"))?;
    if !status.is_success() {
        bail!(
            "{url} answered {status}: {}",
            text.chars().take(300).collect::<String>()
        );
    }
    serde_json::from_str(&text).with_context(|| format!("{url} is not a Cortado node"))
}

fn print(status: &Status, namespaces: &NamespacesView) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    let age = status.time.since(status.timestamp);
    let seats = if status.own_seats.is_empty() {
        "none: a follower".to_owned()
    } else {
        format!(
            "{} of {} (quorum {})",
            status.own_seats.len(),
            status.seats,
            status.quorum
        )
    };
    table.add_row(["chain", &status.chain_id.to_string()]);
    table.add_row(["height", &format!("{} ({} ms ago)", status.height, age)]);
    table.add_row(["block", &status.hash.to_string()]);
    table.add_row(["slot", &status.slot.to_string()]);
    table.add_row(["seats", &seats]);
    let depth = status.l1_depth.map_or(String::new(), |depth| {
        format!(" ({depth} blocks under the L1's tip)")
    });
    let head = status.l1_head;
    table.add_row(["L1*", &format!("{} {}{depth}", head.number, head.hash)]);
    table.add_row([
        "L1fin",
        &format!("{} {}", status.l1_fin.number, status.l1_fin.hash),
    ]);
    add_l1_node(&mut table, status.l1_node.as_ref());
    if let Some(skew) = status.clock_skew_ms {
        table.add_row(["clock", &format!("{skew:+} ms against the others")]);
    }
    println!("{table}");
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["namespace", "lane blocks", "reserve holder"]);
    for one in &namespaces.namespaces {
        let holder = one
            .reserve_holder
            .map_or("any leader".to_owned(), |key| key.to_string());
        table.add_row([
            one.namespace.to_string(),
            one.lane_height.to_string(),
            holder,
        ]);
    }
    println!("{table}");
}

fn add_l1_node(table: &mut Table, node: Option<&L1NodeStatus>) {
    let Some(node) = node else {
        table.add_row(["L1 node", "none configured"]);
        return;
    };
    let words = if node.connected {
        let head = node
            .head
            .map_or("?".to_owned(), |head| head.number.to_string());
        let beacon = if node.beacon { "yes" } else { "no" };
        format!("connected, head {head}, beacon {beacon}")
    } else {
        let error = node.error.as_deref().unwrap_or("starting");
        format!("not connected: {error}")
    };
    table.add_row(["L1 node", &words]);
    for one in &node.endpoints {
        let head = one
            .head
            .map_or(String::new(), |head| format!(", head {}", head.number));
        let error = one
            .error
            .as_ref()
            .map_or(String::new(), |error| format!(": {error}"));
        let words = format!("{} {}{head}{error}", one.url, one.state);
        table.add_row(["L1 endpoint", &words]);
    }
    for wait in &node.waits {
        table.add_row(["waits", wait]);
    }
}

fn print_rollups(rollups: &[(String, Result<Finality, String>)]) {
    if rollups.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([
        "rollup",
        "conditional",
        "unconditional",
        "on L1 block",
        "L1 reorgs",
        "dropped",
        "survived",
        "executed again",
    ]);
    for (url, one) in rollups {
        let one = match one {
            Ok(one) => one,
            Err(error) => {
                table.add_row([url, error]);
                continue;
            }
        };
        table.add_row([
            url.clone(),
            one.latest.to_string(),
            one.finalized.to_string(),
            one.l1_head.number.to_string(),
            one.reorgs.to_string(),
            one.dropped.to_string(),
            one.survived.to_string(),
            one.reexecuted.to_string(),
        ]);
    }
    println!("{table}");
}
