//! The few shapes of SVG that a picture needs. Every text is escaped and cut here, and every number is finite.

/// The longest text; the longest sentence of the engine has about 80 letters.
const LONGEST: usize = 110;

/// A point of the picture: to the right, and down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point(pub(super) f64, pub(super) f64);

/// A part of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Which end of a text is at its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture in the making.
#[derive(Debug, Default)]
pub(super) struct Svg(String);

impl Svg {
    pub(super) fn text(&mut self, class: &str, anchor: Anchor, Point(x, y): Point, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (number(x), number(y), escaped(text));
        self.add(&format!("<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y}\">{text}</text>"));
    }

    pub(super) fn line(&mut self, class: &str, from: Point, to: Point) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        self.add(&format!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"));
    }

    pub(super) fn rectangle(&mut self, class: &str, frame: Frame) {
        self.add(&format!("<rect class=\"{class}\" {}/>", bounds(frame)));
    }

    pub(super) fn ellipse(&mut self, class: &str, center: Point, radii: Point) {
        let [cx, cy, rx, ry] = [center.0, center.1, radii.0, radii.1].map(number);
        self.add(&format!("<ellipse class=\"{class}\" cx=\"{cx}\" cy=\"{cy}\" rx=\"{rx}\" ry=\"{ry}\"/>"));
    }

    pub(super) fn polygon(&mut self, class: &str, points: impl IntoIterator<Item = Point>) {
        self.shape("polygon", class, points);
    }

    pub(super) fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = Point>) {
        self.shape("polyline", class, points);
    }

    fn shape(&mut self, name: &str, class: &str, points: impl IntoIterator<Item = Point>) {
        let points: Vec<String> = points.into_iter().map(|Point(x, y)| format!("{},{}", number(x), number(y))).collect();
        self.add(&format!("<{name} class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }

    /// What `draw` draws is seen inside a frame only.
    pub(super) fn clipped(&mut self, id: &str, frame: Frame, draw: impl FnOnce(&mut Self)) {
        self.add(&format!("<clipPath id=\"{id}\"><rect {}/></clipPath><g clip-path=\"url(#{id})\">", bounds(frame)));
        draw(self);
        self.add("</g>");
    }

    pub(super) fn finish(self, width: f64, height: f64, style: &str, title: &str) -> String {
        let (width, height, title) = (number(width), number(height), escaped(title));
        let size = format!("width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} role=\"img\">\n<title>{title}</title>\n<style>{style}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            self.0
        )
    }

    fn add(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }
}

fn bounds(Frame { x, y, width, height }: Frame) -> String {
    let [x, y, width, height] = [x, y, width.max(0.0), height.max(0.0)].map(number);
    format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"")
}

/// A number in tenths; what is none is zero.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    if tenths.is_finite() { format!("{}", tenths + 0.0) } else { "0".to_owned() }
}

/// Text that is only text: no markup, no character that XML does not know, no mark that turns a line around.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for symbol in text.chars().take(LONGEST) {
        match symbol {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{061C}' | '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FFFE}' | '\u{FFFF}' => {
                safe.push('\u{FFFD}');
            }
            control if control.is_control() => safe.push('\u{FFFD}'),
            plain => safe.push(plain),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        safe.push('…');
    }
    safe
}
