//! A node does not lie, whatever its operator asks of it.

use std::{
    path::Path,
    process::{Command, Output},
};

fn cortado(args: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_cortado");
    let output = Command::new(binary).args(args).output();
    output.expect("the binary runs")
}

fn refusal(args: &[&str]) -> String {
    let output = cortado(args);
    assert!(!output.status.success(), "{args:?} was taken");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A service's file that is whole but for `extra`.
fn file(directory: &Path, extra: &str) -> String {
    let path = directory.join("node.toml");
    let text = format!(
        r#"
{extra}
genesis = "genesis.json"
data_dir = "data"
api = "127.0.0.1:0"
seats = []
peers = []
"#
    );
    std::fs::write(&path, text).expect("a file in a directory of ours");
    path.display().to_string()
}

#[test]
fn a_node_has_no_way_to_lie() {
    let flag = refusal(&["node", "--config", "node.toml", "--byzantine", "equivocate"]);
    assert!(flag.contains("--byzantine"), "{flag}");
    let command = refusal(&["byzantine", "--config", "node.toml"]);
    assert!(command.contains("byzantine"), "{command}");
    let directory = tempfile::tempdir().expect("a directory");
    let config = file(directory.path(), r#"byzantine = "equivocate""#);
    let key = refusal(&["node", "--config", &config]);
    assert!(key.contains("byzantine"), "{key}");
    // Without the key it is read, and refused for having no seats.
    let config = file(directory.path(), "");
    let seats = refusal(&["node", "--config", &config]);
    assert!(seats.contains("seats is empty"), "{seats}");
}

#[test]
fn a_devnet_with_a_liar_needs_four_attesters() {
    let directory = tempfile::tempdir().expect("a directory");
    let dir = directory.path().display().to_string();
    let few = [
        "--attesters",
        "3",
        "--seats-per-operator",
        "2",
        "--data-dir",
        &dir,
    ];
    let args = [&["devnet", "--byzantine", "equivocate"][..], &few].concat();
    let few = refusal(&args);
    assert!(few.contains("the least is 4"), "{few}");
    let other = refusal(&["devnet", "--byzantine", "politely", "--data-dir", &dir]);
    assert!(other.contains("equivocate"), "{other}");
}
