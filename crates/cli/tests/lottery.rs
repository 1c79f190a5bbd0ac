//! `cortado lottery` as a person or a script uses it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/lottery.json")
}

fn lottery(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cortado"))
        .arg("lottery")
        .args(args)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn good(args: &[&str]) -> String {
    let output = lottery(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{args:?}: {errors}{}",
        text(&output)
    );
    text(&output)
}

#[test]
fn run_answers_in_kind_and_verify_accepts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (question, answer) = (folder.path().join("q.json"), folder.path().join("a.json"));
    let file = vectors();
    let many = good(&["run", file.to_str().unwrap(), "--json"]);
    std::fs::write(&answer, &many).unwrap();
    good(&["verify", file.to_str().unwrap(), answer.to_str().unwrap()]);
    let many: serde_json::Value = serde_json::from_str(&many).unwrap();
    assert_eq!(many.as_array().unwrap().len(), 3);

    std::fs::write(
        &question,
        good(&["gen", "paths", "--namespaces", "20", "--bundles", "30"]),
    )
    .unwrap();
    let one = good(&["run", question.to_str().unwrap(), "--json"]);
    let value: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert!(value.is_object());
    std::fs::write(&answer, &one).unwrap();
    good(&[
        "verify",
        question.to_str().unwrap(),
        answer.to_str().unwrap(),
    ]);
    assert!(good(&["run", question.to_str().unwrap()]).contains("namespaces sold for"));
}

#[test]
fn verify_names_the_first_difference_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("a.json");
    let file = vectors();
    let file = file.to_str().unwrap();
    let honest = good(&["run", file, "--json"]);
    std::fs::write(
        &answer,
        honest.replacen("\"pot\":\"195\"", "\"pot\":\"196\"", 1),
    )
    .unwrap();
    let output = lottery(&["verify", file, answer.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output),
        "not verified: instance \"worked\": slot 0, draw 0, pot: claimed 196, correct is 195\n"
    );
}

#[test]
fn explain_tells_the_worked_example() {
    let file = vectors();
    let story = good(&["explain", file.to_str().unwrap(), "0"]);
    for line in [
        "Draw 0: ball 71 of 200 → {1,2}",
        "Namespace 1 receives 100 + 30 {1} + 60/2 {1,2} + 70/2 {1,2,3} = 195",
        "Namespace 2 receives 50 + 60/2 {1,2} + 70/2 {1,2,3} + 10 {2} + 25 {2,3} = 150",
        "Standby: ticket 1, owner 101.",
        "for 150 + 195 = 345; then owner 102 gets 195 and its 150 back.",
        "Namespace 3 receives 20 + 5 {3} = 25",
        "Pots 195 + 5 = 200",
    ] {
        assert!(story.contains(line), "{line:?} is missing in\n{story}");
    }
    let story = good(&["explain", file.to_str().unwrap(), "1"]);
    assert!(story.contains("24 (of 70 over 3) {1,2,3} = 184"), "{story}");
}

#[test]
fn a_proof_is_made_checked_and_bound_to_its_commitment() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("p.hex");
    let file = vectors();
    let made = good(&["prove", file.to_str().unwrap(), "0", "2"]);
    std::fs::write(&proof, &made).unwrap();
    let path = proof.to_str().unwrap();
    let shown = good(&["check", path]);
    assert!(shown.contains("ticket 2 of owner 102 won {1,2}"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&good(&["check", path, "--json"])).unwrap();
    good(&[
        "check",
        path,
        "--commitment",
        json["commitment"].as_str().unwrap(),
    ]);
    let other = "00".repeat(32);
    assert_eq!(
        lottery(&["check", path, "--commitment", &other])
            .status
            .code(),
        Some(1)
    );
    let last = if made.trim_end().ends_with('0') {
        "1"
    } else {
        "0"
    };
    std::fs::write(
        &proof,
        format!("{}{last}", &made[..made.trim_end().len() - 1]),
    )
    .unwrap();
    assert_eq!(lottery(&["check", path]).status.code(), Some(1));
}

#[test]
fn odds_are_exact_for_the_worked_example_and_sampled_on_demand() {
    let file = vectors();
    let exact = good(&["odds", file.to_str().unwrap()]);
    assert!(
        exact.contains("35.00 % = 7/20") && exact.contains("31.50 % = 63/200"),
        "{exact}"
    );
    let sampled = good(&[
        "odds",
        file.to_str().unwrap(),
        "--sampled",
        "--samples",
        "100",
        "--json",
    ]);
    let sampled: serde_json::Value = serde_json::from_str(&sampled).unwrap();
    assert!(sampled["pools"][0]["assigned"]["error"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_auction_is_solved_and_certified() {
    let file = vectors();
    let result = good(&["auction", file.to_str().unwrap(), "--exact", "--json"]);
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    // {1} and {2,3} filtered or beaten: the bid of 70 on {1,2,3} is the best packing.
    assert_eq!(result["value"], "70");
    assert_eq!(result["bound"], "70");
}

#[test]
fn a_bad_file_is_refused_with_line_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.json");
    let good_file = good(&["gen", "l2-like", "--namespaces", "5", "--bundles", "6"]);
    let bad_file = good_file.replacen("\n[1]", "\n[1, 1]", 1);
    let line = bad_file
        .lines()
        .position(|line| line.starts_with("[1, 1]"))
        .unwrap()
        + 1;
    std::fs::write(&file, bad_file).unwrap();
    let output = lottery(&["run", file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains(&format!("line {line},")) && errors.contains("member 1 follows 1"),
        "{errors}"
    );
    let missing = lottery(&["run", "no/such/file"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn simulation_compares_and_draws_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("plot.svg");
    let quick = [
        "--namespaces",
        "10",
        "--bidders",
        "8",
        "--instances",
        "1",
        "--samples",
        "50",
    ];
    let mut args = vec![
        "simulate",
        "matching",
        "--plot",
        picture.to_str().unwrap(),
        "--json",
    ];
    args.extend(quick);
    let rows: serde_json::Value = serde_json::from_str(&good(&args)).unwrap();
    let welfare = rows[0]["lottery"]["welfare"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&welfare), "{rows}");
    assert!(
        std::fs::read_to_string(picture)
            .unwrap()
            .starts_with("<svg")
    );
}

/// The limits of docs/lottery.md are commands with a file each; they must go on running.
#[test]
fn the_documented_limits_can_be_run() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/assets/lottery");
    let mut run = 0;
    for file in std::fs::read_dir(assets).unwrap() {
        good(&["odds", file.unwrap().path().to_str().unwrap()]);
        run += 1;
    }
    assert!(run >= 4);
}
