//! A chart of shares: what part of all is stopped, by the threshold. For a page, whose colors it takes.

use super::svg::{Anchor, Frame, Point, Svg};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const PLOT: Frame = Frame { x: 56.0, y: 16.0, width: 828.0, height: 244.0 };
/// Shares at which a line is drawn. The scale is that of the square root: what is rare is what matters.
const LINES: [f64; 8] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5];
/// Lines as near to each other as this are one.
const APART: f64 = 14.0;
const STYLE: &str = ".paper{fill:none}.chart-grid{stroke:var(--line)}.chart-axis{stroke:var(--soft)}.chart-text{fill:var(--soft);font:12px system-ui,sans-serif}\
.chart-old,.chart-new{fill:none;stroke-width:2}.chart-old{stroke:var(--soft)}.chart-new{stroke:var(--step)}\
.chart-mark{stroke:var(--deny);stroke-dasharray:4 3}";

/// One curve: the share for each threshold from 1 on.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// It is the one that is looked at, and no comparison.
    pub is_main: bool,
    /// From 0 to 1.
    pub shares: Vec<f64>,
}

/// Draws curves, with thresholds to be marked and a share that must not be exceeded.
#[must_use]
pub fn draw(title: &str, lines: &[Line], marks: &[u8], budget: Option<f64>) -> String {
    let highest = lines.iter().flat_map(|line| &line.shares).copied().filter(|share| share.is_finite()).fold(0.01, f64::max);
    let scale = Scale { highest: highest.min(1.0) };
    let mut svg = Svg::default();
    scale.grid(&mut svg);
    for mark in marks {
        let x = Scale::across(f64::from(*mark));
        svg.line("chart-mark", Point(x, PLOT.y), Point(x, PLOT.y + PLOT.height));
        svg.text("chart-text", Anchor::Start, Point(x + 4.0, PLOT.y + 10.0), &mark.to_string());
    }
    if let Some(share) = budget.filter(|share| *share <= scale.highest) {
        let y = scale.up(share);
        svg.line("chart-mark", Point(PLOT.x, y), Point(PLOT.x + PLOT.width, y));
    }
    for (row, line) in (0_u8..).zip(lines) {
        let class = if line.is_main { "chart-new" } else { "chart-old" };
        svg.polyline(
            class,
            (1_u8..).zip(&line.shares).map(|(threshold, share)| Point(Scale::across(f64::from(threshold)), scale.up(*share))),
        );
        let y = PLOT.y + 30.0 + 18.0 * f64::from(row);
        let right = PLOT.x + PLOT.width;
        svg.text("chart-text", Anchor::End, Point(right - 40.0, y + 4.0), &line.name);
        svg.line(class, Point(right - 32.0, y), Point(right - 4.0, y));
    }
    svg.finish(WIDTH, HEIGHT, STYLE, title)
}

/// Shares and thresholds along the chart.
struct Scale {
    highest: f64,
}

impl Scale {
    fn across(threshold: f64) -> f64 {
        PLOT.x + PLOT.width * threshold / 100.0
    }

    fn up(&self, share: f64) -> f64 {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, self.highest) };
        PLOT.y + PLOT.height * (1.0 - (share / self.highest).sqrt())
    }

    fn grid(&self, svg: &mut Svg) {
        let bottom = PLOT.y + PLOT.height;
        let mut last = bottom;
        for share in LINES.into_iter().filter(|share| *share <= self.highest) {
            let y = self.up(share);
            if last - y >= APART {
                last = y;
                svg.line("chart-grid", Point(PLOT.x, y), Point(PLOT.x + PLOT.width, y));
                svg.text("chart-text", Anchor::End, Point(PLOT.x - 8.0, y + 4.0), &format!("{} %", share * 100.0));
            }
        }
        svg.line("chart-axis", Point(PLOT.x, bottom), Point(PLOT.x + PLOT.width, bottom));
        for threshold in super::multiples(10.0, 0.0, 100.0) {
            svg.text("chart-text", Anchor::Middle, Point(Self::across(threshold), bottom + 18.0), &threshold.to_string());
        }
        svg.text("chart-text", Anchor::Middle, Point(PLOT.x + PLOT.width / 2.0, bottom + 36.0), "threshold");
    }
}
