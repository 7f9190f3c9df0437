//! The demonstration, as people get it: the real binary, in the terminal and in a real Chromium.

use std::path::Path;
use std::process::Command;

use countersign_tests::browser::{Browser, Driver};
use countersign_tests::process::{Process, countersign, free_ports};
use serde_json::{Value, json};

/// `countersign demo` for a person, on any free port, with its temporary files in a folder of the test's.
struct Demo {
    process: Process,
    folder: tempfile::TempDir,
    url: String,
}

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let temporary = folder.join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(countersign());
    command.arg("demo").args(arguments).env("TMPDIR", temporary);
    command
}

fn leftovers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("temporary")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(&mut demo(folder.path(), arguments), &folder.path().join("demo.log"));
        process.wait_until("saying where it is", |process| process.output().contains("Ctrl-C"));
        let output = process.output();
        let url = output.lines().next().and_then(|line| line.split("is at ").nth(1)).unwrap_or_else(|| panic!("{output}"));
        Self { url: url.to_owned(), process, folder }
    }
}

#[test]
fn the_script_holds() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--script", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let played: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(played["holds"], true, "{played}");
    let steps = played["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 12, "{played}");
    assert!(steps.iter().all(|step| step["held"] == true), "{played}");
    assert_eq!(played["why"]["effect"], "step_up", "{played}");
    assert!(played["why"]["reasons"].as_array().unwrap().iter().any(|reason| reason["signal"] == "network"), "{played}");
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}

#[test]
fn the_script_prints_no_colors_into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--script"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains("✔ Tue 10:00  alice signs in") && !told.contains('\u{1b}'), "{told}");
}

#[test]
fn nothing_is_left_behind() {
    let ends: [fn(&mut Process) -> std::process::ExitStatus; 2] = [Process::terminate, Process::interrupt];
    for end in ends {
        let mut demo = Demo::start(&["--port", "0"]);
        let during = leftovers(demo.folder.path());
        assert!(during.len() == 1 && during[0].starts_with("countersign-demo-"), "{during:?}");
        assert!(end(&mut demo.process).success(), "{}", demo.process.output());
        assert_eq!(leftovers(demo.folder.path()), Vec::<String>::new());
    }
}

#[test]
fn a_taken_port_is_told_with_the_way_out() {
    let [port] = free_ports();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--port", &port.to_string()]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(&format!("port {port} is taken")) && told.contains("`--port"), "{told}");
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}

/// The person at the browser.
struct Person<'a> {
    browser: Browser<'a>,
    home: &'a str,
}

impl Person<'_> {
    fn is_there(browser: &Browser<'_>, selector: &str) -> bool {
        browser.script(&format!("return document.readyState === 'complete' && document.querySelector({selector:?}) !== null")) == true
    }

    #[track_caller]
    fn sees(&self, selector: &str) {
        self.browser.wait_until(selector, |browser| Self::is_there(browser, selector));
    }

    #[track_caller]
    fn reads(&self, text: &str) {
        self.browser.wait_until(text, |browser| browser.text().contains(text));
    }

    /// Presses the one filled button of a step, which is the only one on the page.
    #[track_caller]
    fn goes_on(&self, step: &str) {
        let button = format!("#{step}.next .primary");
        self.sees(&button);
        assert_eq!(self.browser.script("return document.querySelectorAll('.primary').length"), 1, "{}", self.browser.text());
        self.browser.click(&button);
    }

    #[track_caller]
    fn count(&self, selector: &str) -> u64 {
        self.browser.script(&format!("return document.querySelectorAll({selector:?}).length")).as_u64().unwrap()
    }

    /// With the operator's code, on the auth origin, and back by the link there.
    #[track_caller]
    fn enrolls(&self) {
        self.goes_on("enrol");
        self.sees("#code");
        let code = self.browser.script("return document.getElementById('code').textContent");
        // In this tab: a virtual authenticator belongs to the tab that it was plugged into.
        let link = self.browser.script("return document.querySelector('#enrol a.primary').href");
        self.browser.open(link.as_str().unwrap());
        self.browser.fill("input[name=code]", code.as_str().unwrap());
        self.browser.click("#start");
        self.sees("#done:not([hidden])");
        self.browser.click("hr + p a");
        self.reads("Alice has 1 passkey");
        assert_eq!(self.browser.url(), self.home);
    }

    #[track_caller]
    fn opens_the_payroll(&self) {
        self.browser.open(&format!("{}payroll", self.home));
    }

    #[track_caller]
    fn is_in(&self) {
        self.reads("Payroll of the demonstration");
        assert_eq!(self.browser.url(), format!("{}payroll", self.home));
    }

    /// The attack's result is on the page: nothing got through, and the reasons are drawn.
    #[track_caller]
    fn sees_the_attack_stopped(&self, step: &str) {
        self.sees(&format!("#{step}.done .result.stopped"));
        assert_eq!((self.count(".tries .held"), self.count(".tries .fell")), (3, 0), "{}", self.browser.text());
        assert!(self.count(".result .bars meter") >= 1, "{}", self.browser.text());
        let drawn = "const bars = [...document.querySelectorAll('.result .bars meter')]; return bars.every((bar) => bar.value > 0 && bar.getBoundingClientRect().width > 20)";
        assert_eq!(self.browser.script(drawn), true);
    }
}

#[test]
fn the_story_in_a_browser() {
    let demo = Demo::start(&["--port", "0"]);
    let driver = Driver::start(demo.folder.path());
    let person = Person { browser: driver.browser(), home: &demo.url };
    let _authenticator = person.browser.add_authenticator();

    // A working day.
    person.browser.open(&demo.url);
    person.goes_on("sign-in");
    person.enrolls();
    person.goes_on("work");
    person.is_in();
    person.browser.click(".primary");

    // Her token is stolen.
    person.goes_on("attack");
    person.sees_the_attack_stopped("attack");
    let text = person.browser.text();
    assert!(text.contains("Wed 03:40") && text.contains("a network in a country that is new to the subject"), "{text}");
    assert_eq!(person.count(".timeline tr.attacker"), 2, "{text}");
    assert_eq!(person.count(".timeline tr:not(.attacker) .in"), 1, "{text}");

    // Alice herself, there and then: the passkey lets her in.
    person.goes_on("travel");
    person.sees("#travel a.primary");
    person.goes_on("travel");
    person.is_in();
    person.opens_the_payroll();
    person.is_in();
    person.browser.click(".row a:not(.button)");
    person.reads("Allowed");
    person.browser.open(&demo.url);
    let text = person.browser.text();
    assert!(text.contains("Alice proved with her passkey"), "{text}");

    // Her proof does not help him.
    person.goes_on("again");
    person.sees_the_attack_stopped("again");
    person.reads("That is the whole story");
    assert_eq!(person.count(".timeline tr.attacker .in"), 0, "{}", person.browser.text());
}

#[test]
fn whoever_comes_by_another_way_is_helped() {
    let demo = Demo::start(&["--port", "0"]);
    let driver = Driver::start(demo.folder.path());
    let person = Person { browser: driver.browser(), home: &demo.url };
    person.browser.open(&demo.url.replace("payroll.localhost", "127.0.0.1"));
    person.sees("#sign-in.next .primary");
    assert_eq!(person.browser.url(), demo.url);
    person.browser.open(&format!("{}why/nothing", demo.url));
    person.reads("There is nothing here");

    // A browser without passkeys says so before anything is tried.
    person.browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": "delete window.PublicKeyCredential"}));
    person.browser.open(&demo.url);
    person.sees("#no-passkeys:not([hidden])");
}

#[test]
fn an_expired_token_is_told_and_renewed() {
    let demo = Demo::start(&["--port", "0"]);
    let driver = Driver::start(demo.folder.path());
    let person = Person { browser: driver.browser(), home: &demo.url };
    person.browser.open(&demo.url);
    person.goes_on("sign-in");
    person.sees("#sign-in.done");
    for _ in 0..2 {
        let before = person.browser.text();
        person.browser.click(".play form[action='/go/morning'] button");
        person.browser.wait_until("later", |browser| browser.text() != before && Person::is_there(browser, ".play"));
    }
    person.reads("Your token has expired");
    person.opens_the_payroll();
    person.reads("Your token has expired");
    person.browser.click(".primary");
    person.sees("#sign-in.done");

    // Without a passkey the night abroad ends with a page that says what to do.
    person.browser.click(".play form[action='/go/night'] button");
    person.reads("Thu 03:40");
    person.browser.click(".play form[action='/go/singapore'] button");
    person.sees("#travel a.button");
    person.opens_the_payroll();
    person.reads("alice has none yet");
    assert!(person.count(".bars meter") >= 1, "{}", person.browser.text());

    person.browser.open(&demo.url);
    person.browser.click("#sign-in .quiet");
    person.sees("#sign-in.next .primary");
    person.opens_the_payroll();
    person.reads("You are not signed in");
}
