//! `kill -9` at odd moments. Run without arguments this program tells the story; with `serve
//! CONFIG.toml` it is the L1 that gets killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{config, rpc, until_some};
use serde_json::{Value, json};
use testing::{Account, raw};

#[allow(dead_code)] // Made for the stories; this one needs a part.
#[path = "stories/common.rs"]
mod common;
#[path = "../src/testing.rs"]
mod testing;

/// Times the process is killed.
const ROUNDS: u64 = 6;

/// Transactions sent before each kill.
const SENT_PER_ROUND: u64 = 8;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("serve"), Some(config)) => serve(&config).await,
        _ => {
            killed_at_any_time_it_keeps_every_block_shown_and_transaction_acknowledged().await;
            println!("killed {ROUNDS} times, nothing shown or acknowledged was lost");
        }
    }
}

async fn serve(config: &str) {
    let text = std::fs::read_to_string(config).expect("a file");
    let l1 = cortado_devl1::start(toml::from_str(&text).expect("TOML"))
        .await
        .expect("starts");
    println!("http://{}", l1.rpc_addr());
    std::io::stdout().flush().expect("a pipe");
    panic!("{}", l1.failed().await);
}

/// An L1 in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("serve")
            .arg(config)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.starts_with("http://"), "the L1 did not start");
        Self {
            child,
            url: line.trim().to_owned(),
        }
    }

    /// SIGKILL: no destructor of the child runs.
    fn kill(mut self) {
        self.child.kill().expect("was running");
        self.child.wait().expect("is dead");
    }
}

impl Drop for Process {
    /// A failed story leaves no process behind.
    fn drop(&mut self) {
        // An error says that it is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn killed_at_any_time_it_keeps_every_block_shown_and_transaction_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = config(&dir.path().join("data"));
    settings.slot_ms = 50;
    let file = dir.path().join("l1.toml");
    std::fs::write(&file, toml::to_string(&settings).expect("writes")).expect("writes");

    let alice = Account::new(1);
    let mut acknowledged = Vec::new();
    let mut seen: Option<Value> = None;
    for round in 0..ROUNDS {
        let l1 = Process::start(&file);
        if let Some(seen) = &seen {
            // What was the head is still canonical at its number.
            let block = rpc(
                &l1.url,
                "eth_getBlockByNumber",
                json!([seen["number"], false]),
            )
            .await;
            assert_eq!(block["result"]["hash"], seen["hash"], "round {round}");
        }
        if round % 2 == 1 {
            // No block comes between acknowledgement and death: only the journal can keep these.
            rpc(&l1.url, "devl1_missNext", json!([1_000])).await;
        }
        for nonce in round * SENT_PER_ROUND..(round + 1) * SENT_PER_ROUND {
            let tx = json!([raw(&alice.transfer(nonce, 1))]);
            let sent = rpc(&l1.url, "eth_sendRawTransaction", tx).await;
            assert!(sent["result"].is_string(), "round {round}: {sent}");
            acknowledged.push(sent["result"].clone());
            // Later rounds are killed later, at odd places within a slot.
            tokio::time::sleep(Duration::from_millis(7 * round)).await;
        }
        let head = rpc(&l1.url, "eth_getBlockByNumber", json!(["latest", false])).await;
        seen = Some(head["result"].clone());
        l1.kill();
    }
    let l1 = Process::start(&file);
    for hash in &acknowledged {
        let receipt = until_some(|| async {
            let answer = rpc(&l1.url, "eth_getTransactionReceipt", json!([hash])).await;
            (!answer["result"].is_null()).then(|| answer["result"].clone())
        })
        .await;
        assert_eq!(receipt["status"], json!("0x1"));
    }
    l1.kill();
}
