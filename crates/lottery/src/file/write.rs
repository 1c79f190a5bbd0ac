//! Writing instances.

use core::fmt::Write;

use super::{Instance, OneOrMany};

/// The text of an instance file; [`parse`](super::parse) reads it back.
pub fn write(file: &OneOrMany<Instance>) -> String {
    let mut out = String::new();
    match file {
        OneOrMany::One(instance) => instance_text(&mut out, instance),
        OneOrMany::Many(instances) => {
            out.push_str("[\n");
            for (at, instance) in instances.iter().enumerate() {
                if at > 0 {
                    out.push_str(",\n");
                }
                instance_text(&mut out, instance);
            }
            out.push_str("\n]");
        }
    }
    out.push('\n');
    out
}

/// One line per field, and per bundle and ticket, so that an error's line says which.
fn instance_text(out: &mut String, instance: &Instance) {
    let batch = &instance.batch;
    let name = serde_json::Value::from(instance.name.as_str());
    let reserves: Vec<u64> = batch.reserves().iter().map(|price| price.get()).collect();
    let bundles = batch.bundles().iter().map(|members| {
        format!(
            "{:?}",
            members
                .iter()
                .map(|member| member.get())
                .collect::<Vec<_>>()
        )
    });
    let tickets = batch.tickets().iter().map(|ticket| {
        format!(
            "[{}, {}, {}, {}]",
            ticket.id, ticket.owner, ticket.bundle, ticket.stake
        )
    });
    let slots = instance
        .slots
        .iter()
        .map(|slot| format!("{{\"slot\": {slot}}}"));
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{{\n\"name\": {name},\n\"n\": {},\n\"beacon\": \"{}\",\n\"reserve\": {reserves:?},\n",
        reserves.len(),
        instance.beacon,
    );
    lines(out, "bundles", bundles);
    out.push_str(",\n");
    lines(out, "tickets", tickets);
    out.push_str(",\n");
    lines(out, "slots", slots);
    out.push_str("\n}");
}

fn lines(out: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let _ = write!(out, "\"{name}\": [");
    for (at, item) in items.enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&item);
    }
    out.push(']');
}
