//! The OpenAPI documents: checked in as they are generated, and with every route of the routers in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_tests::process::{Process, countersign, free_ports, parts, serve};
use serde_json::Value;

const LISTENERS: [&str; 4] = ["decision", "control", "public", "operations"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn generated(listener: &str) -> String {
    let output = Command::new(countersign()).args(["openapi", "--listener", listener]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_documents_are_checked_in_as_they_are_generated() {
    for listener in LISTENERS {
        let (file, text) = (top().join(format!("docs/openapi/{listener}.json")), generated(listener));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text, "{} is not what `countersign openapi --listener {listener}` prints; `UPDATE=1` rewrites it", file.display());
    }
}

/// The paths of a document, with a star for each name in braces.
fn described(listener: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&generated(listener)).unwrap();
    document["paths"].as_object().unwrap().keys().map(|path| starred(path)).collect()
}

fn starred(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "*".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The first arguments of all calls of this name in a source file: texts, and constants of the module that they name.
fn first_arguments(file: &str, call: &str) -> BTreeSet<String> {
    let argument = |after: &str| {
        let after = after.trim_start();
        let text = after.strip_prefix('"').and_then(|text| text.split('"').next());
        text.map_or_else(|| constant(after.split(',').next().unwrap()), str::to_owned)
    };
    source(Path::new(file)).split(call).skip(1).map(argument).collect()
}

fn source(file: &Path) -> String {
    std::fs::read_to_string(top().join("pdp/server/src").join(file)).unwrap()
}

/// The value of a constant such as `metadata::WELL_KNOWN`.
fn constant(name: &str) -> String {
    let (module, last) = name.rsplit_once("::").unwrap_or_else(|| panic!("`{name}` names no module"));
    let module = module.rsplit("::").next().unwrap();
    let files = ["", "adapter/", "adapter/authzen/", "public/"].map(|folder| format!("{folder}{module}.rs"));
    let mut texts = files.into_iter().filter_map(|file| std::fs::read_to_string(top().join("pdp/server/src").join(file)).ok());
    let value =
        |text: String| text.split_once(&format!("const {last}: &str = \"")).and_then(|(_, rest)| rest.split('"').next().map(str::to_owned));
    texts.find_map(value).unwrap_or_else(|| panic!("no constant `{name}`"))
}

/// What a router has beside what its document says, on purpose.
const NOT_DESCRIBED: [&str; 2] = ["/authz/envoy", "/.well-known/authzen-configuration/*"];

#[test]
fn every_route_is_described_and_nothing_else() {
    let served = |files: &[&str]| -> BTreeSet<String> {
        let all = files.iter().flat_map(|file| first_arguments(file, ".route("));
        // A path with a slash at its end is the same operation.
        let all =
            all.map(|path| if path.len() > 1 && !path.starts_with("/.countersign") { path.trim_end_matches('/').to_owned() } else { path });
        all.map(|path| starred(&path)).filter(|path| !NOT_DESCRIBED.contains(&path.as_str())).collect()
    };
    let decision = served(&["serve.rs", "adapter/authzen.rs"]);
    assert!(decision.len() > 10, "{decision:?}");
    let (ahead, missing): (Vec<String>, Vec<String>) =
        (described("decision").difference(&decision).cloned().collect(), decision.difference(&described("decision")).cloned().collect());
    assert_eq!(missing, Vec::<String>::new(), "routes that the document does not have");
    assert_eq!(ahead, Vec::<String>::new(), "paths that no router has");
    assert_eq!(described("public"), served(&["public.rs"]));
    assert_eq!(described("operations"), served(&["operations.rs"]));
    let control = |path: String| format!("/countersign/v1{path}");
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH"].map(|method| format!("at(MethodFilter::{method},"));
    let endpoints: BTreeSet<String> = methods.iter().flat_map(|call| first_arguments("control.rs", call)).collect();
    let mut operated: BTreeSet<String> = endpoints.into_iter().map(control).map(|path| starred(&path)).collect();
    operated.extend(served(&["policies/webhook.rs"]));
    assert_eq!(described("control"), operated);
}

/// The secret of the enforcement point and of the operator.
const SECRET: &str = "a-secret-of-this-test-that-is-long-enough";

/// A decision point with the certification policy, whose decision, control and operations listeners are asked.
fn start(folder: &Path) -> ([u16; 3], Process) {
    let ports = free_ports();
    let [decision, control, operations] = ports;
    std::fs::write(folder.join("secret"), SECRET).unwrap();
    let policy = countersign_tests::authzen::policy();
    let configuration = format!(
        r#"
[listen]
decision = "127.0.0.1:{decision}"
control = "127.0.0.1:{control}"
operations = "127.0.0.1:{operations}"
[proxy]
trusted = ["127.0.0.1"]
[[operator]]
name = "op"
secret_file = "secret"
[[pep]]
id = "app"
secret_file = "secret"
from = ["127.0.0.1"]
authzen = "search"
may_assert = {{ subject = true, session = true }}
[[host]]
origin = "https://payroll.example"
[authzen]
identifier = "https://pdp.example"
[policy]
path = "{}"
[store]
dir = "data"
# A machine that also runs browsers and compilers is slow now and then.
[decision]
deadline_ms = 8000
policy_budget_ms = 4000
"#,
        policy.display()
    );
    std::fs::write(folder.join("countersign.toml"), configuration).unwrap();
    let process = serve(folder, &ports);
    (ports, process)
}

/// What is not there is a 503, as each document says; a target that is far too long is refused as such (414).
const EXPECTATIONS: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "414", "415", "429", "503"]
[[operations]]
include-path-regex = "^/authz/"
checks.unsupported_method.enabled = false
"#;

/// Asks a listener whatever its document says and does not say, with the real authentication. Left out, each for its reason:
/// - the watch: a stream has no end that a test of one answer could wait for;
/// - `unsupported_method` at the doors of proxies: they take every method, which a document cannot say;
/// - `positive_data_acceptance`: what a name may be is more than a schema can say, such as an issuer that is configured.
fn hold_to_document(listener: &str, port: u16, header: &str, folder: &Path) {
    let program = parts().join("schemathesis/bin/st");
    std::fs::write(folder.join("schemathesis.toml"), EXPECTATIONS).unwrap();
    let document = top().join(format!("docs/openapi/{listener}.json"));
    let mut command = Command::new(&program);
    command.args(["--no-color", "run"]).arg(document).args(["--url", &format!("http://127.0.0.1:{port}"), "--header", header]);
    command.args(["--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "1", "--no-shrink", "--continue-on-failure"]);
    command.args(["--request-timeout", "20", "--generation-database", "none", "--exclude-checks", "positive_data_acceptance"]);
    command.args(["--exclude-path", "/countersign/v1/watch", "--generation-with-security-parameters", "false"]);
    let output = command.current_dir(folder).output();
    let output =
        output.unwrap_or_else(|error| panic!("cannot start {}: {error}; `tests/setup/schemathesis` installs it", program.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{listener}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Whoever asks is known, else each answer would be the same.
    assert!(!said.contains("401 Unauthorized ("), "{listener}:\n{said}");
    let count = |line: &str| line.trim().split_once(" generated").and_then(|(count, _)| count.parse().ok());
    let generated: Option<u32> = said.lines().find_map(count);
    assert!(generated > Some(20), "{listener}:\n{said}");
}

#[test]
fn the_running_server_does_as_its_documents_say() {
    let folder = tempfile::tempdir().unwrap();
    let ([decision, control, operations], mut process) = start(folder.path());
    hold_to_document("operations", operations, "X-Of-No-Use: 1", folder.path());
    hold_to_document("control", control, &format!("Authorization: Bearer op:{SECRET}"), folder.path());
    hold_to_document("decision", decision, &format!("X-Countersign-Pep: app:{SECRET}"), folder.path());
    assert!(process.terminate().success(), "{}", process.output());
}
