//! Tables and short notations for people.

use comfy_table::{CellAlignment, Table, presets};
use cortado_lottery::Member;

/// A table with a header, numbers to the right.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Members shown before the rest is counted.
const MEMBERS_SHOWN: usize = 12;

/// `{1,2,3}`.
pub(super) fn bundle(members: &[Member]) -> String {
    let mut text: Vec<String> = members
        .iter()
        .take(MEMBERS_SHOWN)
        .map(ToString::to_string)
        .collect();
    if members.len() > MEMBERS_SHOWN {
        text.push(format!("… {} in all", members.len()));
    }
    format!("{{{}}}", text.join(","))
}

/// `12.34 %`.
pub(super) fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

/// The ids alone, for JSON.
pub(super) fn ids(members: &[Member]) -> Vec<u32> {
    members.iter().map(|member| member.get()).collect()
}
