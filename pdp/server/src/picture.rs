//! A breakdown as a picture: one SVG with a map, the subject's clock, and bars. It needs no script, no font and no other file, and suits light and dark.

mod bars;
pub mod chart;
mod dial;
mod land;
mod map;
mod svg;

use countersign_pdp_engine::record::rfc3339;

use crate::breakdown::Breakdown;
use svg::{Anchor, Point, Svg};

const WIDTH: f64 = 1_140.0;
const MARGIN: f64 = 24.0;
const TOP: f64 = 96.0;
/// The upper panels end here, with the lines below them.
const MIDDLE: f64 = 512.0;
const LINE: f64 = 18.0;
const LONGEST_HEAD: usize = 90;

/// Blue speaks for the subject and orange against: told apart by most eyes, and by left and right.
const STYLE: &str = "\
:root{--paper:#fff;--ink:#1c2024;--dim:#5f6872;--line:#dde1e5;--land:#e9ecef;--for:#2b6cb0;--against:#c2500a;--low:#d5e8d9;--mid:#f6e6b8;--high:#f3cdc0}\
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e8eaed;--dim:#9aa3ad;--line:#2e343a;--land:#242a30;--for:#6cb0f5;--against:#ff9a57;\
--low:#1f3b2a;--mid:#463c17;--high:#55281b}}\
text{font:13px system-ui,'Segoe UI','DejaVu Sans',sans-serif;fill:var(--ink)}\
.paper{fill:var(--paper)}.dim{fill:var(--dim)}.small{font-size:11px;fill:var(--dim)}.head{font-size:18px;font-weight:600}.name{font-weight:600}\
.score{font-size:34px;font-weight:700}\
.line{stroke:var(--line);fill:none}.axis{stroke:var(--dim);fill:none}.frame{stroke:var(--dim);fill:none}.inset{stroke:var(--dim);fill:var(--paper)}.window{stroke:var(--ink);fill:none}.land{fill:var(--land)}\
.here,.against{fill:var(--against)}.from,.for{fill:var(--for)}.passed{fill:var(--paper);stroke:var(--for);stroke-width:2}\
.arc{stroke:var(--for);stroke-width:2;fill:none}.dashed{stroke:var(--for);stroke-width:1.5;stroke-dasharray:5 4;fill:none}\
.around-here{stroke:var(--against);fill:var(--against);fill-opacity:.15}.around-from{stroke:var(--for);fill:var(--for);fill-opacity:.15}\
.day{fill:var(--for);fill-opacity:.35;stroke:var(--for)}.even{stroke:var(--dim);stroke-dasharray:3 3;fill:none}.hand{stroke:var(--against);stroke-width:3}\
.answered{fill-opacity:.4;stroke:var(--against)}\
.low{fill:var(--low)}.mid{fill:var(--mid)}.high{fill:var(--high)}.mark{fill:var(--ink)}.hollow{fill:var(--paper);stroke:var(--ink);stroke-width:2}";

/// Draws a breakdown.
#[must_use]
pub fn draw(breakdown: &Breakdown) -> String {
    let height = MIDDLE + bars::height(breakdown);
    let mut svg = Svg::default();
    head(&mut svg, breakdown);
    map::draw(&mut svg, breakdown);
    dial::draw(&mut svg, breakdown);
    bars::draw(&mut svg, breakdown, MIDDLE);
    svg.finish(WIDTH, height, STYLE, &format!("{}, score {}", breakdown.event, breakdown.score))
}

fn head(svg: &mut Svg, breakdown: &Breakdown) {
    // The large letters leave room for the score.
    let event: String = breakdown.event.chars().take(LONGEST_HEAD).collect();
    svg.text("head", Anchor::Start, Point(MARGIN, 38.0), &event);
    let who = format!("{}, {}", rfc3339(breakdown.at), breakdown.subject);
    svg.text("dim", Anchor::Start, Point(MARGIN, 60.0), &who);
    svg.text("score", Anchor::End, Point(WIDTH - MARGIN, 44.0), &breakdown.score.to_string());
    svg.text("dim", Anchor::End, Point(WIDTH - MARGIN, 62.0), crate::breakdown::level(breakdown.score));
}

/// The multiples of a step between two numbers: where the lines of a grid are.
fn multiples(step: f64, from: f64, to: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some((from / step).ceil() * step), move |at| Some(at + step)).take_while(move |at| *at <= to)
}

#[cfg(test)]
mod tests;
