//! `verify`: check an answer with the independent verifier.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use cortado_lottery::file::{self, Answer, Instance, OneOrMany};
use serde_json::json;

use super::input;

pub(super) fn run(path: &Path, transcript: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let instances = input::instances(path)?;
    // An unreadable answer is a false answer: the reason says where.
    let bytes = input::bytes(transcript)?;
    let shown = transcript.display();
    let answers = file::parse_answers(&bytes).with_context(|| format!("{shown} is no answer"))?;
    let difference = compare(&instances, &answers).err();
    match (&difference, json) {
        (None, true) => say!("{}", json!({"verified": true})),
        (Some(text), true) => say!("{}", json!({"verified": false, "difference": text})),
        (None, false) => {
            let slots: usize = instances.as_slice().iter().map(|one| one.slots.len()).sum();
            say!(
                "verified: {} instances, {slots} slots",
                instances.as_slice().len()
            );
        }
        (Some(text), false) => say!("not verified: {text}"),
    }
    Ok(if difference.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The first difference, in words.
fn compare(instances: &OneOrMany<Instance>, answers: &OneOrMany<Answer>) -> Result<(), String> {
    let kind = |is_many| if is_many { "an array" } else { "one object" };
    if instances.is_many() != answers.is_many() {
        return Err(format!(
            "the answer is {}, the question {}",
            kind(answers.is_many()),
            kind(instances.is_many())
        ));
    }
    let (claimed, correct) = (answers.as_slice().len(), instances.as_slice().len());
    if claimed != correct {
        return Err(format!(
            "{claimed} instances are answered, {correct} are asked for"
        ));
    }
    for (instance, answer) in instances.as_slice().iter().zip(answers.as_slice()) {
        let bar = input::progress(instance.slots.len() as u64, "verifying");
        let checked = answer.verify(instance, |_| bar.inc(1));
        bar.finish_and_clear();
        checked.map_err(|difference| difference.to_string())?;
    }
    Ok(())
}
