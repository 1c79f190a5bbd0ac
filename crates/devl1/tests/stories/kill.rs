use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::{config, rpc, until_some};
use crate::testing::{Account, raw};

/// An L1 in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(config: &std::path::Path) -> Self {
        // Examples are built beside the tests.
        let exe = std::env::current_exe().expect("this test");
        let target: PathBuf = exe.ancestors().nth(2).expect("target directory").into();
        let mut child = Command::new(target.join("examples/serve"))
            .arg(config)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example is built with the tests");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let url = line
            .split_whitespace()
            .nth(1)
            .expect("an address")
            .to_owned();
        Self { child, url }
    }

    /// SIGKILL: no destructor runs.
    fn kill(mut self) {
        self.child.kill().expect("was running");
        self.child.wait().expect("is dead");
    }
}

#[tokio::test]
async fn killed_at_any_time_it_keeps_every_block_shown_and_transaction_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = config(&dir.path().join("data"));
    settings.slot_ms = 50;
    let file = dir.path().join("l1.toml");
    std::fs::write(&file, toml::to_string(&settings).expect("writes")).expect("writes");

    let alice = Account::new(1);
    let mut acknowledged = Vec::new();
    let mut seen: Option<Value> = None;
    for round in 0..6u64 {
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
        for nonce in round * 8..(round + 1) * 8 {
            let tx = json!([raw(&alice.transfer(nonce, 1))]);
            let sent = rpc(&l1.url, "eth_sendRawTransaction", tx).await;
            assert!(sent["result"].is_string(), "round {round}: {sent}");
            acknowledged.push(sent["result"].clone());
            // Later rounds are killed later, at odd places within a slot.
            let pause = std::time::Duration::from_millis(7 * round);
            tokio::time::sleep(pause).await;
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
