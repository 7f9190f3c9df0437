//! Attacks on the step-up over plain HTTP, through the real nginx, with a software authenticator that says whatever the attacker wants.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use countersign_pdp_demo::authenticator::SoftAuthenticator;
use countersign_tests::http::{self, Answer};
use countersign_tests::issuer::ISS;
use countersign_tests::stage::{FROM, OWNERS_AGENT, PARIS, SINGAPORE, Stage};
use serde_json::{Value, json};

const GRANT: &str = "__Host-countersign-grant";
const DEVICE: &str = "__Host-countersign-device";

/// A browser that keeps cookies and follows nothing by itself.
pub(crate) struct Visitor<'a> {
    stage: &'a Stage,
    from: &'static str,
    agent: &'static str,
    cookies: RefCell<BTreeMap<(String, String), String>>,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(stage: &'a Stage, from: &'static str, token: &str) -> Self {
        let visitor = Self { stage, from, agent: OWNERS_AGENT, cookies: RefCell::default() };
        visitor.keep("payroll", "access_token", token);
        visitor
    }

    fn keep(&self, host: &str, name: &str, value: &str) {
        self.cookies.borrow_mut().insert((host.to_owned(), name.to_owned()), value.to_owned());
    }

    fn cookie(&self, host: &str, name: &str) -> Option<String> {
        self.cookies.borrow().get(&(host.to_owned(), name.to_owned())).cloned()
    }

    fn cookie_header(&self, host: &str) -> String {
        let cookies = self.cookies.borrow();
        let own = cookies.iter().filter(|((of, _), _)| of == host);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn request(&self, method: &str, host: &str, target: &str, more: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let cookies = self.cookie_header(host);
        let mut headers = vec![(FROM, self.from), ("user-agent", self.agent), ("accept", "text/html")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        headers.extend(more);
        let answer = self.stage.send(method, host, target, &headers, body);
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.keep(host, name, value);
        }
        answer
    }

    pub(crate) fn visit(&self, host: &str, target: &str) -> Answer {
        self.request("GET", host, target, &[], None)
    }

    pub(crate) fn origin(&self, host: &str) -> String {
        self.stage.url(host, "")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", "auth", path, &[("origin", &self.origin("auth"))], Some(body))
    }

    /// Follows a link to one of the hosts.
    #[track_caller]
    fn follow(&self, link: &str) -> Answer {
        let host = ["payroll", "wiki", "auth"].into_iter().find(|host| link.starts_with(&self.stage.url(host, "/")));
        let host = host.unwrap_or_else(|| panic!("{link} leads away"));
        self.visit(host, &link[self.origin(host).len()..])
    }

    /// The link to the ceremony that a denied request gets.
    #[track_caller]
    fn demanded(&self, target: &str) -> String {
        let answer = self.visit("payroll", target);
        let link = answer.header("location").unwrap_or_else(|| panic!("not asked: {answer:?}\n{}", self.stage.log())).to_owned();
        assert!(answer.status == 302 && link.contains("/.countersign/step-up?d="), "{answer:?}");
        link
    }

    #[track_caller]
    fn open(&self, link: &str) -> String {
        let answer = self.follow(link);
        assert_eq!(answer.status, 303, "{answer:?}");
        let page = answer.header("location").unwrap();
        page.strip_prefix(&self.stage.url("auth", "/step-up/")).unwrap_or_else(|| panic!("{page}")).to_owned()
    }

    #[track_caller]
    fn begin(&self) -> String {
        self.open(&self.demanded("/payroll"))
    }

    #[track_caller]
    fn challenge(&self, ceremony: &str) -> Value {
        let answer = self.post(&format!("/step-up/{ceremony}/challenge"), &json!({}));
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.stage.log());
        answer.json()
    }

    fn prove(&self, ceremony: &str, assertion: &Value) -> Answer {
        self.post(&format!("/step-up/{ceremony}/proof"), assertion)
    }

    /// Touches the key; gives the link at which the code is redeemed.
    #[track_caller]
    fn touch(&self, key: &mut SoftAuthenticator, ceremony: &str) -> String {
        let assertion = key.assert(&self.challenge(ceremony), &self.origin("auth")).unwrap();
        let answer = self.prove(ceremony, &assertion);
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.stage.log());
        answer.json()["location"].as_str().unwrap().to_owned()
    }

    /// The whole step-up, until the grant's cookie is there.
    #[track_caller]
    pub(crate) fn step_up(&self, key: &mut SoftAuthenticator) -> String {
        let link = self.touch(key, &self.begin());
        let answer = self.follow(&link);
        assert_eq!((answer.status, answer.header("location")), (303, Some(self.stage.url("payroll", "/payroll").as_str())), "{answer:?}");
        self.cookie("payroll", GRANT).unwrap()
    }

    #[track_caller]
    pub(crate) fn enrolled(&self, sub: &str) -> SoftAuthenticator {
        let mut key = SoftAuthenticator::new();
        let code = self.stage.operated(&["enroll-code", "--iss", ISS, "--sub", sub]);
        let options = self.post("/enroll/begin", &json!({"code": code["code"]}));
        assert_eq!(options.status, 200, "{options:?}");
        let options = options.json();
        let credential = key.register(&options, &self.origin("auth")).unwrap();
        let done = self.post("/enroll/finish", &json!({"enrolment": options["enrolment"], "label": "key", "credential": credential}));
        assert_eq!(done.status, 204, "{done:?}\n{}", self.stage.log());
        key
    }
}

#[track_caller]
fn is_refused(answer: &Answer, status: u16, trouble: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.contains(trouble), "not `{trouble}`: {answer:?}");
    assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
}

fn credential_of(stage: &Stage, sub: &str) -> String {
    let all = stage.operated(&["credentials", "list", "--iss", ISS, "--sub", sub]);
    all["credentials"][0]["id"].as_str().unwrap_or_else(|| panic!("{all}")).to_owned()
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let met = (0..1_000).any(|_| {
        let held = holds();
        if !held {
            std::thread::yield_now();
        }
        held
    });
    assert!(met, "never {what}");
}

/// Bytes as they are, to the public listener itself or to nginx.
fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn only_the_subjects_own_fresh_assertion_proves_anything() {
    let stage = Stage::set();
    let owner = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({})));
    let (mut alices, mut bobs) = (owner.enrolled("alice"), owner.enrolled("bob"));
    let origin = owner.origin("auth");

    // Bob's passkey over alice's challenge, under his own name, and a forged one under hers.
    let ceremony = owner.begin();
    let mut options = owner.challenge(&ceremony);
    assert!(bobs.assert(&options, &origin).is_err(), "bob's passkey is not asked for");
    options["publicKey"]["allowCredentials"][0]["id"] = credential_of(&stage, "bob").into();
    let of_bob = bobs.assert(&options, &origin).unwrap();
    is_refused(&owner.prove(&ceremony, &of_bob), 403, "refused");
    let forged = SoftAuthenticator::new().forge(&owner.challenge(&ceremony), &origin).unwrap();
    is_refused(&owner.prove(&ceremony, &forged), 403, "refused");

    // An assertion is good once, in its own ceremony.
    let ceremony = owner.begin();
    let assertion = alices.assert(&owner.challenge(&ceremony), &origin).unwrap();
    is_refused(&owner.prove(&owner.begin(), &assertion), 403, "refused");
    let ceremony_of_another_tab = owner.begin();
    owner.challenge(&ceremony_of_another_tab);
    is_refused(&owner.prove(&ceremony_of_another_tab, &assertion), 403, "refused");
    let ceremony = owner.begin();
    let assertion = alices.assert(&owner.challenge(&ceremony), &origin).unwrap();
    assert_eq!(owner.prove(&ceremony, &assertion).status, 200);
    is_refused(&owner.prove(&ceremony, &assertion), 410, "expired");
    let again = owner.begin();
    owner.challenge(&again);
    is_refused(&owner.prove(&again, &assertion), 403, "refused");
}

#[test]
fn three_wrong_proofs_end_a_ceremony() {
    let stage = Stage::set();
    let owner = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({})));
    let mut key = owner.enrolled("alice");
    let origin = owner.origin("auth");
    let ceremony = owner.begin();
    for _ in 0..3 {
        let forged = SoftAuthenticator::new().forge(&owner.challenge(&ceremony), &origin).unwrap();
        // An answer without a challenge is none, and costs nothing.
        is_refused(&owner.prove(&ceremony, &forged), 403, "refused");
    }
    let answer = owner.post(&format!("/step-up/{ceremony}/challenge"), &json!({}));
    is_refused(&answer, 410, "expired");
    is_refused(&owner.visit("auth", &format!("/step-up/{ceremony}")), 410, "expired");
    let late = key.assert(
        &json!({"publicKey": {"challenge": "AAAA", "rpId": "auth.localhost", "allowCredentials": [
            {"id": credential_of(&stage, "alice"), "type": "public-key"}
        ]}}),
        &origin,
    );
    is_refused(&owner.prove(&ceremony, &late.unwrap()), 410, "expired");
}

#[test]
fn a_code_is_redeemed_once_in_its_own_browser_on_its_own_host() {
    let stage = Stage::set();
    let token = stage.issuer.token("alice", &json!({}));
    let owner = Visitor::new(&stage, SINGAPORE, &token);
    let mut key = owner.enrolled("alice");
    let thief = Visitor::new(&stage, SINGAPORE, &token);
    thief.begin();

    // The owner's code in the thief's browser is refused, and burnt for the owner.
    let link = owner.touch(&mut key, &owner.begin());
    is_refused(&thief.follow(&link), 403, "wrong_browser");
    is_refused(&owner.follow(&link), 403, "wrong_browser");

    // The owner touches the key on the thief's page: the code works in neither browser.
    let ceremony = thief.begin();
    let link = owner.touch(&mut key, &ceremony);
    is_refused(&owner.follow(&link), 403, "wrong_browser");
    is_refused(&thief.follow(&link), 403, "wrong_browser");

    // On the other protected host, with the same cookies.
    let link = owner.touch(&mut key, &owner.begin());
    for (name, value) in
        [("access_token", token.as_str()), ("__Host-countersign-pre", &owner.cookie("payroll", "__Host-countersign-pre").unwrap())]
    {
        owner.keep("wiki", name, value);
    }
    is_refused(&owner.follow(&link.replace("payroll", "wiki")), 403, "wrong_browser");
    is_refused(&owner.follow(&link), 403, "wrong_browser");

    // In a browser that has meanwhile become bob's.
    let link = owner.touch(&mut key, &owner.begin());
    owner.keep("payroll", "access_token", &stage.issuer.token("bob", &json!({})));
    is_refused(&owner.follow(&link), 403, "wrong_browser");
    owner.keep("payroll", "access_token", &token);
    is_refused(&owner.follow(&link), 403, "wrong_browser");

    // Twice.
    let link = owner.touch(&mut key, &owner.begin());
    assert_eq!(owner.follow(&link).status, 303);
    is_refused(&owner.follow(&link), 403, "wrong_browser");
    assert_eq!(thief.cookie("payroll", GRANT), None);
    assert_eq!(stage.app.served(), 0, "nothing reached the application");
    assert_eq!(owner.visit("payroll", "/payroll").status, 200);
}

#[test]
fn a_page_of_another_site_cannot_act() {
    let stage = Stage::set();
    let owner = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({})));
    let mut key = owner.enrolled("alice");
    let ceremony = owner.begin();
    let (auth, payroll) = (owner.origin("auth"), owner.origin("payroll"));
    let paths =
        [format!("/step-up/{ceremony}/challenge"), format!("/step-up/{ceremony}/proof"), "/enroll/begin".into(), "/enroll/finish".into()];
    for path in &paths {
        let refused =
            |headers: &[(&str, &str)]| is_refused(&owner.request("POST", "auth", path, headers, Some(&json!({}))), 403, "not_allowed");
        refused(&[]);
        refused(&[("origin", "null")]);
        refused(&[("origin", &payroll)]);
        refused(&[("origin", "https://evil.example")]);
        refused(&[("origin", &format!("{auth}.evil.example"))]);
        refused(&[("origin", &auth), ("origin", "https://evil.example")]);
        refused(&[("origin", &auth), ("sec-fetch-site", "same-site")]);
        refused(&[("origin", &auth), ("sec-fetch-site", "cross-site")]);
        let host = format!("auth.localhost:{}", stage.port);
        for kind in ["Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", ""] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {auth}\r\n{kind}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            );
            let answer = raw(stage.port, &request);
            assert!(answer.starts_with("HTTP/1.1 403 "), "{kind}: {answer}");
        }
        assert_eq!(owner.visit("auth", path).status, 405, "{path}");
    }
    // None of it disturbed the ceremony.
    owner.touch(&mut key, &ceremony);
}

#[test]
fn each_path_exists_on_its_own_host_alone() {
    let stage = Stage::set();
    let host = |name: &str| format!("{name}.localhost:{}", stage.port);
    let status = |method: &str, host: &str, path: &str| {
        let more = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        let answer = raw(stage.public, &format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"));
        answer.split(' ').nth(1).unwrap_or_else(|| panic!("{method} {host}{path}: {answer}")).parse::<u16>().unwrap()
    };
    let protected =
        ["/.countersign/", "/.countersign/step-up", "/.countersign/return", "/.countersign/enroll", "/.countersign/assets/mark.svg"];
    let auth = [
        ("GET", "/"),
        ("GET", "/step-up/main.1.x"),
        ("POST", "/step-up/main.1.x/challenge"),
        ("POST", "/step-up/main.1.x/proof"),
        ("GET", "/enroll"),
        ("POST", "/enroll/begin"),
        ("POST", "/enroll/finish"),
        ("GET", "/assets/mark.svg"),
    ];
    let wrong_port = format!("payroll.localhost:{}", stage.public);
    let nobodys =
        ["evil.example".to_owned(), "127.0.0.1".to_owned(), "payroll.localhost".to_owned(), wrong_port, host("payroll.localhost.evil")];
    for path in protected {
        assert_ne!(status("GET", &host("payroll"), path), 404, "{path}");
        assert_eq!(status("GET", &host("auth"), path), 404, "{path}");
        nobodys.iter().for_each(|host| assert_eq!(status("GET", host, path), 404, "{host}{path}"));
    }
    for (method, path) in auth {
        assert_eq!(status(method, &host("payroll"), path), 404, "{path}");
        nobodys.iter().for_each(|host| assert_eq!(status(method, host, path), 404, "{host}{path}"));
    }
    assert_eq!(status("GET", &host("auth"), "/enroll"), 200);
    assert_eq!(status("GET", &host("auth"), "/assets/mark.svg"), 200);
    assert_eq!(http::send("GET", &format!("http://127.0.0.1:{}/enroll", stage.port), &[("host", "evil.example")], None).status, 421);
}

#[test]
fn a_client_cannot_say_where_it_is() {
    let stage = Stage::set();
    let token = stage.issuer.token("alice", &json!({}));
    let owner = Visitor::new(&stage, SINGAPORE, &token);
    let mut key = owner.enrolled("alice");
    let lies = [("x-forwarded-for", PARIS), ("x-countersign-pep", "nginx:guessed"), ("x-real-ip", PARIS), ("forwarded", "for=192.0.2.10")];

    // At the decision: still asked.
    let asked = owner.request("GET", "payroll", "/payroll", &lies, None);
    assert_eq!(asked.status, 302, "{asked:?}");
    let ceremony = owner.open(asked.header("location").unwrap());

    // At the return: what is answered and learned is the true place, so the next request from there passes.
    let link = owner.touch(&mut key, &ceremony);
    let target = &link[owner.origin("payroll").len()..];
    let granted = owner.request("GET", "payroll", target, &lies, None);
    assert_eq!(granted.status, 303, "{granted:?}\n{}", stage.log());
    assert_eq!(owner.visit("payroll", "/payroll").status, 200);

    // Directly at the public listener, a caller that does not prove itself is refused, and one that says nothing of itself is nowhere.
    let lying = |pep: &str| {
        let host = format!("payroll.localhost:{}", stage.port);
        let head = format!("GET /.countersign/ HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {PARIS}\r\nConnection: close\r\n");
        raw(stage.public, &format!("{head}{pep}\r\n"))
    };
    for pep in ["nginx:guessed", "nginx", "", "nobody:nginx-secret-for-this-test", "nginx:"] {
        let answer = lying(&format!("X-Countersign-Pep: {pep}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{pep}: {answer}");
    }
    let twice = lying("X-Countersign-Pep: nginx:nginx-secret-for-this-test\r\nX-Countersign-Pep: nginx:guessed\r\n");
    assert!(twice.starts_with("HTTP/1.1 403 "), "{twice}");
    assert!(lying("").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_grant_is_its_subjects_and_is_presented_once() {
    let stage = Stage::set();
    let token = stage.issuer.token("alice", &json!({}));
    let owner = Visitor::new(&stage, SINGAPORE, &token);
    let mut key = owner.enrolled("alice");
    let grant = owner.step_up(&mut key);
    assert_eq!(owner.visit("payroll", "/payroll").status, 200);

    let of = |token: &str, cookies: &str| {
        let cookies = format!("access_token={token}{cookies}");
        stage.send("GET", "payroll", "/payroll", &[(FROM, SINGAPORE), ("user-agent", OWNERS_AGENT), ("cookie", &cookies)], None).status
    };
    let bobs = stage.issuer.token("bob", &json!({}));
    let device = owner.cookie("payroll", DEVICE).unwrap();
    assert_eq!(of(&token, &format!("; {GRANT}={grant}; {DEVICE}={device}")), 200);
    let alone = of(&bobs, "");
    assert_ne!(alone, 200);
    assert_eq!(of(&bobs, &format!("; {GRANT}={grant}")), alone);
    assert_eq!(of(&token, ""), 401);
    assert_eq!(of(&token, &format!("; {GRANT}={grant}; {GRANT}={grant}")), 403);
    assert_eq!(of(&token, &format!("; {GRANT}={}", "A".repeat(43))), 401);
    assert_eq!(of(&token, &format!("; {GRANT}=")), 401);
}

#[test]
fn a_revocation_ends_what_is_under_way() {
    let stage = Stage::set();
    let owner = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({})));
    let mut key = owner.enrolled("alice");
    owner.step_up(&mut key);
    assert_eq!(owner.visit("payroll", "/payroll").status, 200);

    // One browser holds a grant, a second a code, a third an open ceremony, a fourth an open enrolment.
    let other = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({"sid": "other"})));
    let link = other.touch(&mut key, &other.begin());
    let third = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({"sid": "third"})));
    let ceremony = third.begin();
    let options = third.challenge(&ceremony);
    let ticket = owner.visit("payroll", "/.countersign/enroll").header("location").unwrap().split_once("ticket=").unwrap().1.to_owned();
    let enrolment = owner.post("/enroll/begin", &json!({"ticket": ticket})).json();
    let unused = owner.visit("payroll", "/.countersign/enroll").header("location").unwrap().split_once("ticket=").unwrap().1.to_owned();
    let _ = stage.operated(&["revoke", "subject", "--iss", ISS, "--sub", "alice", "--reason", "left"]);

    let before = stage.app.served();
    assert_eq!(owner.visit("payroll", "/payroll").status, 401);
    is_refused(&other.follow(&link), 403, "not_allowed");
    is_refused(&other.follow(&link), 403, "wrong_browser");
    is_refused(&third.post(&format!("/step-up/{ceremony}/challenge"), &json!({})), 403, "not_allowed");
    let assertion = key.assert(&options, &third.origin("auth")).unwrap();
    is_refused(&third.prove(&ceremony, &assertion), 403, "not_allowed");
    is_refused(&owner.visit("payroll", "/.countersign/enroll"), 403, "not_allowed");
    is_refused(&owner.post("/enroll/begin", &json!({"ticket": unused})), 403, "not_allowed");
    let credential = SoftAuthenticator::new().register(&enrolment, &owner.origin("auth")).unwrap();
    let late = owner.post("/enroll/finish", &json!({"enrolment": enrolment["enrolment"], "label": "late", "credential": credential}));
    is_refused(&late, 403, "not_allowed");
    assert_eq!(stage.app.served(), before);
}

#[test]
fn a_removed_passkey_proves_nothing_any_more() {
    let stage = Stage::set();
    let token = stage.issuer.token("alice", &json!({}));
    let owner = Visitor::new(&stage, SINGAPORE, &token);
    let remove = |key: &str| {
        let done = stage.operate(&["credentials", "remove", key]);
        assert!(done.status.success(), "{done:?}\n{}", stage.log());
    };

    // Between challenge and proof.
    let mut key = owner.enrolled("alice");
    let ceremony = owner.begin();
    let assertion = key.assert(&owner.challenge(&ceremony), &owner.origin("auth")).unwrap();
    remove(&credential_of(&stage, "alice"));
    is_refused(&owner.prove(&ceremony, &assertion), 403, "refused");

    // Between proof and redemption.
    let mut key = owner.enrolled("alice");
    let link = owner.touch(&mut key, &owner.begin());
    remove(&credential_of(&stage, "alice"));
    is_refused(&owner.follow(&link), 403, "refused");

    // After redemption: the grants that it made end with it, and so do the enrolments that they allowed.
    let mut key = owner.enrolled("alice");
    owner.step_up(&mut key);
    assert_eq!(owner.visit("payroll", "/payroll").status, 200);
    let link = owner.visit("payroll", "/.countersign/enroll").header("location").unwrap().to_owned();
    let ticket = link.split_once("ticket=").unwrap().1;
    let begun = owner.post("/enroll/begin", &json!({"ticket": ticket})).json();
    let link = owner.visit("payroll", "/.countersign/enroll").header("location").unwrap().to_owned();
    let unused = link.split_once("ticket=").unwrap().1;
    remove(&credential_of(&stage, "alice"));
    let page = owner.visit("payroll", "/.countersign/");
    assert!(page.status == 200 && page.body.contains("alice") && !page.body.contains("/.countersign/enroll"), "{page:?}");
    is_refused(&owner.visit("payroll", "/.countersign/enroll"), 403, "not_allowed");
    is_refused(&owner.post("/enroll/begin", &json!({"ticket": unused})), 403, "not_allowed");
    let credential = SoftAuthenticator::new().register(&begun, &owner.origin("auth")).unwrap();
    let late = owner.post("/enroll/finish", &json!({"enrolment": begun["enrolment"], "label": "late", "credential": credential}));
    is_refused(&late, 403, "not_allowed");
    let left = stage.operated(&["credentials", "list", "--iss", ISS, "--sub", "alice"]);
    assert_eq!(left["credentials"], json!([]));
}

#[test]
fn five_distinct_contexts_lock_a_session_and_no_other() {
    let stage = Stage::set();
    let stolen = stage.issuer.token("alice", &json!({"sid": "stolen"}));
    let mut thief = Visitor::new(&stage, SINGAPORE, &stolen);
    let _key = thief.enrolled("alice");
    // The same context again and again is one.
    for _ in 0..8 {
        thief.demanded("/payroll");
    }
    for agent in [
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "curl/8.5.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ] {
        thief.agent = agent;
        thief.demanded("/payroll");
    }
    thief.agent = OWNERS_AGENT;
    until("locked", || thief.visit("payroll", "/payroll").status == 403);
    assert!(stage.log().contains("session is locked"), "{}", stage.log());
    let owner = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({"sid": "own"})));
    owner.demanded("/payroll");
}

#[test]
fn every_page_says_what_it_may_load() {
    let stage = Stage::set();
    let owner = Visitor::new(&stage, SINGAPORE, &stage.issuer.token("alice", &json!({})));
    let _key = owner.enrolled("alice");
    let ceremony = owner.begin();
    let pages = [
        ("payroll", "/.countersign/".to_owned(), 200),
        ("payroll", "/.countersign/step-up?d=unknown".to_owned(), 410),
        ("payroll", "/.countersign/step-up".to_owned(), 410),
        ("payroll", "/.countersign/return?code=unknown".to_owned(), 403),
        ("payroll", "/.countersign/enroll".to_owned(), 403),
        ("payroll", "/.countersign/nothing".to_owned(), 404),
        ("payroll", "/.countersign/assets/nothing".to_owned(), 404),
        ("auth", "/".to_owned(), 200),
        ("auth", format!("/step-up/{ceremony}"), 200),
        ("auth", "/step-up/unknown".to_owned(), 410),
        ("auth", "/enroll".to_owned(), 200),
        ("auth", "/enroll?ticket=%22%3E%3Cscript%3E".to_owned(), 200),
        ("auth", "/nothing".to_owned(), 404),
        ("auth", "/.countersign/".to_owned(), 404),
    ];
    for (host, path, status) in pages {
        let answer = owner.visit(host, &path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}: {answer:?}"));
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(!answer.body.contains("\"><script>"), "{path}");
    }
}

#[test]
fn no_secret_reaches_the_log() {
    let stage = Stage::set();
    let token = stage.issuer.token("alice", &json!({}));
    let owner = Visitor::new(&stage, SINGAPORE, &token);
    let mut key = owner.enrolled("alice");
    let demand = owner.demanded("/payroll");
    let ceremony = owner.open(&demand);
    let forged = SoftAuthenticator::new().forge(&owner.challenge(&ceremony), &owner.origin("auth")).unwrap();
    is_refused(&owner.prove(&ceremony, &forged), 403, "refused");
    let options = owner.challenge(&ceremony);
    let assertion = key.assert(&options, &owner.origin("auth")).unwrap();
    let link = owner.prove(&ceremony, &assertion).json()["location"].as_str().unwrap().to_owned();
    assert_eq!(owner.follow(&link).status, 303);
    is_refused(&owner.follow(&link), 403, "wrong_browser");
    assert_eq!(owner.visit("payroll", "/payroll?secret=in-the-query").status, 200);
    let enroll = owner.visit("payroll", "/.countersign/enroll").header("location").unwrap().to_owned();

    let log = stage.log();
    assert!(log.contains("step-up granted") && log.contains("step-up proof is refused"), "{log}");
    let after = |text: &str, mark: &str| text.split_once(mark).unwrap().1.to_owned();
    let mut secrets: BTreeSet<String> = owner.cookies.borrow().values().cloned().collect();
    secrets.extend([after(&demand, "?d="), after(&link, "?code="), after(&enroll, "?ticket="), "in-the-query".to_owned()]);
    secrets.extend([ceremony.rsplit('.').next().unwrap().to_owned(), token.rsplit('.').next().unwrap().to_owned()]);
    secrets.extend(
        [&options["publicKey"]["challenge"], &assertion["response"]["signature"], &forged["response"]["signature"]]
            .map(|text| text.as_str().unwrap().to_owned()),
    );
    secrets.insert("nginx-secret-for-this-test".to_owned());
    assert!(secrets.len() >= 12, "{secrets:?}");
    for secret in secrets {
        assert!(!log.contains(&secret), "`{secret}` is in the log:\n{log}");
    }
}
