//! `prove` and `check`: one winner in about 400 bytes.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use cortado_lottery::opening::OpeningError;
use cortado_lottery::{Index, Lottery, Member, Opening};
use serde_json::json;

use super::{Place, input, table};

pub(super) fn prove(place: &Place, namespace: u32, json: bool) -> anyhow::Result<ExitCode> {
    let instance = input::instance(&place.file, place.name.as_deref())?;
    let namespaces = instance.batch.reserves().len();
    ensure!(
        (namespace as usize) < namespaces,
        "namespace {namespace} is unknown, {:?} has {namespaces}",
        instance.name
    );
    let index = Index::new(&instance.batch);
    let assignment = Lottery::new(&index).draw(instance.beacon, place.slot);
    let opening = Opening::prove(&index, instance.beacon, &assignment, Member::new(namespace));
    let Some(opening) = opening else {
        bail!(
            "namespace {namespace} is not assigned in slot {}: it stays with its reserve holder",
            place.slot
        );
    };
    let proof = hex::encode(opening.encode());
    if json {
        say!("{}", fields(&opening, &proof));
    } else {
        say!("{proof}");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(path: &Path, commitment: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let text = input::bytes(path)?;
    let decoded = std::str::from_utf8(&text)
        .context("not a line of hex")
        .and_then(|text| hex::decode(text.trim()).context("not a line of hex"))
        .and_then(|bytes| Ok((bytes.len(), Opening::decode(&bytes)?)));
    let (bytes, opening) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return refuse(&format!("{error:#}"), json),
    };
    let checked = opening.check().and_then(|()| match commitment {
        Some(wanted) if !wanted.eq_ignore_ascii_case(&hex::encode(opening.commitment)) => {
            Err(OpeningError::Commitment {
                correct: wanted.to_owned(),
            })
        }
        _ => Ok(()),
    });
    if let Err(error) = checked {
        return refuse(&error.to_string(), json);
    }
    if json {
        let mut fields = fields(&opening, &hex::encode(opening.encode()));
        fields["valid"] = true.into();
        say!("{fields}");
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "valid: in draw {} of slot {} ticket {} of owner {} won {}",
        opening.k,
        opening.slot,
        opening.ticket,
        opening.owner,
        table::bundle(&opening.members)
    );
    say!(
        "stake {} gwei, pot {} gwei of {} live, {bytes} bytes",
        opening.stake,
        opening.pot,
        opening.live
    );
    say!("commitment {}", hex::encode(opening.commitment));
    if commitment.is_none() {
        say!(
            "The proof is as good as its commitment: compare it with the chain's, or give it with \
             --commitment."
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(reason: &str, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say!("{}", json!({"valid": false, "reason": reason}));
    } else {
        say!("not valid: {reason}");
    }
    Ok(ExitCode::FAILURE)
}

fn fields(opening: &Opening, proof: &str) -> serde_json::Value {
    json!({
        "proof": proof,
        "slot": opening.slot,
        "k": opening.k,
        "bundle": table::ids(&opening.members),
        "ticket": opening.ticket.get(),
        "owner": opening.owner.get(),
        "stake": opening.stake.get(),
        "live": opening.live.to_string(),
        "before": opening.before.to_string(),
        "pot": opening.pot.to_string(),
        "commitment": hex::encode(opening.commitment),
    })
}
