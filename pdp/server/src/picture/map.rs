//! The map: where the event is, where the subject was last verified and the session last passed, and the shortest ways between.
//!
//! An equirectangular projection: of the whole world, or of the part that holds all of it, true to scale at its middle.

use countersign_sdk_types::{Coordinates, Kilometers};

use super::land::LAND;
use super::svg::{Anchor, Frame, Point, Svg};
use super::{LINE, MARGIN, TOP, multiples};
use crate::breakdown::{Breakdown, Journey, Leg, Spot};

const FRAME: Frame = Frame { x: MARGIN, y: TOP, width: 640.0, height: 320.0 };
/// Kilometres of a degree on a sphere of 6,371 km.
const DEGREE: f64 = 111.195;
/// Degrees from west to east that a map shows at least.
const CLOSEST: f64 = 12.0;
/// From here on the whole world is shown, and below it no outline: it is too coarse.
const WORLD: f64 = 150.0;
const STEPS: u8 = 64;

/// A point in degrees whose longitude is not wrapped: a way across the antimeridian goes on beyond 180.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    lon: f64,
    lat: f64,
}

/// The part of the world that is shown.
struct View {
    frame: Frame,
    west: f64,
    north: f64,
    /// Degrees from west to east.
    span: f64,
    /// Points of the picture in a degree of longitude, and of latitude.
    scale: Point,
}

/// What is drawn of one leg, from the event on.
struct Way {
    places: Vec<Place>,
    spot: Spot,
    is_verified: bool,
}

pub(super) fn draw(svg: &mut Svg, breakdown: &Breakdown) {
    let journey = &breakdown.journey;
    let ways = ways(journey);
    let view = View::of(journey, &ways);
    svg.clipped("map", FRAME, |svg| {
        if view.is_world() {
            view.land(svg);
        }
        view.graticule(svg);
        View::repeat(|turn| contents(svg, &view, journey.here, &ways, turn));
    });
    if !view.is_world() {
        inset(svg, &view);
    }
    svg.rectangle("frame", FRAME);
    if journey.here.is_none() {
        let (middle, below) = (FRAME.x + FRAME.width / 2.0, FRAME.y + FRAME.height - 10.0);
        svg.text("dim", Anchor::Middle, Point(middle, below), "no point is known of this event");
    }
    legend(svg, breakdown);
}

/// The ways from the event to where the subject and the session were before.
fn ways(journey: &Journey) -> Vec<Way> {
    let way = |leg: &Leg, is_verified: bool| {
        let start = place(journey.here.unwrap_or(leg.from).point);
        Way { places: great_circle(start, place(leg.from.point)), spot: leg.from, is_verified }
    };
    let verified = journey.verified.as_ref().map(|leg| way(leg, true));
    let passed = journey.passed.as_ref().map(|leg| way(leg, false));
    passed.into_iter().chain(verified).collect()
}

fn contents(svg: &mut Svg, view: &View, here: Option<Spot>, ways: &[Way], turn: f64) {
    let moved = |place: Place| view.project(Place { lon: place.lon + turn, ..place });
    let end = |way: &Way| way.places.last().copied();
    if let Some(spot) = here {
        svg.ellipse("around-here", moved(place(spot.point)), view.radii(spot));
    }
    for way in ways {
        end(way).into_iter().for_each(|end| svg.ellipse("around-from", moved(end), view.radii(way.spot)));
        if here.is_some() {
            svg.polyline(if way.is_verified { "arc" } else { "dashed" }, way.places.iter().map(|place| moved(*place)));
        }
    }
    for way in ways {
        let class = if way.is_verified { "from" } else { "passed" };
        // The hollow dot is the larger one, so that both show where they are the same.
        let radius = if way.is_verified { 4.5 } else { 7.0 };
        end(way).into_iter().for_each(|end| svg.ellipse(class, moved(end), Point(radius, radius)));
    }
    if let Some(spot) = here {
        let Point(x, y) = moved(place(spot.point));
        svg.polygon("here", [Point(x, y), Point(x - 6.0, y - 14.0), Point(x + 6.0, y - 14.0)]);
    }
}

/// Where on the globe a part of it is.
fn inset(svg: &mut Svg, view: &View) {
    let frame = Frame { x: FRAME.x + FRAME.width - 120.0, y: FRAME.y, width: 120.0, height: 60.0 };
    let globe = View::world(frame, 0.0);
    svg.rectangle("inset", frame);
    svg.clipped("inset", frame, |svg| {
        globe.land(svg);
        View::repeat(|turn| {
            let Point(x, y) = globe.project(Place { lon: view.west + turn, lat: view.north });
            let (width, height) = (view.span * globe.scale.0, FRAME.height / view.scale.1 * globe.scale.1);
            svg.rectangle("window", Frame { x, y, width, height });
        });
    });
}

fn legend(svg: &mut Svg, breakdown: &Breakdown) {
    for (line, text) in (1_u8..).zip(breakdown.legs()) {
        let y = FRAME.y + FRAME.height + 6.0 + LINE * f64::from(line);
        let (x, mark) = (FRAME.x + 7.0, y - 4.5);
        match line {
            1 => svg.polygon("here", [Point(x, mark + 6.0), Point(x - 5.0, mark - 6.0), Point(x + 5.0, mark - 6.0)]),
            2 => svg.ellipse("from", Point(x, mark), Point(4.5, 4.5)),
            _ => svg.ellipse("passed", Point(x, mark), Point(4.5, 4.5)),
        }
        svg.text("", Anchor::Start, Point(x + 14.0, y), &text);
    }
}

fn place(Coordinates { lat, lon }: Coordinates) -> Place {
    Place { lon, lat }
}

/// The shortest way on a sphere (K. Shoemake's slerp, 1985). Between opposite points, where every way is the shortest, it is straight on the map.
fn great_circle(from: Place, to: Place) -> Vec<Place> {
    let (a, b) = (from.vector(), to.vector());
    let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let mut places: Vec<Place> = Vec::with_capacity(usize::from(STEPS) + 1);
    for step in 0..=STEPS {
        let share = f64::from(step) / f64::from(STEPS);
        let next = if angle.sin() < 1e-4 {
            Place { lon: from.lon + (to.lon - from.lon) * share, lat: from.lat + (to.lat - from.lat) * share }
        } else {
            let (near, far) = (((1.0 - share) * angle).sin(), (share * angle).sin());
            Place::of(std::array::from_fn(|i| at(&a, i) * near + at(&b, i) * far))
        };
        // No turn of more than half the globe between two steps.
        let before = places.last().map_or(from.lon, |place| place.lon);
        places.push(Place { lon: before + (next.lon - before + 540.0).rem_euclid(360.0) - 180.0, ..next });
    }
    places
}

fn at(vector: &[f64; 3], i: usize) -> f64 {
    vector.get(i).copied().unwrap_or(0.0)
}

impl Place {
    fn vector(self) -> [f64; 3] {
        let (lat, lon) = (self.lat.to_radians(), self.lon.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    }

    fn of([x, y, z]: [f64; 3]) -> Self {
        Self { lon: y.atan2(x).to_degrees(), lat: z.atan2(x.hypot(y)).to_degrees() }
    }
}

/// Degrees of longitude and latitude that a radius covers.
fn degrees(spot: Spot) -> Point {
    let lat = spot.radius.map_or(0.0, |Kilometers(radius)| radius) / DEGREE;
    Point(lat / spot.point.lat.to_radians().cos().max(0.1), lat)
}

impl View {
    fn of(journey: &Journey, ways: &[Way]) -> Self {
        let ends = ways.iter().filter_map(|way| way.places.last().map(|end| (*end, degrees(way.spot))));
        let here = journey.here.map(|here| (place(here.point), degrees(here)));
        let between = ways.iter().flat_map(|way| way.places.iter().map(|place| (*place, Point(0.0, 0.0))));
        let seen: Vec<(Place, Point)> = here.into_iter().chain(ends).chain(between).collect();
        let edges = |side: f64| {
            let lon = seen.iter().map(|(place, size)| side * place.lon + size.0).fold(f64::NEG_INFINITY, f64::max);
            let lat = seen.iter().map(|(place, size)| side * place.lat + size.1).fold(f64::NEG_INFINITY, f64::max);
            (side * lon, side * lat)
        };
        let ((west, south), (east, north)) = (edges(-1.0), edges(1.0));
        let (middle, parallel) = (f64::midpoint(west, east), f64::midpoint(south, north));
        let ratio = parallel.to_radians().cos().max(0.3);
        let span = (1.4 * (east - west)).max(1.6 * (north - south) * FRAME.width / FRAME.height / ratio).max(CLOSEST);
        if seen.is_empty() || span >= WORLD || parallel.abs() > 70.0 {
            // The usual map, unless a way would leave it.
            let is_usual = seen.is_empty() || (west >= -180.0 && east <= 180.0);
            return Self::world(FRAME, if is_usual { 0.0 } else { middle });
        }
        let lon = FRAME.width / span;
        let scale = Point(lon, lon / ratio);
        let height = FRAME.height / scale.1;
        Self { frame: FRAME, west: middle - span / 2.0, north: (parallel + height / 2.0).min(90.0), span, scale }
    }

    fn world(frame: Frame, middle: f64) -> Self {
        Self { frame, west: middle - 180.0, north: 90.0, span: 360.0, scale: Point(frame.width / 360.0, frame.height / 180.0) }
    }

    fn is_world(&self) -> bool {
        self.span >= 360.0
    }

    /// Where a place is, in the picture.
    fn project(&self, Place { lon, lat }: Place) -> Point {
        Point(self.frame.x + (lon - self.west) * self.scale.0, self.frame.y + (self.north - lat) * self.scale.1)
    }

    fn radii(&self, spot: Spot) -> Point {
        let Point(lon, lat) = degrees(spot);
        Point(lon * self.scale.0, lat * self.scale.1)
    }

    /// Draws the same one turn to the west and to the east too, so that what leaves on one side comes in on the other.
    fn repeat(draw: impl FnMut(f64)) {
        [0.0, -360.0, 360.0].into_iter().for_each(draw);
    }

    fn land(&self, svg: &mut Svg) {
        Self::repeat(|turn| {
            for outline in LAND {
                let corners = outline.iter().map(|(lon, lat)| Place { lon: f64::from(*lon) + turn, lat: f64::from(*lat) });
                svg.polygon("land", corners.map(|corner| self.project(corner)));
            }
        });
    }

    fn graticule(&self, svg: &mut Svg) {
        let step = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0].into_iter().find(|step| self.span / step <= 12.0).unwrap_or(30.0);
        let (right, bottom) = (FRAME.x + FRAME.width, FRAME.y + FRAME.height);
        for lon in multiples(step, self.west, self.west + self.span) {
            let Point(x, _) = self.project(Place { lon, lat: 0.0 });
            svg.line("line", Point(x, FRAME.y), Point(x, bottom));
            if x > FRAME.x + 40.0 && x < right - 20.0 {
                svg.text("small", Anchor::Middle, Point(x, bottom - 4.0), &named((lon + 540.0).rem_euclid(360.0) - 180.0, "E", "W"));
            }
        }
        for lat in multiples(step, self.north - FRAME.height / self.scale.1, self.north) {
            let Point(_, y) = self.project(Place { lon: 0.0, lat });
            svg.line("line", Point(FRAME.x, y), Point(right, y));
            if y > FRAME.y + 16.0 && y < bottom - 16.0 {
                svg.text("small", Anchor::Start, Point(FRAME.x + 4.0, y - 3.0), &named(lat, "N", "S"));
            }
        }
    }
}

fn named(degrees: f64, above: &str, below: &str) -> String {
    let side = match degrees {
        zero if zero == 0.0 || zero.abs() == 180.0 => "",
        low if low < 0.0 => below,
        _ => above,
    };
    format!("{}° {side}", degrees.abs()).trim_end().to_owned()
}
