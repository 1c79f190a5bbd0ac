//! `cortado status URL`: a node's state for people.

use crate::service::runtime;
use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use cortado_client::api::{NamespacesView, Status};
use std::time::Duration;

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `cortado status`.
#[derive(Args)]
pub struct StatusArgs {
    /// URL of a node's API, as `cortado devnet` prints it.
    url: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `cortado status`.
pub fn run(args: &StatusArgs) -> Result<()> {
    runtime()?.block_on(async {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let base = args.url.trim_end_matches('/');
        let status: Status = get(&http, &format!("{base}/v1/status")).await?;
        let namespaces: NamespacesView = get(&http, &format!("{base}/v1/namespaces")).await?;
        if args.json {
            let all = serde_json::json!({"status": status, "namespaces": namespaces.namespaces});
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            print(&status, &namespaces);
        }
        Ok(())
    })
}

async fn get<T: serde::de::DeserializeOwned>(http: &reqwest::Client, url: &str) -> Result<T> {
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
    let l1 = match &status.l1_node {
        None => "none configured".to_owned(),
        Some(node) if node.connected => {
            let head = node
                .head
                .map_or("?".to_owned(), |head| head.number.to_string());
            format!(
                "connected, head {head}, beacon {}",
                if node.beacon { "yes" } else { "no" }
            )
        }
        Some(node) => format!(
            "not connected: {}",
            node.error.as_deref().unwrap_or("starting")
        ),
    };
    table.add_row(["chain", &status.chain_id.to_string()]);
    table.add_row(["height", &format!("{} ({} ms ago)", status.height, age)]);
    table.add_row(["block", &status.hash.to_string()]);
    table.add_row(["slot", &status.slot.to_string()]);
    table.add_row(["seats", &seats]);
    table.add_row([
        "L1*",
        &format!("{} {}", status.l1_head.number, status.l1_head.hash),
    ]);
    table.add_row([
        "L1fin",
        &format!("{} {}", status.l1_fin.number, status.l1_fin.hash),
    ]);
    table.add_row(["L1 node", &l1]);
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
