//! One story behind each real proxy, with the configuration that `sdk/examples` shows: who is let in, who is not and how they are told, and that no
//! trick of a client and no failure of ours lets anybody in.

use countersign_pdp_engine::path::CanonicalPath;
use countersign_tests::browser::Driver;
use countersign_tests::http::{self, Answer};
use countersign_tests::issuer::ISS;
use countersign_tests::process::wait_for;
use countersign_tests::proxy::Proxy;
use countersign_tests::stage::{FROM, OWNERS_AGENT, PARIS, SINGAPORE, Scenery, Stage};
use serde_json::{Value, json};

use crate::visitor::Visitor;

#[test]
fn the_story_behind_nginx() {
    tell(Proxy::Nginx);
}

#[test]
fn the_story_behind_haproxy() {
    tell(Proxy::Haproxy);
}

#[test]
fn the_story_behind_caddy() {
    tell(Proxy::Caddy);
}

#[test]
fn the_story_behind_envoy_over_http() {
    tell(Proxy::EnvoyHttp);
}

#[test]
fn the_story_behind_envoy_over_grpc() {
    tell(Proxy::EnvoyGrpc);
}

fn tell(proxy: Proxy) {
    let mut story = Story::begin(proxy);
    story.the_owner_is_let_in();
    story.others_are_refused();
    story.a_browser_steps_up();
    story.a_client_brings_no_identity();
    story.a_client_says_nothing_about_the_way();
    story.what_is_ambiguous_is_refused();
    story.a_request_names_one_host();
    story.what_arrives_is_what_was_decided();
    story.what_appears_twice_is_refused();
    story.an_api_client_is_challenged();
    story.a_script_is_told_where_to_go();
    story.a_grpc_call_is_told_in_its_own_words();
    story.a_web_socket_is_checked_when_it_opens();
    story.a_revoked_session_ends_with_its_next_request();
    story.a_slow_answer_lets_nobody_in();
    story.no_answer_lets_nobody_in();
}

/// For how long the proxies wait for an answer.
const PATIENCE_MS: u32 = 4_000;

/// Every header by which an application is told who asks, as `sdk/examples` names them.
const IDENTITY: [&str; 5] = ["remote-user", "x-countersign-subject", "x-countersign-decision", "x-countersign-risk", "x-countersign-would"];

struct Story {
    proxy: Proxy,
    stage: Stage,
}

impl Story {
    fn begin(proxy: Proxy) -> Self {
        let employee = json!({"role": "employee"});
        let users = json!({"alice": employee, "bob": employee, "carol": employee});
        let scenery = Scenery { proxy, patience_ms: PATIENCE_MS, users, past: &["alice", "bob", "carol"], ..Scenery::default() };
        Self { proxy, stage: Stage::with(&scenery) }
    }

    fn token(&self, sub: &str) -> String {
        self.stage.issuer.token(sub, &json!({"sid": format!("{sub}s-login")}))
    }

    /// A request with a bearer token, as a program sends it.
    #[track_caller]
    fn call(&self, sub: &str, from: &str, target: &str, more: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.token(sub));
        let own = [("authorization", bearer.as_str()), ("user-agent", OWNERS_AGENT), (FROM, from)];
        self.stage.send("GET", "payroll", target, &own.iter().chain(more).copied().collect::<Vec<_>>(), None)
    }

    /// Bytes as they are, after the request line and the host.
    #[track_caller]
    fn raw(&self, line: &str, headers: &str) -> String {
        let head = format!("{line} HTTP/1.1\r\nHost: payroll.localhost:{}\r\n{headers}\r\n", self.stage.port);
        http::raw(self.stage.port, head.as_bytes(), |_| false)
    }

    /// The headers of alice at home, for [`Self::raw`].
    fn alices(&self) -> String {
        format!("Authorization: Bearer {}\r\n{FROM}: {PARIS}\r\nUser-Agent: {OWNERS_AGENT}\r\nConnection: close\r\n", self.token("alice"))
    }

    /// Nothing reaches the application while this runs.
    #[track_caller]
    fn unreached<T>(&self, what: &str, act: impl FnOnce() -> T) -> T {
        let before = self.stage.app.served();
        let done = act();
        assert_eq!(self.stage.app.served(), before, "{:?}: {what} reached the application\n{}", self.proxy, self.stage.log());
        done
    }

    #[track_caller]
    fn is_refused(&self, what: &str, statuses: &[u16], act: impl FnOnce() -> Answer) -> Answer {
        let answer = self.unreached(what, act);
        assert!(statuses.contains(&answer.status), "{:?}: {what}: {answer:?}\n{}", self.proxy, self.stage.log());
        answer
    }

    fn the_owner_is_let_in(&self) {
        let allowed = self.call("alice", PARIS, "/payroll?year=2026&name=%20x", &[]);
        assert_eq!(allowed.status, 200, "{allowed:?}\n{}", self.stage.log());
        let reached = allowed.json();
        assert_eq!(reached["target"], "/payroll?year=2026&name=%20x");
        assert_eq!(reached["headers"]["remote-user"], json!(["alice"]), "{reached}");
        assert!(reached["headers"]["x-countersign-decision"][0].as_str().unwrap().starts_with("main."), "{reached}");
    }

    fn others_are_refused(&self) {
        self.is_refused("who has no role", &[403], || self.call("mallory", PARIS, "/payroll", &[]));
        let nobody = self.is_refused("nobody", &[401], || self.stage.send("GET", "payroll", "/payroll", &[(FROM, PARIS)], None));
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"), "{nobody:?}");
        let expired = format!("Bearer {}", self.stage.issuer.token("alice", &json!({"exp": 1})));
        self.is_refused("an expired token", &[401], || self.stage.send("GET", "payroll", "/", &[("authorization", &expired)], None));
        let preflight = [("origin", "https://elsewhere.example"), ("access-control-request-method", "DELETE"), (FROM, PARIS)];
        self.is_refused("a preflight", &[403], || self.stage.send("OPTIONS", "payroll", "/payroll", &preflight, None));
        let evil = [("host", "evil.example")];
        let url = format!("http://127.0.0.1:{}/", self.stage.port);
        self.is_refused("a host that is nobody's", &[421], || http::send("GET", &url, &evil, None));
    }

    /// P5: what the client says of itself never arrives, under no name.
    fn a_client_brings_no_identity(&self) {
        let aliases = IDENTITY.iter().map(|name| name.replace('-', "_"));
        let names: Vec<String> = IDENTITY.iter().map(ToString::to_string).chain(aliases).collect();
        let spoofed: Vec<_> = names.iter().map(|name| (name.as_str(), "root")).collect();
        let allowed = self.call("alice", PARIS, "/payroll", &spoofed);
        assert_eq!(allowed.status, 200, "{allowed:?}\n{}", self.stage.log());
        let reached = allowed.json();
        assert_eq!(reached["headers"]["remote-user"], json!(["alice"]), "{reached}");
        assert!(!reached.to_string().contains("root"), "{:?}: {reached}", self.proxy);
        // P6: a client may name a header that the proxy is to drop. Then the application learns of nobody, and never of somebody else.
        let dropping = format!("{}Remote-User: root\r\n", self.alices().replace("Connection: close", "Connection: close, Remote-User"));
        let answer = self.raw("GET /payroll", &dropping);
        assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("root"), "{:?}: {answer}", self.proxy);
        let mallorys = [("remote-user", "alice"), ("x-countersign-subject", "alice"), ("x-countersign-decision", "main.1.1")];
        self.is_refused("a claimed name", &[403], || self.call("mallory", PARIS, "/payroll", &mallorys));
    }

    /// P2, P3: other headers about address, path and method are not read. `/new` lets pass what the policy refuses, elsewhere nothing does.
    fn a_client_says_nothing_about_the_way(&self) {
        let paths = ["x-forwarded-uri", "x-original-url", "x-original-uri", "x-rewrite-url", "x-envoy-original-path"];
        for name in paths.iter().flat_map(|name| [(*name).to_owned(), name.replace('-', "_")]) {
            for value in ["/new/page".to_owned(), self.stage.url("payroll", "/new/page")] {
                self.is_refused(&name, &[400, 403], || self.call("mallory", PARIS, "/payroll", &[(&name, &value)]));
            }
        }
        for (name, value) in [
            ("x-forwarded-for", PARIS.to_owned()),
            ("forwarded", format!("for={PARIS}")),
            ("x-real-ip", PARIS.to_owned()),
            ("x-envoy-external-address", PARIS.to_owned()),
            ("x-client-ip", PARIS.to_owned()),
        ] {
            self.is_refused(name, &[400, 401, 403], || self.call("alice", SINGAPORE, "/payroll", &[(name, &value)]));
        }
        for (name, value) in [("x-forwarded-host", "wiki.localhost"), ("x-forwarded-method", "OPTIONS"), ("x-original-method", "OPTIONS")] {
            self.is_refused(name, &[400, 403], || self.call("mallory", PARIS, "/payroll", &[(name, value)]));
        }
        // HDR-06: nor does the proxy drop what it says itself because a client tells it to.
        let named = "close, x-forwarded-for, x-forwarded-uri, x-forwarded-method, x-original-url, x-original-method, x-countersign-pep";
        let dropping = self.alices().replace(PARIS, SINGAPORE).replace("Connection: close", &format!("Connection: {named}"));
        let answer = self.unreached("what names the headers of the proxy", || self.raw("GET /payroll", &dropping));
        assert!(answer.starts_with("HTTP/1.1 4"), "{:?}: {answer}", self.proxy);
        let probe = [("user-agent", "kube-probe/1.30")];
        self.is_refused("a probe", &[401], || self.stage.send("GET", "payroll", "/", &probe, None));
    }

    /// P1, P8: what two readers could take for two paths is nobody's.
    fn what_is_ambiguous_is_refused(&self) {
        let refused = [
            "/public/../payroll",
            "/public/%2e%2e/payroll",
            "/./payroll",
            "//payroll",
            "/payroll//x",
            "/a%2Fb",
            "/a%5Cb",
            "/a\\b",
            "/public/..;/payroll",
            "/a;b",
            "/%252e%252e/payroll",
            "/a%00b",
            "/%c0%ae%c0%ae/payroll",
            "/.countersign/../payroll",
            "/%2ecountersign/../payroll",
        ];
        for path in refused {
            let answer = self.unreached(path, || self.raw(&format!("GET {path}"), &self.alices()));
            assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"), "{:?}: {path}: {answer}", self.proxy);
        }
        // Some proxies write these as the RFC has them, and then they are one path: the one that is checked is the one that arrives.
        for (path, as_written) in [("/a#b", "/a%23b"), ("/\u{e9}", "/%C3%A9")] {
            let answer = self.raw(&format!("GET {path}"), &self.alices());
            let target = format!("\"target\":\"{as_written}\"");
            assert!(answer.starts_with("HTTP/1.1 4") || answer.contains(&target), "{:?}: {path}: {answer}", self.proxy);
        }
        for line in
            ["get /payroll", "OPTIONS *", "GET http://payroll.localhost/payroll", "GET http://evil.example/payroll", "TRACE /payroll"]
        {
            self.unreached(line, || self.raw(line, &format!("{FROM}: {PARIS}\r\nConnection: close\r\n")));
        }
    }

    /// P16: nginx chooses the server by the host of the request line, and everybody else hears of the one in `Host`.
    fn a_request_names_one_host(&self) {
        if self.proxy == Proxy::Nginx {
            let line = format!("GET http://wiki.localhost:{}/payroll", self.stage.port);
            let answer = self.unreached(&line, || self.raw(&line, &self.alices()));
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            let answer = self.raw(&format!("GET http://payroll.localhost:{}/payroll", self.stage.port), &self.alices());
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{}", self.stage.log());
        }
    }

    /// P12, PATH-11: whatever is let through can be read in one way only, and as the path that was sent.
    fn what_arrives_is_what_was_decided(&self) {
        let parts =
            ["payroll", "", ".", "..", "%2e%2e", "%2E", "%61", "a%2Fb", "a;b", "%252e", "a%20b", "~%7E", "A", "+", "%E2%84%AA", "%ff"];
        let targets: Vec<_> = parts.iter().flat_map(|first| parts.iter().map(move |second| format!("/{first}/{second}"))).collect();
        let mut passed = Vec::new();
        for target in &targets {
            let answer = self.raw(&format!("GET {target}?x=%2F"), &self.alices());
            let Some((_, body)) = answer.split_once("\r\n\r\n").filter(|_| answer.starts_with("HTTP/1.1 200 ")) else { continue };
            let reached: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{target}: {error}: {answer}"));
            let (path, query) = reached["target"].as_str().unwrap().split_once('?').unwrap();
            let (sent, arrived) = (CanonicalPath::parse(target), CanonicalPath::parse(path));
            assert!(sent.is_ok() && sent == arrived && query == "x=%2F", "{:?}: {target} arrived as {path}", self.proxy);
            passed.push(target);
        }
        // Neither is everything refused, nor anything that can be read in one way only.
        let unambiguous: Vec<_> = targets.iter().filter(|target| CanonicalPath::parse(target).is_ok()).collect();
        assert_eq!(passed, unambiguous, "{:?}", self.proxy);
    }

    /// P4, P16.
    fn what_appears_twice_is_refused(&self) {
        let twice = format!("Authorization: Bearer {}\r\n", self.token("bob"));
        let hosts = "Host: wiki.localhost\r\n".to_owned();
        let other = format!("Cookie: access_token={}\r\n", self.token("bob"));
        for (what, more) in [("two tokens", &twice), ("two hosts", &hosts), ("a token and another's cookie", &other)] {
            let answer = self.unreached(what, || self.raw("GET /payroll", &format!("{}{more}", self.alices())));
            assert!(answer.starts_with("HTTP/1.1 4"), "{:?}: {what}: {answer}", self.proxy);
        }
        // P9: a body that comes in pieces waits for nobody's answer.
        let mallory = format!(
            "Authorization: Bearer {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n",
            self.token("mallory")
        );
        let answer = self.unreached("a body in pieces", || self.raw("POST /payroll", &mallory));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{:?}: {answer}", self.proxy);
    }

    /// Carol has a passkey. RFC 9470: the challenge arrives, and nothing else that a program could not use.
    fn an_api_client_is_challenged(&self) {
        let denied = self.is_refused("an API client from afar", &[401], || self.call("carol", SINGAPORE, "/payroll", &[]));
        let challenge = denied.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("acr_values=\"phr\""), "{denied:?}");
        assert_eq!(denied.header("location"), None, "{denied:?}");
    }

    /// A script cannot follow a redirect to another page; it is told where to send its own.
    fn a_script_is_told_where_to_go(&self) {
        let cookie = format!("access_token={}", self.token("carol"));
        let fetch = [
            ("cookie", cookie.as_str()),
            ("user-agent", OWNERS_AGENT),
            (FROM, SINGAPORE),
            ("accept", "application/json"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-site", "same-origin"),
        ];
        let denied = self.is_refused("a script from afar", &[401, 403], || self.stage.send("GET", "payroll", "/api", &fetch, None));
        let ceremony = self.stage.url("payroll", "/.countersign/step-up?d=");
        assert!(denied.header("x-countersign-page").unwrap_or_default().starts_with(&ceremony), "{denied:?}");
        assert!(denied.header("www-authenticate").unwrap_or_default().contains("insufficient_user_authentication"), "{denied:?}");
        // nginx replaces the body of a refusal.
        if self.proxy != Proxy::Nginx {
            assert_eq!(denied.header("content-type"), Some("application/problem+json"), "{denied:?}");
            assert!(denied.json()["step_up"]["url"].as_str().unwrap_or_default().starts_with(&ceremony), "{denied:?}");
        }
    }

    /// nginx keeps no header of a refusal that it does not know, and Envoy says it with the status 200, as gRPC does.
    fn a_grpc_call_is_told_in_its_own_words(&self) {
        let headers = [("content-type", "application/grpc"), (FROM, PARIS)];
        let told = self.unreached("a call of nobody's", || self.stage.send("POST", "payroll", "/a.Service/Method", &headers, None));
        match self.proxy {
            Proxy::Nginx => assert_eq!(told.status, 401, "{told:?}"),
            _ => assert_eq!(told.header("grpc-status"), Some("16"), "{:?}: {told:?}", self.proxy),
        }
    }

    /// With a real browser: asked, proved, let in, and not asked again. What is checked here is the way through the proxy; the rest is in `step_up`.
    fn a_browser_steps_up(&self) {
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::start(folder.path());
        let token = self.token("carol");
        let owner = Visitor::new(&self.stage, &driver, SINGAPORE, &token);
        let _authenticator = owner.browser.add_authenticator();
        owner.enroll("carol");
        let thief = Visitor::new(&self.stage, &driver, SINGAPORE, &token);
        self.unreached("a thief", || {
            thief.visit("/payroll");
            thief.is_asked();
        });
        owner.visit("/payroll?month=3");
        owner.reaches("/payroll?month=3");
        owner.visit("/other");
        owner.reaches("/other");
        self.unreached("a thief after the owner's step-up", || {
            thief.visit("/payroll");
            thief.is_asked();
        });
    }

    /// P11.
    fn a_web_socket_is_checked_when_it_opens(&self) {
        let handshake = |sub: &str| {
            format!(
                "GET /live HTTP/1.1\r\nHost: payroll.localhost:{}\r\n{FROM}: {PARIS}\r\nUser-Agent: {OWNERS_AGENT}\r\nAuthorization: Bearer {}\r\n\
                 Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                self.stage.port,
                self.token(sub)
            )
        };
        let opened = http::raw(self.stage.port, format!("{}ping", handshake("alice")).as_bytes(), |answer| answer.ends_with("ping"));
        let opened = opened.to_ascii_lowercase();
        assert!(opened.starts_with("http/1.1 101 ") && opened.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{:?}: {opened}", self.proxy);
        assert!(opened.ends_with("\r\n\r\nping"), "{:?}: {opened}", self.proxy);
        let refused = self.unreached("mallory's socket", || {
            http::raw(self.stage.port, handshake("mallory").as_bytes(), |answer| answer.contains("\r\n\r\n"))
        });
        assert!(refused.starts_with("HTTP/1.1 403 "), "{:?}: {refused}", self.proxy);
    }

    fn a_revoked_session_ends_with_its_next_request(&self) {
        assert_eq!(self.call("bob", PARIS, "/payroll", &[]).status, 200);
        let bob = ["subject", "--iss", ISS, "--sub", "bob"];
        let revoke: Vec<_> = ["revoke"].iter().chain(&bob).chain(&["--reason", "stolen"]).copied().collect();
        assert!(self.stage.operate(&revoke).status.success());
        let refused = self.is_refused("a revoked session", &[401], || self.call("bob", PARIS, "/payroll", &[]));
        assert!(refused.header("www-authenticate").is_some(), "{refused:?}");
    }

    /// P17: the decision point hangs. Nobody is let in meanwhile, and afterwards everything is as before.
    fn a_slow_answer_lets_nobody_in(&self) {
        self.stage.pdp().freeze();
        let hung = self.unreached("a request without an answer", || self.call("alice", PARIS, "/payroll", &[]));
        self.stage.pdp().thaw();
        assert!((500..=504).contains(&hung.status), "{:?}: {hung:?}", self.proxy);
        assert!(wait_for(|| self.call("alice", PARIS, "/payroll", &[]).status == 200), "{:?}: not let in any more", self.proxy);
    }

    fn no_answer_lets_nobody_in(&mut self) {
        self.stage.end();
        self.is_refused("a request that nobody decides", &[500, 502, 503, 504], || self.call("alice", PARIS, "/payroll", &[]));
        let page: Value =
            json!(self.is_refused("its page", &[500, 502, 503, 504], || self.call("alice", PARIS, "/", &[("accept", "text/html")])).body);
        assert!(!page.to_string().contains("reached"));
    }
}
