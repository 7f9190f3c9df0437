//! Policies that loop, grow, recurse or abort, put into the folder of a running server: it neither dies nor stalls nor believes them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use countersign_pdp_engine::policy::{CandidateReport, PolicySource};
use countersign_pdp_store::{Options, Store};
use countersign_sdk_types::{Tenant, Timestamp};
use countersign_tests::http;
use countersign_tests::process::{Process, countersign, free_ports, serve, wait_for};
use serde_json::{Value, json};

const SECRET: &str = "application-secret-of-this-test";
const REFUSED: &str = "policy candidate is refused";

/// The decision point, with a policy folder of its own.
struct Stage {
    pdp: Process,
    asker: Asker,
    folder: tempfile::TempDir,
}

/// Asks as an application does that may name its subjects.
#[derive(Clone)]
struct Asker {
    url: String,
}

impl Asker {
    /// Whether a subject may pass, as the server answers.
    fn allows(&self, subject: &str) -> bool {
        let body = json!({
            "subject": {"type": "user", "id": subject}, "action": {"name": "GET"}, "resource": {"type": "route", "id": "payroll"},
        });
        let answer = http::send("POST", &self.url, &[("x-countersign-pep", &format!("app:{SECRET}"))], Some(&body));
        let answer = answer.json();
        answer["decision"].as_bool().unwrap_or_else(|| panic!("no decision: {answer}"))
    }
}

impl Stage {
    fn set(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [decision, operations] = free_ports();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("secret", SECRET);
        write("users.json", &json!({"alice": {"role": "admin"}, "bob": {"role": "clerk"}}).to_string());
        write("countersign.toml", &configuration(decision, operations));
        put(&folder.path().join("policy"), &[("authz.rego", policy)]);
        let pdp = serve(folder.path(), &[decision]);
        Self { pdp, asker: Asker { url: format!("http://127.0.0.1:{decision}/access/v1/evaluation") }, folder }
    }

    fn put(&self, files: &[(&str, &str)]) {
        put(&self.folder.path().join("policy"), files);
    }

    fn refusals(&self) -> Vec<String> {
        self.pdp.output().lines().filter(|line| line.contains(REFUSED)).map(str::to_owned).collect()
    }

    /// Puts a hostile policy into the folder and waits for its refusal.
    fn refuse(&mut self, case: &Case) {
        let before = self.refusals().len();
        self.put(&case.files());
        // On a busy machine the jail alone may take half a minute.
        let refused = (0..3).any(|_| wait_for(|| self.refusals().len() > before));
        assert!(refused, "{} was not refused:\n{}", case.name, self.pdp.output());
        let said = self.refusals().pop().unwrap();
        assert!(case.because.split('|').any(|because| said.contains(because)), "{}: `{}` is not in {said}", case.name, case.because);
        self.pdp.wait_until("still there", |_| true);
    }

    /// The checks that run now: children of any thread of the server.
    fn checks(&self) -> Vec<PathBuf> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pdp.id())).unwrap();
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok()).collect::<String>();
        children.split_whitespace().map(|id| Path::new("/proc").join(id)).collect()
    }
}

fn configuration(decision: u16, operations: u16) -> String {
    format!(
        r#"
[listen]
decision = "127.0.0.1:{decision}"
operations = "127.0.0.1:{operations}"
[[pep]]
id = "app"
secret_file = "secret"
from = ["127.0.0.1"]
may_assert = {{ subject = true }}
[directory]
users = "users.json"
[policy]
path = "policy"
[store]
dir = "data"
"#
    )
}

/// Makes a folder hold exactly these files.
fn put(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let wanted: BTreeSet<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if !wanted.contains(entry.file_name().to_str().unwrap()) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Asks all the while, one request after the other. An answer that never comes, or comes from a hostile policy, fails the test.
struct Traffic {
    stop: mpsc::Sender<()>,
    allowed: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Traffic {
    fn start(asker: Asker) -> Self {
        let (stop, stopped) = mpsc::channel();
        let allowed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&allowed);
        let ask = move || {
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
                // On a busy machine a late answer is a deny, so that alice is counted and bob is asserted.
                counted.fetch_add(usize::from(asker.allows("alice")), Ordering::SeqCst);
                assert!(!asker.allows("bob"), "a hostile policy decides");
            }
        };
        Self { stop, allowed, thread: std::thread::spawn(ask) }
    }

    fn allowed(&self) -> usize {
        self.allowed.load(Ordering::SeqCst)
    }

    fn finish(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// A hostile policy, and words of the refusal that it must meet; `|` parts those of which one is enough.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    because: &'static str,
}

impl Case {
    fn files(&self) -> Vec<(&str, &str)> {
        self.files.iter().map(|(name, text)| (*name, text.as_str())).collect()
    }
}

fn v1(rules: &str) -> String {
    format!("package authz\nimport rego.v1\n{rules}\n")
}

/// Lets everybody pass, were it not for one expression.
fn unless(expression: &str) -> String {
    v1(&format!("default allow := true\nallow := false if {{ {expression} }}"))
}

fn numbered(count: usize, rule: impl Fn(usize) -> String) -> String {
    (1..=count).map(rule).collect::<Vec<_>>().join("\n")
}

/// The cases of the reference: an expensive built-in, a recursion, a bracket bomb, and what asks the world.
fn hostile() -> Vec<(&'static str, String, &'static str)> {
    let squares = numbered(40, |at| format!("n{at} := n{0} * n{0}", at - 1));
    let doubled = numbered(40, |at| format!("t{at} := concat(\"\", [t{0}, t{0}])", at - 1));
    let chain = numbered(600, |at| format!("r{} if r{at}", at - 1));
    let comprehensions = format!("{}1{}", "[x | x := ".repeat(600), "]".repeat(600));
    let arrays = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let graph = "{\"a\": [\"b\", \"c\"], \"b\": [\"c\", \"a\"], \"c\": [\"a\", \"b\"]}";
    vec![
        ("sprintf width", unless("sprintf(\"%1000000000d\", [1]) == \"\""), "larger than 255"),
        ("bignum squaring", v1(&format!("n0 := 9999999\n{squares}\nallow if n40 > 1")), "multiplies computed numbers"),
        ("cidr_expand", unless("net.cidr_expand(\"0.0.0.0/0\") == 1"), "larger than 10000"),
        ("numbers.range", unless("count(numbers.range(1, 10000000)) == 1"), "larger than 10000"),
        ("numbers.range, too much for any memory", unless("count(numbers.range(1, 1000000000)) == 1"), "larger than 10000"),
        ("bits.lsh", unless("bits.lsh(1, 4000000000) == 1"), "from 0 to 1024"),
        ("concat doubling", v1(&format!("t0 := \"0123456789\"\n{doubled}\nallow if t40 != \"\"")), "larger than 1048576"),
        ("reachable_paths", unless(&format!("graph.reachable_paths({graph}, [\"a\"]) == 1")), "graph.reachable_paths"),
        ("a function that calls itself", v1("f(x) := f(x)\nallow if f(1)"), "needs itself"),
        ("rules that need each other", v1("a if b\nb if a\nallow if a"), "needs itself"),
        ("a chain of 600 rules", v1(&format!("{chain}\nr600 := true\nallow if r0")), "chain of more than"),
        ("600 nested comprehensions", unless(&format!("{comprehensions} == 1")), "nested deeper"),
        ("2000 nested arrays", unless(&format!("{arrays} == 1")), "nested deeper"),
        ("20 brackets", unless(&format!("x == {}", "[".repeat(20))), "nested deeper"),
        ("20 braces", unless(&format!("x == {}", "{\"a\":".repeat(20))), "nested deeper"),
        ("http.send", unless("http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"}).status_code == 200"), "http.send"),
        ("time.now_ns", unless("time.now_ns() > 0"), "time.now_ns"),
        ("a long loop", unless(&format!("{LOOP} == -1")), "used up its budget"),
    ]
}

const LOOP: &str = "some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); a * b";

/// What no static rule finds and no timer stops: only the walls of the jail do.
fn only_jailed() -> [Case; 3] {
    let test = |rules: &str| format!("package authz_test\nimport rego.v1\n{rules}\n");
    let everybody = v1("allow := true");
    let burning = numbered(40, |at| format!("test_{at} if {{ {LOOP} == -{at} }}"));
    let doubled = numbered(19, |at| format!("t{at} := concat(\"\", [t{0}, t{0}])", at - 1));
    let growing =
        format!("t0 := \"x\"\n{doubled}\ntest_a if count([s | some i in numbers.range(1, 9000); s := sprintf(\"%s%d\", [t19, i])]) > 0");
    let sums = format!("allow if {}1 > 0", format!("{}\n", "1+".repeat(400)).repeat(300));
    let tested = |tests: &str| vec![("authz.rego", everybody.clone()), ("a_test.rego", test(tests))];
    [
        Case { name: "tests that burn", files: tested(&burning), because: "10 s of CPU time" },
        // Whichever bound it meets first: on a busy machine its second is over before the memory is full.
        Case { name: "a test that grows", files: tested(&growing), because: "MiB of memory|test `data.authz_test.test_a` does not hold" },
        Case { name: "a sum of 120,000 ones", files: vec![("authz.rego", v1(&sums))], because: "more than 500 operators" },
    ]
}

#[test]
fn hostile_policies_neither_kill_nor_stall_nor_decide() {
    let mut stage = Stage::set(&v1("allow if input.user.role == \"admin\""));
    assert!(wait_for(|| stage.asker.allows("alice")) && !stage.asker.allows("bob"), "{}", stage.pdp.output());
    let traffic = Traffic::start(stage.asker.clone());

    let single = hostile().into_iter().map(|(name, text, because)| Case { name, files: vec![("authz.rego", text)], because });
    let cases: Vec<_> = single.chain(only_jailed()).collect();
    for case in &cases {
        let before = traffic.allowed();
        stage.refuse(case);
        assert!(wait_for(|| traffic.allowed() > before), "{}: the old revision does not answer", case.name);
    }
    traffic.finish();
    assert_eq!(stage.refusals().len(), cases.len(), "each is told once");
    assert!(!stage.pdp.output().contains("policy revision is active"));

    // A good policy is active without a restart, and decides differently.
    stage.put(&[("authz.rego", &v1("allow if input.user.role == \"clerk\""))]);
    stage.pdp.wait_until("active", |pdp| pdp.output().contains("policy revision is active"));
    assert!(wait_for(|| stage.asker.allows("bob")) && !stage.asker.allows("alice"));

    // Its activation is on the disk.
    let log = stage.pdp.output();
    assert!(stage.pdp.terminate().success());
    let store = Store::open(&stage.folder.path().join("data"), Options::default(), Timestamp(2_000_000_000_000)).unwrap();
    let active = store.view().activation(&Tenant::new("main").unwrap()).unwrap().unwrap();
    assert!(log.contains(active.revision.as_str()) && active.by == "serve", "{active:?}");
}

#[test]
fn a_server_that_stops_takes_its_check_with_it() {
    let mut stage = Stage::set(&v1("allow := false"));
    let [burning, ..] = only_jailed();
    stage.put(&burning.files());
    let mut check = None;
    assert!(wait_for(|| {
        check = stage.checks().pop();
        check.is_some()
    }));
    assert!(stage.pdp.terminate().success());
    assert!(!check.unwrap().exists(), "the check outlives the server");
    assert!(stage.refusals().is_empty(), "{:?}", stage.refusals());
}

/// Runs the inside of the jail by hand; `seen` is shown its folder in `/proc` before the candidate goes in.
fn jailed(candidate: &[u8], seen: impl FnOnce(&Path)) -> (ExitStatus, Vec<u8>) {
    let mut command = Command::new(countersign());
    command.arg("jail").arg(candidate.len().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    seen(&Path::new("/proc").join(child.id().to_string()));
    child.stdin.take().unwrap().write_all(candidate).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status, output.stdout)
}

#[test]
fn the_jail_is_closed_before_the_candidate_goes_in() {
    let source = PolicySource::from_files("authz", [("a.rego".to_owned(), v1("allow := false").into_bytes())]).unwrap();
    let (status, said) = jailed(&serde_json::to_vec(&source).unwrap(), |process| {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let closed = |status: &str| ["NoNewPrivs:\t1", "Seccomp:\t2"].iter().all(|line| status.contains(line));
        let threads = || std::fs::read_dir(process.join("task")).unwrap().map(|task| task.unwrap().path().join("status"));
        assert!(wait_for(|| threads().count() == 2 && threads().all(|status| closed(&read(&status)))), "some thread is not confined");
        let limits = read(&process.join("limits"));
        let limit =
            |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(limit("Max cpu time").contains("10 11 seconds"), "{limits}");
        assert!(limit("Max address space").contains("5368"), "{limits}");
        assert!(limit("Max file size").contains("0 0 bytes") && limit("Max core file size").contains("0 0 bytes"), "{limits}");
        assert!(limit("Max open files").contains("64 64"), "{limits}");
    });
    assert!(status.success(), "{status}");
    assert!(serde_json::from_slice::<CandidateReport>(&said).unwrap().is_accepted());
    let (status, said) = jailed(b"{}", |_| {});
    assert_eq!((status.code(), said.len()), (Some(65), 0), "what is no candidate is not checked");
}

fn run(arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut command = Command::new(countersign());
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_policy_can_be_asked_by_hand() {
    const GOLDEN: &str = include_str!("../../policies/schema/input.golden.json");
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy");
    let eval = |text: &str, more: &[&str], input: &str| {
        put(&policy, &[("a.rego", text)]);
        let arguments = ["policy", "eval", "--policy", policy.to_str().unwrap(), "--input", "-"];
        run(&[&arguments, more].concat(), input.as_bytes())
    };
    let (code, said, _) = eval(&v1("allow if input.user.role == \"admin\""), &[], GOLDEN);
    assert_eq!((code, said.as_str()), (Some(0), "allow\n"));
    let decision = v1("decision := {\"effect\": \"step_up\", \"acr\": \"phr\", \"max_age\": 60, \"reasons\": [\"it is late\"]}");
    let (code, said, _) = eval(&decision, &[], GOLDEN);
    assert_eq!((code, said.as_str()), (Some(1), "step_up, phr, not older than 60 s\n  because it is late\n"));
    let (code, said, _) = eval(&decision, &["--json"], GOLDEN);
    let verdict: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &verdict["effect"], &verdict["max_age"]), (Some(1), &json!("step_up"), &json!(60)));
    let could_not = |(code, said, error): (Option<i32>, String, String), because: &str| {
        assert_eq!((code, said.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(because), "{error}");
    };
    could_not(eval(&v1("allow if input.user.role == \"nobody\""), &[], GOLDEN), "no result");
    could_not(eval(&v1("allow if time.now_ns() > 0"), &[], GOLDEN), "time.now_ns");
    could_not(eval(&v1("allow := true"), &["--package", "other"], GOLDEN), "defines neither");
    could_not(eval(&v1("allow := true"), &[], "{\"contract\":1,\"contract\":1}"), "contract");
    could_not(eval(&v1("allow := true"), &[], "{}"), "no input of contract 1");
}

#[test]
fn a_build_says_what_it_is() {
    let (code, said, _) = run(&["version"], b"");
    assert_eq!((code, said.starts_with("countersign ")), (Some(0), true), "{said}");
    let (_, said, _) = run(&["version", "--json"], b"");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(["version", "engine", "machine"].iter().all(|name| said[name].is_string()), "{said}");
    let (_, help, _) = run(&["--help"], b"");
    assert!(help.contains("policy") && !help.contains("jail"), "{help}");
}
