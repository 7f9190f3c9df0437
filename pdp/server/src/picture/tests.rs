//! Pictures are well-formed, hold everything, and no text from elsewhere is markup in them.

use countersign_risk::Hours;
use countersign_sdk_types::{Coordinates, RiskScore, Signal};

use super::*;
use crate::breakdown::Contribution;
use crate::breakdown::tests::{at, paris, stolen};

/// One element: its name, its attributes, and the text that follows it directly.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Element {
    fn is(&self, name: &str, class: &str) -> bool {
        self.name == name && self.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> f64 {
        self.attribute(name).unwrap().parse().unwrap()
    }
}

/// Reads the part of XML that a picture uses, and refuses everything else.
#[track_caller]
fn elements(xml: &str) -> Vec<Element> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for piece in xml.strip_prefix('<').expect("an element").split('<') {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("a tag has no end: {piece}"));
        assert!(!text.contains('>'), "markup in a text: {piece}");
        for entity in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
            assert!(["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| entity.starts_with(known)), "not escaped: {piece}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "elements nest");
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let parts: Vec<&str> = rest.split('"').collect();
        assert_eq!(parts.len() % 2, 1, "quotes come in pairs: {tag}");
        let attributes = parts.chunks_exact(2).map(|pair| (pair[0].trim().trim_end_matches('=').to_owned(), pair[1].to_owned()));
        all.push(Element { name: name.to_owned(), attributes: attributes.collect(), text: text.trim().to_owned() });
        if !is_empty {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "still open: {open:?}");
    all
}

/// Draws, and holds what every picture must.
#[track_caller]
fn drawn(breakdown: &Breakdown) -> Vec<Element> {
    let xml = draw(breakdown);
    for forbidden in ["NaN", "inf", "<script", "<image", "href", "@import", "@font-face"] {
        assert!(!xml.contains(forbidden), "{forbidden}");
    }
    let all = elements(&xml);
    let numbers = ["x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "rx", "ry", "width", "height"];
    let known = ["svg", "title", "style", "rect", "line", "ellipse", "polygon", "polyline", "text", "g", "clipPath"];
    for element in &all {
        assert!(known.contains(&element.name.as_str()), "{element:?}");
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on"), "{element:?}");
            assert!(!numbers.contains(&name.as_str()) || value.parse::<f64>().is_ok_and(f64::is_finite), "{element:?}");
        }
        corners(element).iter().for_each(|(x, y)| assert!(x.is_finite() && y.is_finite(), "{element:?}"));
    }
    all
}

fn corners(element: &Element) -> Vec<(f64, f64)> {
    let pair = |pair: &str| pair.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()));
    element.attribute("points").map(|points| points.split(' ').filter_map(pair).collect()).unwrap_or_default()
}

fn singapore() -> Breakdown {
    stolen(&paris(), &at(1.3, 103.8, 64_500)).0
}

fn texts(all: &[Element]) -> Vec<&str> {
    all.iter().filter(|element| element.name == "text").map(|element| element.text.as_str()).collect()
}

#[test]
fn every_signal_has_a_bar_on_its_side() {
    let breakdown = singapore();
    let all = drawn(&breakdown);
    for one in &breakdown.contributions {
        assert!(texts(&all).contains(&one.signal.name()), "{one:?}");
    }
    let bars = |class: &str| all.iter().filter(|element| element.is("rect", class)).count();
    let against = breakdown.contributions.iter().filter(|one| one.nats > 0.0).count();
    assert_eq!((bars("against"), bars("for")), (against + 1, breakdown.contributions.len() - against), "and one for the sum");
    assert!(against > 2 && bars("for") > 0, "{breakdown:?}");
    // Bars against begin where bars for end.
    let edges = |class: &str, edge: fn(&Element) -> f64| all.iter().filter(|one| one.is("rect", class)).map(edge).collect::<Vec<_>>();
    let begins = edges("against", |bar| bar.number("x"));
    for end in edges("for", |bar| bar.number("x") + bar.number("width")) {
        assert!(begins.iter().all(|begin| (begin - end).abs() < 0.2), "{begins:?} {end}");
    }
}

#[test]
fn hard_rules_and_floors_are_marked() {
    let rule = |floor| Contribution { signal: Signal::Binding, nats: 0.0, floor, points: 100, answered: false, text: "x".to_owned() };
    let marks = |contributions: Vec<Contribution>| {
        let all = drawn(&Breakdown { contributions, ..singapore() });
        let words: Vec<String> = texts(&all).iter().filter(|text| text.ends_with(": x")).map(ToString::to_string).collect();
        (all.iter().filter(|element| element.is("polygon", "mark")).count(), words)
    };
    assert_eq!(marks(vec![rule(RiskScore::MIN)]), (1, vec![]), "the score alone");
    assert_eq!(marks(vec![rule(RiskScore::MAX)]), (2, vec!["hard rule: x".to_owned()]));
    assert_eq!(marks(vec![rule(RiskScore::new(30).unwrap())]), (2, vec!["at least 30: x".to_owned()]));
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "</text><script>alert(1)</script>\u{1b}[2J\u{202e}\u{0}\"'&amp;";
    let mut breakdown = Breakdown { event: hostile.to_owned(), subject: hostile.repeat(1_000), ..singapore() };
    breakdown.contributions[0].text = hostile.to_owned();
    breakdown.hours = breakdown.hours.map(|hours| Hours { zone: hostile.to_owned(), ..hours });
    let xml = draw(&breakdown);
    let escaped = texts(&drawn(&breakdown)).iter().filter(|text| text.contains("&lt;script&gt;alert(1)&lt;/script&gt;")).count();
    assert_eq!(escaped, 4, "event, subject, sentence, zone");
    assert!(xml.chars().all(|symbol| symbol == '\n' || !symbol.is_control()) && !xml.contains('\u{202e}'));
    assert!(xml.len() < 60_000, "{}", xml.len());
}

#[test]
fn numbers_that_are_none_draw_nothing_strange() {
    for nats in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, -0.0] {
        let mut breakdown = singapore();
        breakdown.contributions[0].nats = nats;
        breakdown.sum = nats;
        let mut broken = breakdown.hours.clone().unwrap();
        (broken.half_hours, broken.now) = ([nats; 48], 1_000);
        let xml = draw(&Breakdown { hours: Some(broken), ..breakdown });
        for element in elements(&xml).iter().filter(|element| element.name != "text") {
            assert!(element.attributes.iter().all(|(_, value)| !value.contains("NaN") && !value.contains("inf")), "{element:?}");
        }
    }
}

#[test]
fn a_way_over_the_antimeridian_is_the_short_one() {
    // Tokyo to Los Angeles, and back.
    for (from, to) in [(at(35.7, 139.7, 1), at(34.1, -118.2, 2)), (at(34.1, -118.2, 1), at(35.7, 139.7, 2))] {
        let all = drawn(&stolen(&from, &to).0);
        let arcs: Vec<_> = all.iter().filter(|element| element.is("polyline", "arc")).map(corners).collect();
        assert_eq!(arcs.len(), 3, "once, and a turn to either side");
        let widest = arcs.iter().flat_map(|arc| arc.windows(2).map(|pair| (pair[1].0 - pair[0].0).abs())).fold(0.0, f64::max);
        assert!(widest < 20.0, "no line runs across the map: {widest}");
        let inside = |(x, _): &(f64, f64)| (24.0..=664.0).contains(x);
        assert!(arcs.iter().any(|arc| arc.iter().all(inside)), "one is whole");
    }
}

#[test]
fn every_pair_of_points_can_be_drawn() {
    let places =
        [(0.0, 0.0), (0.0, 180.0), (0.0, -180.0), (90.0, 0.0), (-90.0, 10.0), (48.9, 2.4), (-48.9, -177.6), (49.0, 2.5), (69.9, 20.0)];
    for (a, b) in places.iter().flat_map(|a| places.iter().map(move |b| (a, b))) {
        let breakdown = stolen(&at(a.0, a.1, 1), &at(b.0, b.1, 2)).0;
        assert_eq!(breakdown.journey.here.map(|here| here.point), Some(Coordinates { lat: b.0, lon: b.1 }));
        drawn(&breakdown);
    }
}

#[test]
fn places_that_are_missing_are_said_to_be() {
    let full = singapore();
    let here = full.journey.here;
    for (verified, passed, here) in
        [(None, None, None), (None, None, here), (full.journey.verified, None, None), (full.journey.verified, full.journey.passed, None)]
    {
        let mut breakdown = full.clone();
        (breakdown.journey.verified, breakdown.journey.passed, breakdown.journey.here) = (verified, passed, here);
        let all = drawn(&breakdown);
        let said = |text: &str| texts(&all).iter().any(|told| told.contains(text));
        assert_eq!(said("no point is known of this event"), here.is_none());
        assert_eq!(said("last verified: no point is known"), verified.is_none());
        assert!(!all.iter().any(|element| element.is("polyline", "arc")), "a way needs two ends");
    }
    drawn(&Breakdown { hours: None, ..full.clone() });
    assert!(texts(&drawn(&Breakdown { hours: None, ..full })).contains(&"too little is known of the subject&#39;s hours"));
}

#[test]
fn a_chart_holds_its_curves_and_no_markup_of_others() {
    let line = |name: &str, shares: Vec<f64>| chart::Line { name: name.to_owned(), is_main: true, shares };
    let strange = [f64::NAN, f64::INFINITY, -1.0, 2.0, 0.3];
    let svg = chart::draw("</svg><script>", &[line("<b>a</b>", strange.to_vec()), line("b", vec![0.5; 100])], &[30, 85], Some(0.005));
    let elements = elements(&svg);
    assert_eq!(elements.iter().filter(|element| element.name == "polyline").count(), 2);
    assert_eq!(elements.iter().filter(|element| element.is("line", "chart-mark")).count(), 3, "two thresholds and the budget");
    assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(self::elements(&chart::draw("", &[], &[], None)).iter().all(|element| element.name != "polyline"));
}
