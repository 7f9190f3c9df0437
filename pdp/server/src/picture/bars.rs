//! The bars: what each signal said in nats, left for the subject and right against, their sum, and the score on its bands.

use countersign_sdk_types::RiskScore;

use super::svg::{Anchor, Frame, Point, Svg};
use super::{LINE, MARGIN, WIDTH, multiples};
use crate::breakdown::{Breakdown, Contribution};

const ROW: f64 = 26.0;
const BAR: f64 = 14.0;
/// Where bars begin and end.
const LEFT: f64 = 130.0;
const RIGHT: f64 = 500.0;
const POINTS: f64 = 556.0;
const SENTENCE: f64 = 576.0;
/// Room for what is written beside the longest bar.
const BESIDE: f64 = 40.0;
/// No bar is longer, whatever a record says.
const MOST: f64 = 1_000.0;

pub(super) fn height(breakdown: &Breakdown) -> f64 {
    let rows = breakdown.contributions.iter().map(|_| ROW).sum::<f64>();
    40.0 + rows + ROW + 178.0
}

pub(super) fn draw(svg: &mut Svg, breakdown: &Breakdown, top: f64) {
    let all = || breakdown.contributions.iter().map(|one| one.nats).chain([breakdown.sum]).map(drawn);
    let scale = Scale { low: all().fold(-1.0, f64::min), high: all().fold(1.0, f64::max) };
    let first = top + 40.0;
    let last = height(breakdown) + top - 178.0;
    scale.grid(svg, first - 8.0, last);
    svg.text("small", Anchor::End, Point(scale.at(0.0) - 8.0, top + 12.0), "for");
    svg.text("small", Anchor::Start, Point(scale.at(0.0) + 8.0, top + 12.0), "against");
    svg.text("small", Anchor::Start, Point(MARGIN, top + 12.0), "nats");
    svg.text("small", Anchor::End, Point(POINTS, top + 12.0), "points");
    let mut y = first;
    for one in &breakdown.contributions {
        row(svg, &scale, one, y);
        y += ROW;
    }
    let base = y + BAR - 2.0;
    svg.line("axis", Point(MARGIN, y - 6.0), Point(WIDTH - MARGIN, y - 6.0));
    svg.text("name", Anchor::Start, Point(MARGIN, base), "sum");
    scale.bar(svg, if breakdown.sum > 0.0 { "against" } else { "for" }, breakdown.sum, y);
    svg.text("name", Anchor::End, Point(POINTS, base), &breakdown.score.to_string());
    svg.text("small", Anchor::Start, Point(SENTENCE, base), "a passkey answers what the pale bars say");
    bands(svg, breakdown, y + ROW + 34.0);
    let lines = [format!("learned {}", breakdown.familiar()), format!("others of the organisation {}", breakdown.others())];
    for (line, text) in (0_u8..).zip(lines) {
        svg.text("dim", Anchor::Start, Point(MARGIN, y + ROW + 108.0 + LINE * f64::from(line)), &text);
    }
}

fn row(svg: &mut Svg, scale: &Scale, one: &Contribution, y: f64) {
    let base = y + BAR - 2.0;
    svg.text("name", Anchor::Start, Point(MARGIN, base), one.signal.name());
    let class = match (one.nats > 0.0, one.answered) {
        (true, true) => "against answered",
        (true, false) => "against",
        (false, _) => "for",
    };
    scale.bar(svg, class, one.nats, y);
    svg.text("", Anchor::End, Point(POINTS, base), &one.points.to_string());
    let Some(rule) = one.rule() else {
        svg.text("", Anchor::Start, Point(SENTENCE, base), &one.text);
        return;
    };
    let (x, middle) = (scale.at(drawn(one.nats)), y + BAR / 2.0);
    svg.polygon("mark", [Point(x, middle - 7.0), Point(x + 7.0, middle), Point(x, middle + 7.0), Point(x - 7.0, middle)]);
    svg.text("", Anchor::Start, Point(SENTENCE, base), &format!("{rule}: {}", one.text));
}

/// The score on its bands: low below 30, high from 70 on.
fn bands(svg: &mut Svg, breakdown: &Breakdown, y: f64) {
    let at = |score: f64| LEFT + (RIGHT - LEFT) * score / 100.0;
    for (class, from, to) in [("low", 0.0, 30.0), ("mid", 30.0, 70.0), ("high", 70.0, 100.0)] {
        svg.rectangle(class, Frame { x: at(from), y, width: at(to) - at(from), height: BAR });
    }
    for edge in [0_u8, 30, 70, 100] {
        let x = at(f64::from(edge));
        svg.line("axis", Point(x, y), Point(x, y + BAR + 4.0));
        svg.text("small", Anchor::Middle, Point(x, y + BAR + 16.0), &edge.to_string());
    }
    svg.text("name", Anchor::Start, Point(MARGIN, y + BAR - 2.0), "score");
    let place = |score: RiskScore| at(f64::from(score.value()));
    let (after, score) = (place(breakdown.after_passkey), place(breakdown.score));
    svg.ellipse("hollow", Point(after, y + BAR / 2.0), Point(5.0, 5.0));
    svg.polygon("mark", [Point(score, y + 1.0), Point(score - 6.0, y - 10.0), Point(score + 6.0, y - 10.0)]);
    svg.text("", Anchor::Start, Point(SENTENCE, y + BAR - 2.0), &breakdown.outlook());
    svg.text("small", Anchor::Start, Point(SENTENCE, y + BAR + 16.0), "triangle: the score; ring: after a passkey");
}

/// Nats along the picture.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn at(&self, nats: f64) -> f64 {
        let (from, to) = (LEFT + BESIDE, RIGHT - BESIDE);
        from + (to - from) * (nats - self.low) / (self.high - self.low)
    }

    fn bar(&self, svg: &mut Svg, class: &str, nats: f64, y: f64) {
        let (zero, end) = (self.at(0.0), self.at(drawn(nats)));
        svg.rectangle(class, Frame { x: zero.min(end), y, width: (end - zero).abs(), height: BAR });
        let (anchor, x) = if nats < 0.0 { (Anchor::End, end - 5.0) } else { (Anchor::Start, end + 5.0) };
        if nats != 0.0 {
            svg.text("small", anchor, Point(x, y + BAR - 3.0), &format!("{nats:+.2}").replace('-', "−"));
        }
    }

    fn grid(&self, svg: &mut Svg, top: f64, bottom: f64) {
        let span = self.high - self.low;
        let step = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0].into_iter().find(|step| span / step <= 12.0).unwrap_or(500.0);
        for nats in multiples(step, self.low, self.high) {
            let class = if nats == 0.0 { "axis" } else { "line" };
            svg.line(class, Point(self.at(nats), top), Point(self.at(nats), bottom));
        }
    }
}

/// Nats as they can be drawn.
const fn drawn(nats: f64) -> f64 {
    if nats.is_nan() { 0.0 } else { nats.clamp(-MOST, MOST) }
}
