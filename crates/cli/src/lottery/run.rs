//! `run`: draw every slot of a file and answer in kind.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use cortado_lottery::file::{Instance, SlotAnswer};
use cortado_lottery::{Assignment, Index, Lottery, Sum};

use super::{input, table};

pub(super) fn run(path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let file = input::instances(path)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if json && file.is_many() {
        writeln!(out, "[")?;
    }
    for (at, instance) in file.as_slice().iter().enumerate() {
        if json {
            let separator = if at == 0 { "" } else { ",\n" };
            write!(out, "{separator}")?;
            write_json(&mut out, instance)?;
        } else {
            write_text(&mut out, instance)?;
        }
    }
    if json && file.is_many() {
        write!(out, "\n]")?;
    }
    if json {
        writeln!(out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Draws the slots one after the other, so that memory does not grow with their number.
fn draw_each(
    instance: &Instance,
    mut each: impl FnMut(usize, &Index, &Assignment) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let index = Index::new(&instance.batch);
    let mut lottery = Lottery::new(&index);
    let bar = input::progress(instance.slots.len() as u64, "drawing");
    for (at, &slot) in instance.slots.iter().enumerate() {
        each(at, &index, &lottery.draw(instance.beacon, slot))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn write_json(out: &mut impl Write, instance: &Instance) -> anyhow::Result<()> {
    write!(
        out,
        "{{\"name\":{},\"slots\":[",
        serde_json::to_string(&instance.name)?
    )?;
    draw_each(instance, |at, index, assignment| {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, &SlotAnswer::new(index, assignment))?;
        Ok(())
    })?;
    write!(out, "]}}")?;
    Ok(())
}

fn write_text(out: &mut impl Write, instance: &Instance) -> anyhow::Result<()> {
    let batch = &instance.batch;
    writeln!(
        out,
        "{}: {} namespaces, {} bundles, {} tickets",
        instance.name,
        batch.reserves().len(),
        batch.bundles().len(),
        batch.tickets().len()
    )?;
    draw_each(instance, |_, index, assignment| {
        let hash = hex::encode(assignment.transcript_hash());
        writeln!(out, "\nslot {}  seed {}", assignment.slot, assignment.seed)?;
        if assignment.draws.is_empty() {
            writeln!(
                out,
                "no tickets: every namespace stays with its reserve holder"
            )?;
            return Ok(());
        }
        let mut rows = table::table(&[
            "draw", "ball", "of", "bundle", "ticket", "standby", "pot", "price",
        ]);
        for draw in &assignment.draws {
            rows.add_row([
                draw.k.to_string(),
                draw.u.to_string(),
                draw.live.to_string(),
                table::bundle(index.members(draw.pool)),
                draw.ticket.to_string(),
                draw.standby.map_or("-".into(), |ticket| ticket.to_string()),
                draw.pot.to_string(),
                (index.reserve(draw.pool) + draw.pot).to_string(),
            ]);
        }
        writeln!(out, "{rows}")?;
        let revenue: Sum = assignment.revenue.iter().copied().sum();
        let sold = assignment
            .draws
            .iter()
            .map(|draw| index.members(draw.pool).len());
        writeln!(
            out,
            "{} of {} namespaces sold for {revenue} gwei; transcript {hash}",
            sold.sum::<usize>(),
            index.namespaces()
        )?;
        Ok(())
    })?;
    writeln!(out)?;
    Ok(())
}
