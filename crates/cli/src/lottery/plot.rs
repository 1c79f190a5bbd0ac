//! The comparison as a picture: three panels, one pair of bars per family.

use std::fmt::Write;

use super::simulate::Row;

const PANEL_WIDTH: usize = 300;
const PANEL_GAP: usize = 30;
const LEFT: usize = 110;
const TOP: usize = 64;
const ROW_HEIGHT: usize = 34;
const BAR_HEIGHT: usize = 11;
const LOTTERY: &str = "#a4561e";
const AUCTION: &str = "#9aa5b1";

/// An SVG drawing that needs nothing but a viewer.
pub(super) fn svg(rows: &[Row], namespaces: usize, bidders: usize) -> String {
    type Figure = fn(&Row) -> f64;
    let panels: [(&str, Figure, Figure); 3] = [
        ("welfare", |row| row.mean.lottery_welfare, |_| 1.0),
        (
            "revenue",
            |row| row.mean.lottery_revenue,
            |row| row.mean.auction_revenue,
        ),
        ("same holder again", |row| row.mean.lottery_repeat, |_| 1.0),
    ];
    let width = LEFT + panels.len() * (PANEL_WIDTH + PANEL_GAP);
    let height = TOP + rows.len() * ROW_HEIGHT + 34;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>"
    );
    text(
        &mut out,
        10,
        20,
        "start",
        &format!(
            "{namespaces} namespaces, {bidders} single-minded bidders in equilibrium; parts of the \
         best possible welfare"
        ),
    );
    for (at, (name, colour)) in [("lottery", LOTTERY), ("auction", AUCTION)]
        .iter()
        .enumerate()
    {
        let x = width - 220 + at * 100;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"10\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        );
        text(&mut out, x + 18, 21, "start", name);
    }
    for (row_at, row) in rows.iter().enumerate() {
        text(
            &mut out,
            LEFT - 10,
            TOP + row_at * ROW_HEIGHT + 18,
            "end",
            row.family,
        );
    }
    for (panel, (title, lottery, auction)) in panels.iter().enumerate() {
        let x = LEFT + panel * (PANEL_WIDTH + PANEL_GAP);
        text(&mut out, x, TOP - 14, "start", title);
        for tick in 0..=4 {
            let tick_x = x + PANEL_WIDTH * tick / 4;
            let bottom = TOP + rows.len() * ROW_HEIGHT;
            let _ = writeln!(
                out,
                "<line x1=\"{tick_x}\" y1=\"{TOP}\" x2=\"{tick_x}\" y2=\"{bottom}\" \
                 stroke=\"#dddddd\"/>"
            );
            text(
                &mut out,
                tick_x,
                bottom + 18,
                "middle",
                &format!("{}", tick as f64 / 4.0),
            );
        }
        for (row_at, row) in rows.iter().enumerate() {
            let y = TOP + row_at * ROW_HEIGHT + 4;
            bar(&mut out, x, y, lottery(row), LOTTERY);
            bar(&mut out, x, y + BAR_HEIGHT + 1, auction(row), AUCTION);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, x: usize, y: usize, part: f64, colour: &str) {
    let width = PANEL_WIDTH as f64 * part.clamp(0.0, 1.0);
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" \
         fill=\"{colour}\"><title>{part:.3}</title></rect>"
    );
}

fn text(out: &mut String, x: usize, y: usize, anchor: &str, content: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{content}</text>"
    );
}
