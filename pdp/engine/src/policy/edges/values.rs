//! What a path of contract 1 is set to, by its type: next to each number, each member of a set and one that is none, with and without what is optional.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::super::lint::{Looked, alternatives, look};

/// A text that no policy compares anything with.
const NONE_OF_THESE: &str = "none-of-these";
/// The most zones whose hours are tried.
const MOST_ZONES: usize = 3;
/// Of a path that is read as a whole, the parts are varied.
const MOST_LEAVES: usize = 48;

/// The parts of a path that hold something by themselves; itself where it does. None where the input never holds it.
pub(super) fn leaves(schema: &Value, path: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    spread(schema, path.to_vec(), &mut found);
    found
}

fn spread(schema: &Value, path: Vec<String>, found: &mut Vec<Vec<String>>) {
    if found.len() >= MOST_LEAVES || matches!(look(schema, &path), Looked::Never { .. }) {
        return;
    }
    let at = schemas(schema, &path);
    let members = at.iter().filter_map(|schema| schema.get("properties").and_then(Value::as_object));
    let names: Vec<String> = members.flat_map(|members| members.keys().cloned()).collect();
    if names.is_empty() {
        // What the contract fixes is no place to vary.
        if !at.iter().any(|schema| schema.get("const").is_some()) {
            found.push(path);
        }
        return;
    }
    for name in names {
        spread(schema, path.iter().cloned().chain([name]).collect(), found);
    }
}

/// What a value at a path may be; nothing where it may be anything.
fn schemas<'s>(schema: &'s Value, path: &[String]) -> Vec<&'s Value> {
    let mut at = vec![schema];
    for step in path {
        let next = at.iter().filter_map(|schema| {
            let named = schema.get("properties").and_then(|members| members.get(step));
            named.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))
        });
        at = next.flat_map(alternatives).collect();
    }
    at
}

/// The values, `None` for its absence where that may be.
pub(super) fn of(schema: &Value, path: &[String], pool: &[Value], base: &Value) -> Vec<Option<Value>> {
    let mut values = Values::default();
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["context", "time"] => instants(pool, base).into_iter().for_each(|at| values.add(json!(at))),
        ["session", "auth_time"] => ages(pool, base, &mut values),
        ["context", "ip"] => addresses(pool, &mut values),
        _ => {
            let at = schemas(schema, path);
            if at.is_empty() {
                anything(pool, &mut values);
            }
            at.iter().for_each(|schema| typed(schema, path, pool, base, &mut values));
        }
    }
    if look(schema, path) == Looked::Sometimes {
        values.0.push(None);
    }
    values.0
}

#[derive(Default)]
struct Values(Vec<Option<Value>>);

impl Values {
    fn add(&mut self, value: Value) {
        let value = Some(value);
        if !self.0.contains(&value) {
            self.0.push(value);
        }
    }
}

fn typed(schema: &Value, path: &[String], pool: &[Value], base: &Value, values: &mut Values) {
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        all.iter().for_each(|one| values.add(one.clone()));
        return;
    }
    let texts = || pool.iter().filter(|value| value.is_string());
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => [true, false].into_iter().for_each(|flag| values.add(json!(flag))),
        Some("integer" | "number") => {
            let (least, most) = (bound(schema, "minimum", i64::MIN), bound(schema, "maximum", i64::MAX));
            numbers(pool).filter(|number| (least..=most).contains(number)).for_each(|number| values.add(json!(number)));
        }
        Some("string") => {
            texts().for_each(|text| values.add(text.clone()));
            [NONE_OF_THESE, ""].into_iter().for_each(|text| values.add(json!(text)));
        }
        Some("array") => {
            let is = path.iter().try_fold(base, |value, step| value.get(step)).and_then(Value::as_array).cloned().unwrap_or_default();
            values.add(json!([]));
            for text in texts() {
                values.add(json!([text]));
                let with = is.iter().chain((!is.contains(text)).then_some(text));
                values.add(with.cloned().collect());
                values.add(is.iter().filter(|one| *one != text).cloned().collect());
            }
            values.add(json!([NONE_OF_THESE]));
        }
        _ => values.add(json!({})),
    }
}

fn anything(pool: &[Value], values: &mut Values) {
    for value in pool {
        values.add(value.clone());
        if value.is_string() {
            values.add(json!([value]));
        }
    }
    numbers(pool).for_each(|number| values.add(json!(number)));
    [json!(true), json!(false), json!(NONE_OF_THESE)].into_iter().for_each(|value| values.add(value));
}

fn bound(schema: &Value, name: &str, otherwise: i64) -> i64 {
    schema.get(name).and_then(Value::as_i64).unwrap_or(otherwise)
}

/// Each number, and its neighbours. A fraction lies between two.
fn numbers(pool: &[Value]) -> impl Iterator<Item = i64> {
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond saturates, and is compared with nothing")]
    let whole = |value: &Value| value.as_i64().or_else(|| value.as_f64().map(|number| number.floor() as i64));
    pool.iter().filter_map(whole).flat_map(|number| [number, number.saturating_sub(1), number.saturating_add(1)])
}

/// How long ago a proof may be: each number as seconds before now, and never.
fn ages(pool: &[Value], base: &Value, values: &mut Values) {
    let now = now(base) / 1000;
    values.add(json!(0));
    values.add(json!(now));
    let seconds = numbers(pool).filter(|seconds| (1..now).contains(seconds));
    seconds.for_each(|seconds| values.add(json!(now - seconds)));
}

fn now(base: &Value) -> i64 {
    base.pointer("/context/time").and_then(Value::as_i64).unwrap_or_default()
}

/// The minutes at which an hour that is named begins and ends, and its days of the week, in UTC and in the zones that are named or that the client is in.
fn instants(pool: &[Value], base: &Value) -> Vec<i64> {
    let Ok(now) = Timestamp::from_millisecond(now(base)) else { return Vec::new() };
    let own = base.pointer("/context/place/known/time_zone").and_then(Value::as_str);
    let named = pool.iter().filter_map(Value::as_str).filter(|text| text.contains('/'));
    let zones = named.chain(own).filter_map(|name| TimeZone::get(name).ok()).take(MOST_ZONES);
    let zones: Vec<TimeZone> = std::iter::once(TimeZone::UTC).chain(zones).collect();
    let mut hours: Vec<i64> = pool.iter().filter_map(Value::as_i64).filter(|hour| (0..=24).contains(hour)).collect();
    hours.sort_unstable();
    hours.dedup();
    let mut instants = Vec::new();
    for zone in zones {
        let day = zone.to_datetime(now).start_of_day();
        let at = |hour: i64, minutes: i64| zone.to_timestamp(day.checked_add((hour * 60 + minutes).minutes()).ok()?).ok();
        // An hour that is the last one ends an hour later.
        let edges = hours.iter().flat_map(|hour| [at(*hour, 0), at(*hour, -1), at(hour + 1, 0), at(hour + 1, -1)]);
        instants.extend(edges.flatten().map(|at| at.as_millisecond()));
    }
    let is_about_days = pool.iter().filter_map(Value::as_str).any(|text| WEEKDAYS.iter().any(|(name, _)| *name == text));
    let day = |(_, weekday): &(_, Weekday)| TimeZone::UTC.to_timestamp(TimeZone::UTC.to_datetime(now).nth_weekday(1, *weekday).ok()?).ok();
    instants.extend(WEEKDAYS.iter().filter(|_| is_about_days).filter_map(day).map(|at| at.as_millisecond()));
    instants
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("Monday", Weekday::Monday),
    ("Tuesday", Weekday::Tuesday),
    ("Wednesday", Weekday::Wednesday),
    ("Thursday", Weekday::Thursday),
    ("Friday", Weekday::Friday),
    ("Saturday", Weekday::Saturday),
    ("Sunday", Weekday::Sunday),
];

/// Addresses that are named, the first and the last of each network, and their neighbours outside.
fn addresses(pool: &[Value], values: &mut Values) {
    for text in pool.iter().filter_map(Value::as_str) {
        if let Ok(network) = text.parse::<ipnet::IpNet>() {
            let (first, last) = (network.network(), network.broadcast());
            [Some(first), Some(last), next(last, 1), next(first, -1)]
                .into_iter()
                .flatten()
                .for_each(|at| values.add(json!(at.to_string())));
        } else if text.parse::<std::net::IpAddr>().is_ok() {
            values.add(json!(text));
        }
    }
    [json!("192.0.2.77"), json!("")].into_iter().for_each(|value| values.add(value));
}

fn next(address: std::net::IpAddr, by: i8) -> Option<std::net::IpAddr> {
    match address {
        std::net::IpAddr::V4(four) => u32::from(four).checked_add_signed(by.into()).map(|bits| std::net::Ipv4Addr::from(bits).into()),
        std::net::IpAddr::V6(six) => u128::from(six).checked_add_signed(by.into()).map(|bits| std::net::Ipv6Addr::from(bits).into()),
    }
}
