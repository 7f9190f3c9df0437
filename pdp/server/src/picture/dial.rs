//! The subject's clock: a day of 24 hours in the home zone, midnight on top, with how usual each half hour is and the event as its hand.

use super::svg::{Anchor, Point, Svg};
use super::{MARGIN, TOP, WIDTH};
use crate::breakdown::{Breakdown, half_hour};

const CENTER: Point = Point(WIDTH - MARGIN - 184.0, TOP + 158.0);
const INNER: f64 = 34.0;
const OUTER: f64 = 124.0;

pub(super) fn draw(svg: &mut Svg, breakdown: &Breakdown) {
    for hour in 0..24_u8 {
        let turn = f64::from(hour) / 24.0;
        svg.line("line", around(turn, INNER), around(turn, OUTER));
        if hour % 3 == 0 {
            let Point(x, y) = around(turn, OUTER + 16.0);
            svg.text("small", Anchor::Middle, Point(x, y + 4.0), &format!("{hour:02}"));
        }
    }
    svg.ellipse("axis", CENTER, Point(INNER, INNER));
    svg.ellipse("line", CENTER, Point(OUTER, OUTER));
    let below = TOP + 320.0 + 24.0;
    let Some(hours) = &breakdown.hours else {
        svg.text("dim", Anchor::Middle, Point(CENTER.0, below), "too little is known of the subject's hours");
        return;
    };
    let most = hours.half_hours.iter().copied().fold(1.0 / 48.0, f64::max);
    let radius = |chance: f64| INNER + (OUTER - INNER) * (chance / most).clamp(0.0, 1.0);
    let steps = (0_u8..).zip(hours.half_hours).flat_map(|(i, chance)| [(i, chance), (i + 1, chance)]);
    let outline: Vec<Point> = steps.map(|(edge, chance)| around(f64::from(edge) / 48.0, radius(chance))).collect();
    svg.polygon("day", outline);
    svg.ellipse("even", CENTER, Point(radius(1.0 / 48.0), radius(1.0 / 48.0)));
    let now = (f64::from(u8::try_from(hours.now).unwrap_or(0)) + 0.5) / 48.0;
    svg.line("hand", CENTER, around(now, OUTER));
    svg.ellipse("here", CENTER, Point(4.0, 4.0));
    svg.ellipse("here", around(now, OUTER), Point(5.0, 5.0));
    svg.text("", Anchor::Middle, Point(CENTER.0, below), &format!("{} in {}", half_hour(hours.now), hours.zone));
    svg.text("small", Anchor::Middle, Point(CENTER.0, below + 17.0), "when the subject is expected; dashed: any hour alike");
}

/// A point around the middle, so many turns after midnight.
fn around(turn: f64, radius: f64) -> Point {
    let angle = turn * std::f64::consts::TAU;
    Point(CENTER.0 + radius * angle.sin(), CENTER.1 - radius * angle.cos())
}
