//! Runs an embedded L1 from a TOML file until it is interrupted or killed.
//!
//! `cargo run -p cortado-devl1 --example serve -- l1.toml`

use std::error::Error;
use std::io::Write;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: serve CONFIG.toml")?;
    let l1 = cortado_devl1::start(toml::from_str(&std::fs::read_to_string(path)?)?).await?;
    // One line that people and programs can read; stdout may be a pipe, so it is flushed.
    println!(
        "rpc http://{} beacon http://{}",
        l1.rpc_addr(),
        l1.beacon_addr()
    );
    std::io::stdout().flush()?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        why = l1.failed() => return Err(why.into()),
    }
    l1.stop().await;
    Ok(())
}
