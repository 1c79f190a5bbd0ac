//! `cortado derive` refuses what it cannot go by, and says what it is.

use std::process::Command;

fn refusal(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cortado"))
        .args(["derive", "--namespace", "7001"])
        .args(args)
        .output()
        .expect("the binary runs");
    assert!(!output.status.success(), "{args:?} was taken");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn arguments_that_are_none_or_contradict_each_other_are_named() {
    let says = |args: &[&str], what: &str| {
        let text = refusal(args);
        assert!(text.contains(what), "{args:?}: {text}");
    };
    says(
        &["--fork", "0x12"],
        "invalid value '0x12' for '--fork <HASH>'",
    );
    says(&["--from", "x"], "invalid value 'x' for '--from <HEIGHT>'");
    says(&["--genesis", "g.json"], "--rollup-genesis <FILE>");
    says(&["--node", "http://a"], "--genesis <FILE>");
    says(&["--l1", "http://a"], "--inbox <ADDRESS>");
    let own = [
        "--genesis",
        "g",
        "--rollup-genesis",
        "r",
        "--node",
        "http://a",
    ];
    let devnet = [&own[..], &["--data-dir", "d"]].concat();
    says(&devnet, "cannot be used with '--data-dir <DIR>'");
    says(&own, "genesis g");
    says(&["--data-dir", "/nowhere"], "no devnet runs on /nowhere");
}
