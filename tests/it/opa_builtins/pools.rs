//! Arguments of built-ins: for each kind the values at which implementations differ.

mod texts;

use countersign_tests::inputs;
use serde_json::{Value, json};

use texts::{DATES, DOCUMENTS, ENCODED, FORMATS, GLOBS, LAYOUTS, NETWORKS, PATTERNS, SIZES, TEXTS, UUIDS, VERSIONS};

/// A kind of argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pool {
    Anything,
    Bases,
    Certificates,
    Constraints,
    Dates,
    Delimiters,
    Documents,
    Durations,
    Encoded,
    Formats,
    Globs,
    Graphs,
    Headers,
    Instants,
    KeyLists,
    Keys,
    Layouts,
    Lists,
    Names,
    NetworkLists,
    Networks,
    NumberLists,
    Numbers,
    Numerals,
    Objects,
    Options,
    Patches,
    PathLists,
    Patterns,
    Private,
    QueryObjects,
    Replacements,
    Replacing,
    Requests,
    Secrets,
    Signing,
    Sizes,
    Small,
    SmallNetworks,
    TemplatePatterns,
    Templates,
    TextLists,
    Texts,
    Times,
    Tokens,
    Uuids,
    Verifying,
    Versions,
    Zones,
}

impl Pool {
    /// The values, the plainest first.
    pub(super) fn values(self) -> Vec<Value> {
        match self {
            Self::Certificates => made("certificates"),
            Self::Constraints => made("constraints"),
            Self::Headers => made("headers"),
            Self::Options => made("options"),
            Self::Private => made("private"),
            Self::Requests => made("requests"),
            Self::Secrets => made("secrets"),
            Self::Signing => made("signing"),
            Self::Tokens => made("tokens"),
            Self::Verifying => made("verifying"),
            Self::Anything => [inputs::anything(), numbers().split_off(6)].concat(),
            Self::Bases => list(json!([10, 2, 8, 16, 3, 0, -1, 10.5])),
            Self::Dates => texts(&DATES),
            Self::Delimiters => list(json!([[], ["/"], ["."], [".", "/"], null, [""], ["::"]])),
            Self::Documents => texts(&DOCUMENTS),
            Self::Durations => texts(&[
                "1s", "1h30m", "1.5h", "-2m", "100ms", "1us", "1µs", "3ns", "0", "", "1", "1d", "1h 2m", "9e3s", "300000h", ".5s", "+1s",
            ]),
            Self::Encoded => texts(&ENCODED),
            Self::Formats => texts(&FORMATS),
            Self::Globs => texts(&GLOBS),
            Self::Graphs => list(
                json!([{ "a": ["b", "c"], "b": ["c"], "c": [] }, {}, { "a": ["a"] }, { "a": ["z"], "z": null }, { "a": { "b": 1 }, "b": [] }]),
            ),
            Self::Instants => instants(),
            Self::KeyLists => list(json!([["a"], [], ["a", "c"], ["zzz"], [1], [null, "b"], { "a": 1 }, ["b", "b"]])),
            Self::Keys => {
                list(json!(["a", "b", "c", "zzz", "", 0, 1, null, ["a"], ["c", "d"], ["c", "e", 0], ["c", "e", 9], [], ["a", "b"], true]))
            }
            Self::Layouts => texts(&LAYOUTS),
            Self::Lists => lists(),
            Self::Names => texts(&[
                "api.github.com",
                "",
                "a",
                "/a/b/c",
                "/a//c",
                "a.b",
                "cat",
                "bat",
                "a*b",
                "x\\y",
                "é.com",
                "api",
                "[a]",
                "a:b:c",
                "a::b",
            ]),
            Self::NetworkLists => network_lists(),
            Self::Networks => texts(&NETWORKS),
            Self::NumberLists => list(
                json!([[1, 2], [], [0.1, 0.2], [0.1, 0.2, 0.3], [-1, 1], [1e300, 1e300], [9_007_199_254_740_993_u64, 1], [1, "2"], [2, 2], [0], { "a": 1 }]),
            ),
            Self::Numbers => numbers(),
            Self::Numerals => numerals(),
            Self::Objects => objects(),
            Self::Patches => patches(),
            Self::PathLists => list(json!([
                ["a"],
                [],
                ["c/d"],
                ["c", "c/d"],
                ["c/e/0"],
                ["c/e/1/x"],
                [["c", "d"]],
                ["zzz"],
                ["/a"],
                [""],
                ["a/b"],
                ["c~1d"],
                [["c", "e", 0]],
                ["ü"],
                [1]
            ])),
            Self::Patterns => texts(&PATTERNS),
            Self::QueryObjects => list(
                json!([{ "a": "b" }, {}, { "a": ["b", "c"] }, { "a b": "é&=" }, { "b": "1", "a": "2" }, { "a": 1 }, { "a": [] }, { "a": "" }]),
            ),
            Self::Replacements => list(
                json!([{ "a": "b" }, {}, { "a": "b", "b": "c" }, { "": "x" }, { "abc": "1", "ab": "2", "a": "3" }, { "é": "e" }, { "a": 1 }]),
            ),
            Self::Replacing => texts(&["x", "", "$1", "${1}", "$0", "$$", "$name", "${name}x", "\\1", "$1x", "a$", "${"]),
            Self::Sizes => texts(&SIZES),
            Self::Small => list(json!([0, 1, 2, 3, 5, -1, -2, 100, 1.5, 2.0])),
            Self::SmallNetworks => texts(&[
                "192.0.2.0/30",
                "192.0.2.1/32",
                "192.0.2.7/30",
                "2001:db8::/126",
                "::1/128",
                "192.0.2.1",
                "",
                "x",
                "10.0.0.0/33",
                "::ffff:192.0.2.0/127",
            ]),
            Self::TemplatePatterns => {
                texts(&["a{.*}", "{[a-c]+}", "abc", "", "{", "}", "{}", "urn:{.*}:x", "a.*", "[a-c]+", "a|b", "(a", "é{.}", ".*"])
            }
            Self::Templates => texts(&[
                "{{.a}}",
                "",
                "plain",
                "{{.zzz}}",
                "{{.c.d}}",
                "{{range .c.e}}<{{.}}>{{end}}",
                "{{",
                "{{if .a}}yes{{else}}no{{end}}",
                "{{printf \"%03d\" 7}}",
            ]),
            Self::TextLists => list(json!([["a", "b"], [], [""], "abc", "", ["abc", "é"], ["a", 1], ["b", "a", "b"], { "a": "b" }, null])),
            Self::Texts => texts(&TEXTS),
            Self::Times => [
                instants(),
                vec![
                    json!([0, "UTC"]),
                    json!([0, "Europe/Paris"]),
                    json!([0, "Nowhere/Land"]),
                    json!([0]),
                    json!([]),
                    json!([0, ""]),
                    json!([0, "Local"]),
                ],
            ]
            .concat(),
            Self::Uuids => texts(&UUIDS),
            Self::Versions => texts(&VERSIONS),
            Self::Zones => texts(&[
                "UTC",
                "",
                "Europe/Paris",
                "America/New_York",
                "Asia/Kolkata",
                "Australia/Lord_Howe",
                "europe/paris",
                "CET",
                "EST",
                "+01:00",
                "Nowhere/Land",
                "Local",
            ]),
        }
    }
}

/// What `tests/oracle/make_credentials.py` made.
fn made(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../oracle/credentials.json")).unwrap();
    list(all[name].clone())
}

fn list(values: Value) -> Vec<Value> {
    match values {
        Value::Array(values) => values,
        other => vec![other],
    }
}

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| json!(text)).collect()
}

fn numbers() -> Vec<Value> {
    list(json!([
        0,
        1,
        -1,
        2,
        3,
        7,
        -7,
        10,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        2.71,
        0.1,
        0.2,
        1e3,
        1e21,
        1e-7,
        123456789.125,
        1e300,
        4_294_967_296_u64,
        9_007_199_254_740_993_u64,
        i64::MAX,
        i64::MIN,
        u64::MAX
    ]))
}

fn numerals() -> Vec<Value> {
    let numerals = [
        "1",
        "0",
        "-1",
        "1.5",
        "1e3",
        "",
        " 1",
        "1 ",
        "0x10",
        "1_000",
        "inf",
        "NaN",
        "+1",
        ".5",
        "5.",
        "-",
        "1e400",
        "00",
        "100000000000000000000",
        "١",
    ];
    [texts(&numerals), list(json!([null, true, false, 7, 1.5, []]))].concat()
}

fn lists() -> Vec<Value> {
    list(json!([
        [1, 2, 3], [], [3, 1, 2, 1], ["b", "a"], [null, false, 0, "", [], {}], [[1], [1, 2]], [{ "a": 1 }, { "b": 2 }], [{ "a": { "x": 1 } }, { "a": { "y": 2 } }], [1, 1.0, "1"], "abc", { "a": 1, "b": [2] }, null, 5, [true, true], ["é", "e", "z", "😀"]
    ]))
}

fn objects() -> Vec<Value> {
    list(json!([
        { "a": 1, "b": "x", "c": { "d": true, "e": [1, { "x": null }, "s"] } }, {}, { "a": { "b": 2 } }, { "a": 1, "zzz": [] }, { "c": { "d": false, "f": 1.5 } }, { "": 0, "ü": "é", "a/b": 1, "a~b": 2 }, { "a": [1, 2], "b": null }, [1, { "a": 2 }], "abc",
        { "c": [] }, { "html": "<a href='x'>&</a>", "n": 1e21, "t": "\u{7}\t\u{2028}" }
    ]))
}

fn patches() -> Vec<Value> {
    let patch = |op: &str, path: Value, value: Value| json!([{ "op": op, "path": path, "value": value }]);
    vec![
        patch("add", json!("/z"), json!(1)),
        patch("add", json!("/c/e/0"), json!("first")),
        patch("add", json!("/c/e/-"), json!("last")),
        patch("add", json!("/c/e/9"), json!(9)),
        patch("add", json!("/q/r"), json!(1)),
        patch("add", json!(""), json!("whole")),
        patch("add", json!(["c", "new"]), json!([])),
        patch("remove", json!("/a"), json!(null)),
        patch("remove", json!("/zzz"), json!(null)),
        patch("remove", json!("/c/e/1"), json!(null)),
        patch("replace", json!("/a"), json!({ "b": 1 })),
        patch("replace", json!("/zzz"), json!(1)),
        patch("test", json!("/a"), json!(1)),
        patch("test", json!("/a"), json!(2)),
        patch("add", json!("/a~1b"), json!("slash")),
        patch("add", json!("z"), json!("no slash")),
        json!([{ "op": "copy", "from": "/a", "path": "/copy" }]),
        json!([{ "op": "move", "from": "/c", "path": "/moved" }]),
        json!([{ "op": "move", "from": "/zzz", "path": "/moved" }]),
        json!([{ "op": "add", "path": "/z", "value": 1 }, { "op": "remove", "path": "/z" }, { "op": "add", "path": "/y", "value": 2 }]),
        json!([]),
        json!([{ "op": "unknown", "path": "/a" }]),
        json!([{ "path": "/a" }]),
        json!({}),
    ]
}

fn instants() -> Vec<Value> {
    list(json!([
        1_772_505_600_000_000_000_i64,
        0,
        1,
        -1,
        476_454_542_260_000_000_i64,
        1_709_164_800_000_000_000_i64,
        1_774_746_000_000_000_000_i64,
        1_774_749_600_123_456_789_i64,
        999_999_999,
        -86_400_000_000_001_i64,
        i64::MAX,
        i64::MIN,
        1.5,
        u64::MAX
    ]))
}

fn network_lists() -> Vec<Value> {
    list(json!([
        ["10.0.0.0/8", "10.1.0.0/16"], [], "10.0.0.0/8", ["10.0.0.1"], ["192.0.2.0/25", "192.0.2.128/25"], ["2001:db8::/33", "2001:db8:8000::/33"], { "a": "10.0.0.0/8", "b": "::1" }, [["10.0.0.0/8", "note"], ["192.0.2.0/24"]], ["x"], [1], ["10.0.0.0/8", "::/0"],
        ["192.0.2.1/32", "192.0.2.0/32", "192.0.2.2/31"], ["0.0.0.0/1", "128.0.0.0/1"]
    ]))
}
