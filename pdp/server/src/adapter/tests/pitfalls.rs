//! The pitfalls P1 to P18 that authorization behind proxies is known for, each through every adapter. P4 has its joined headers in the engine's tests, P5 its list
//! in `identity`, P11 its answers in `answer`; what needs a real proxy is told again in the stories of the integration tests.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use countersign_pdp_engine::Denial;
use countersign_pdp_engine::request::{AccessRequest, ClientKind, HostRules, Pep, RawCheck, RequestRules, normalize};
use countersign_sdk_types::{DenialCode, Host, PepId, Tenant};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::PEP_HEADER;
use super::scene::{ALLOWS, ASKS, DENIES, HOST, PEP, Scene};
use super::{Asked, PEER, PROXIES, Proxy};

/// As the engine reads what an adapter read.
fn read(proxy: Proxy, asked: &Asked) -> Result<AccessRequest, Denial> {
    let pep = Pep { id: PepId::new("p").unwrap(), asserts_subject: false, asserts_client: false, asserts: Default::default() };
    let rules = RequestRules {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        hosts: BTreeMap::from([(Host::new(HOST).unwrap(), HostRules::default())]),
        ..RequestRules::default()
    };
    let raw = RawCheck { tenant: Tenant::new("main").unwrap(), pep, http: Some(proxy.parse(asked)?), asked: None };
    normalize(raw, &rules).map(|(request, _)| request)
}

#[track_caller]
fn refused(proxy: Proxy, asked: &Asked, expected: &[DenialCode]) {
    let found = read(proxy, asked);
    let code = found.as_ref().err().map(Denial::code);
    assert!(code.is_some_and(|code| expected.contains(&code)), "{proxy:?} {asked:?}: {found:?}");
}

fn allowed(response: &Response) -> bool {
    response.status().is_success()
}

const AMBIGUOUS: [&str; 16] = [
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/.%2E/admin",
    "/./admin",
    "//admin//x",
    "/public%2F..%2Fadmin",
    "/public/..;/admin",
    "/a;b=c",
    "/public\\..\\admin",
    "/public%5c..%5cadmin",
    "/a%00b",
    "/public/%252e%252e/admin",
    "/caf%c3",
    "/%zz",
    "/a%23b",
    "/..",
];

#[test]
fn p01_a_path_that_two_servers_could_read_differently_is_refused() {
    for proxy in PROXIES {
        for target in AMBIGUOUS {
            refused(proxy, &proxy.asks("GET", HOST, target, &[]), &[DenialCode::AmbiguousPath]);
        }
        let plain = read(proxy, &proxy.asks("GET", HOST, "/pay%72oll/caf%c3%a9?x=1&y=%20z", &[])).unwrap();
        let http = plain.http().unwrap();
        assert_eq!(
            (http.path.as_str(), http.raw_path.as_str(), http.query.as_str()),
            ("/payroll/caf%C3%A9", "/pay%72oll/caf%c3%a9", "x=1&y=%20z")
        );
    }
}

/// What a client can send beside the header set that its proxy writes: all that the others would read.
fn others(proxy: Proxy) -> Vec<(&'static str, &'static str)> {
    let forwarded = [
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-uri", "/public"),
    ];
    let original = [("x-original-method", "DELETE"), ("x-original-url", "http://evil.example/public"), ("x-original-uri", "/public")];
    let nobodys = [
        ("x-real-ip", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1;host=evil.example;proto=http"),
        ("x-forwarded-prefix", "/public"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-server", "evil.example"),
        ("x-envoy-original-path", "/public"),
        ("x-envoy-external-address", "192.0.2.1"),
        ("x-rewrite-url", "/public"),
        ("x-http-method-override", "DELETE"),
        ("x-replaced-path", "/public"),
        ("client-ip", "192.0.2.1"),
        ("true-client-ip", "192.0.2.1"),
    ];
    // Envoy writes `X-Forwarded-Proto` itself.
    let forwarded = forwarded.into_iter().filter(|(name, _)| *name != "x-forwarded-proto" || proxy == Proxy::Nginx);
    let set: Vec<_> = match proxy {
        Proxy::Nginx => forwarded.collect(),
        Proxy::Envoy => forwarded.chain(original).collect(),
        Proxy::Traefik | Proxy::Caddy | Proxy::Haproxy => original.to_vec(),
    };
    set.into_iter().chain(nobodys).collect()
}

#[test]
fn p02_one_adapter_reads_one_header_set() {
    for proxy in PROXIES {
        let spoofed = read(proxy, &proxy.asks("GET", HOST, "/admin", &others(proxy))).unwrap();
        assert_eq!(spoofed, read(proxy, &proxy.asks("GET", HOST, "/admin", &[])).unwrap(), "{proxy:?}");
        assert_eq!(spoofed.client_address(), Some("203.0.113.9".parse().unwrap()));
    }
}

#[test]
fn p02_a_stranger_decides_nothing() {
    let scene = Scene::with(ALLOWS);
    let bearer = format!("Bearer {}", scene.token());
    for proxy in PROXIES {
        let status = |pep: Option<&str>, peer: &str| {
            let asked = proxy.asks("GET", HOST, "/a", &[]);
            let more: Vec<_> = [("authorization", bearer.as_str())].into_iter().chain(pep.map(|pep| (PEP_HEADER, pep))).collect();
            scene.ask_with(asked, &more, peer.parse().unwrap(), Body::empty()).status().as_u16()
        };
        assert_eq!(status(Some(PEP), "127.0.0.1"), 200, "{proxy:?}");
        assert_eq!(status(Some(PEP), "192.0.2.1"), 401, "{proxy:?}: another network");
        assert_eq!(status(Some("proxy:another-secret"), "127.0.0.1"), 401, "{proxy:?}");
        assert_eq!(status(None, "127.0.0.1"), 401, "{proxy:?}");
    }
}

#[test]
fn p03_the_client_is_the_right_most_hop_that_is_no_proxy() {
    for proxy in PROXIES {
        let address = |forwarded: &str| {
            let mut asked = proxy.asks("GET", HOST, "/a", &[]);
            asked.headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            read(proxy, &asked).unwrap().client_address().map(|address| address.to_string())
        };
        assert_eq!(address("6.6.6.6, 203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(address("203.0.113.9, 10.0.0.3").as_deref(), Some("203.0.113.9"));
        assert_eq!(address("203.0.113.9, unknown"), None, "{proxy:?}");
    }
}

#[test]
fn p04_what_decides_is_there_once_and_under_its_own_name() {
    let ambiguous = [DenialCode::AmbiguousHeader];
    for proxy in PROXIES {
        for own in [
            "x-forwarded-for",
            "x-forwarded-method",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-uri",
            "x-original-method",
            "x-original-url",
        ] {
            let twice = [(own, "https"), (own, "http")];
            refused(proxy, &proxy.asks("GET", HOST, "/a", &twice), &ambiguous);
            for alias in [own.replace('-', "_"), own.replacen('-', "_", 1), own.replace('-', ".")] {
                refused(proxy, &proxy.asks("GET", HOST, "/a", &[(&alias, "x")]), &ambiguous);
            }
        }
        for twice in [["Bearer one", "Bearer two"], ["Basic eDp5", "Bearer two"]] {
            refused(proxy, &proxy.asks("GET", HOST, "/a", &twice.map(|value| ("authorization", value))), &ambiguous);
        }
        refused(proxy, &proxy.asks("GET", HOST, "/a", &[("authorization", "Bearer two, Bearer one")]), &ambiguous);
    }
}

#[test]
fn p05_an_allow_names_everything_that_names_somebody() {
    let scene = Scene::with(ALLOWS);
    for proxy in PROXIES {
        let spoofed = [
            ("remote-user", "root"),
            ("x-countersign-subject", "root"),
            ("remote-email", "root@app.example"),
            ("x-countersign-risk", "low"),
        ];
        let response = scene.ask(proxy.asks("GET", HOST, "/a", &spoofed));
        assert_eq!(response.status(), 200, "{proxy:?}");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!((header("remote-user"), header("remote-groups")), (Some("alice"), Some("auditor,clerk")), "{proxy:?}");
        let empty = ["remote-name", "remote-email", "x-countersign-subject", "x-countersign-would"];
        if proxy == Proxy::Envoy {
            let gone: Vec<_> = header("x-envoy-auth-headers-to-remove").unwrap().split(',').collect();
            assert!(empty.iter().chain(&["remote_user", "x_countersign_risk"]).all(|name| gone.contains(name)), "{gone:?}");
            assert!(!gone.contains(&"remote-user") && empty.iter().all(|name| header(name).is_none()));
        } else {
            assert!(empty.iter().all(|name| header(name) == Some("")), "{proxy:?}: {:?}", response.headers());
        }
        // An alias that an application could read as one of them is no request that anybody sends.
        assert!(!allowed(&scene.ask(proxy.asks("GET", HOST, "/a", &[("remote_user", "root")]))), "{proxy:?}");
    }
}

#[test]
fn p06_what_a_client_calls_hop_by_hop_changes_nothing_here() {
    let scene = Scene::with(ALLOWS);
    for proxy in PROXIES {
        let response = scene.ask(proxy.asks("GET", HOST, "/a", &[("connection", "close, Remote-User, X-Forwarded-For, X-Forwarded-Uri")]));
        assert_eq!((response.status().as_u16(), &response.headers()["remote-user"]), (200, &"alice".parse().unwrap()), "{proxy:?}");
    }
}

#[test]
fn p07_nothing_is_read_from_the_query_of_the_call() {
    let scene = Scene::with(DENIES);
    for (proxy, path) in [(Proxy::Nginx, "nginx"), (Proxy::Caddy, "caddy"), (Proxy::Traefik, "traefik"), (Proxy::Haproxy, "haproxy")] {
        let query = "allow=true&report=1&rd=https://evil.example&x-forwarded-uri=/public&auth=off";
        let asked = Asked { uri: format!("/authz/{path}?{query}").parse().unwrap(), ..proxy.asks("GET", HOST, "/a", &[]) };
        assert_eq!(read(proxy, &asked).unwrap(), read(proxy, &proxy.asks("GET", HOST, "/a", &[])).unwrap());
        assert_eq!(scene.ask(asked).status(), 403, "{proxy:?}");
    }
}

#[test]
fn p08_a_method_is_what_it_is_and_a_star_is_no_path() {
    let malformed = [DenialCode::MalformedRequest, DenialCode::AmbiguousPath];
    for proxy in PROXIES {
        for method in ["get", "Get", "gEt", "G3T"] {
            refused(proxy, &proxy.asks(method, HOST, "/a", &[]), &malformed);
        }
        refused(proxy, &proxy.asks("CONNECT", HOST, "/a", &[]), &malformed);
        for method in ["HEAD", "OPTIONS", "PROPFIND"] {
            assert_eq!(read(proxy, &proxy.asks(method, HOST, "/a", &[])).unwrap().http().unwrap().method, method);
        }
        // `OPTIONS *`, and the empty address that HAProxy makes of it.
        if proxy != Proxy::Envoy {
            refused(proxy, &proxy.asks("OPTIONS", HOST, "*", &[]), &malformed);
        }
        refused(proxy, &proxy.asks("OPTIONS", HOST, "", &[]), &malformed);
    }
    // Envoy puts its prefix before the star.
    let star = Asked { uri: "/authz/envoy*".parse().unwrap(), ..Proxy::Envoy.asks("OPTIONS", HOST, "/", &[]) };
    refused(Proxy::Envoy, &star, &malformed);
    assert_eq!(Scene::with(ALLOWS).ask(star).status(), 404);
}

#[test]
fn p09_bodies_are_not_waited_for_and_the_connection_closes_when_asked() {
    let scene = Scene::with(ALLOWS);
    let router = crate::serve::router(std::sync::Arc::clone(&scene.decider));
    let bearer = format!("Authorization: Bearer {}\r\nX-Countersign-Pep: {PEP}\r\n", scene.token());
    let answers = scene.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let server = tokio::spawn(crate::front_door::serve(listener, router, crate::front_door::Limits::default(), stopped));
        let original =
            "X-Forwarded-Method: POST\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Uri: /a\r\nHost: pdp\r\n";
        let mut answers = Vec::new();
        // Announced, and never sent: HAProxy copies these headers from a request whose body it keeps.
        for announced in
            ["Transfer-Encoding: chunked\r\n", "Content-Length: 100000000\r\n", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"]
        {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("POST /authz/haproxy HTTP/1.1\r\n{original}{bearer}{announced}Connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
            answers.push(answer);
        }
        let _ = stop.send(true);
        server.await.unwrap();
        answers
    });
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("remote-user: alice"), "{answer}");
    }
}

#[test]
fn p10_no_policy_sees_a_body_whole_or_cut() {
    // It would allow by anything in the request that looks like a body.
    let names = "{\"body\", \"raw_body\", \"parsed_body\", \"truncated_body\"}";
    let allow = format!("allow if {{\n\tsome name in {names}\n\tobject.get(input.request, name, null) != null\n}}");
    let policy = &format!("package authz\nimport rego.v1\ndefault allow := false\n{allow}\n");
    let scene = Scene::with(policy);
    let bearer = format!("Bearer {}", scene.token());
    for proxy in PROXIES {
        let asked = proxy.asks("POST", HOST, "/a", &[("x-envoy-auth-partial-body", "true"), ("content-type", "application/json")]);
        let more = [("authorization", bearer.as_str()), (PEP_HEADER, PEP)];
        let response = scene.ask_with(asked, &more, PEER, Body::from("{\"amount\": 1"));
        assert_eq!(response.status(), 403, "{proxy:?}");
    }
}

#[test]
fn p11_a_handshake_is_known_even_where_the_upgrade_is_dropped() {
    let scene = Scene::with(DENIES);
    for proxy in PROXIES {
        // nginx leaves `Upgrade` out of its subrequest; Caddy passes it on.
        let mut client = vec![("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13"), ("accept", "text/html")];
        if proxy != Proxy::Nginx {
            client.extend([("upgrade", "websocket"), ("connection", "Upgrade")]);
        }
        let asked = proxy.asks("GET", HOST, "/ws", &client);
        assert_eq!(read(proxy, &asked).unwrap().http().unwrap().kind, ClientKind::WebSocket, "{proxy:?}");
        let response = scene.ask(asked);
        assert_eq!((response.status().as_u16(), response.headers().get("location")), (403, None), "{proxy:?}");
    }
    // Traefik's own name for the scheme.
    let mut asked = Proxy::Traefik.asks("GET", HOST, "/ws", &[]);
    asked.headers.insert("x-forwarded-proto", "wss".parse().unwrap());
    assert_eq!(read(Proxy::Traefik, &asked).unwrap().http().unwrap().scheme, "https");
    refused(Proxy::Caddy, &asked, &[DenialCode::MalformedRequest]);
}

#[test]
fn p12_no_prefix_is_put_before_or_taken_from_the_path() {
    for proxy in PROXIES {
        let prefixes = [
            ("x-forwarded-prefix", "/public"),
            ("x-script-name", "/public"),
            ("x-envoy-original-path", "/public/admin"),
            ("x-replaced-path", "/public"),
        ];
        let request = read(proxy, &proxy.asks("GET", HOST, "/admin", &prefixes)).unwrap();
        assert_eq!(request.http().unwrap().path.as_str(), "/admin", "{proxy:?}");
    }
}

#[test]
fn p13_health_checkers_are_clients_like_others() {
    let scene = Scene::with(DENIES);
    for proxy in PROXIES {
        for agent in ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0"] {
            assert_eq!(scene.ask(proxy.asks("GET", HOST, "/ping", &[("user-agent", agent)])).status(), 403, "{proxy:?} {agent}");
        }
        if proxy != Proxy::Envoy {
            // Envoy refuses it before it asks, and in a start line it would be gone.
            refused(proxy, &proxy.asks("GET", HOST, "/public#/../admin", &[]), &[DenialCode::AmbiguousPath]);
            refused(proxy, &proxy.asks("GET", HOST, "/a?x=1#y", &[]), &[DenialCode::MalformedRequest]);
        }
    }
}

#[test]
fn p14_a_failure_is_no_allow_and_no_status_that_a_proxy_could_forgive() {
    // Undefined, of the wrong shape, in conflict with itself, failing.
    let broken = ["allow if input.nothing.here", "allow := \"yes\"", "allow := 1 / 0"];
    for rules in broken {
        let scene = Scene::with(&format!("package authz\nimport rego.v1\n{rules}\n"));
        for proxy in PROXIES {
            let response = scene.ask(proxy.asks("GET", HOST, "/a", &[]));
            assert_eq!(response.status(), 403, "{proxy:?} {rules}");
        }
    }
}

#[test]
fn p14_no_example_of_ours_turns_a_failure_into_an_allow() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("sdk/examples"), root.join("docs")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // The doctor's page shows what it finds.
            if path.ends_with("docs/doctor.md") {
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
                let squeezed: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
                let forgives = ["failure_mode_allow: true", "error_page 500", "error_page 502", "error_page 503", "proxy_cache "];
                assert!(!forgives.iter().any(|recipe| squeezed.contains(recipe)), "{}: {line}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 10, "{read}");
}

#[test]
fn p15_a_way_back_leads_nowhere_else() {
    // The engine's own tests have what a `Referer` can hold; here is what a target can.
    for proxy in PROXIES {
        for target in ["//evil.example", "/\\evil.example", "https:evil.example", "/%0d%0aLocation:%20x", "/a\tb", "@evil.example/"] {
            // What is no start line does not arrive.
            if proxy == Proxy::Envoy && format!("/authz/envoy{target}").parse::<axum::http::Uri>().is_err() {
                continue;
            }
            assert!(read(proxy, &proxy.asks("GET", HOST, target, &[])).is_err(), "{proxy:?} {target}");
        }
    }
}

/// How this client is answered when it must prove itself: status, `Location` and the problem.
fn asked_to_prove(scene: &Scene, proxy: Proxy, client: &[(&str, &str)]) -> (u16, Option<String>, serde_json::Value) {
    let cookie = format!("access_token={}", scene.token());
    let more = [("cookie", cookie.as_str()), (PEP_HEADER, PEP)];
    let response = scene.ask_with(proxy.asks("GET", HOST, "/api/rows", client), &more, PEER, Body::empty());
    let (status, location) = (response.status().as_u16(), response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()));
    let body = scene.block_on(async { response.into_body().collect().await.unwrap().to_bytes() });
    (status, location, serde_json::from_slice(&body).unwrap_or_default())
}

#[test]
fn p15_ceremonies_begin_on_the_configured_origin_for_browsers_and_their_scripts() {
    let scene = Scene::with(ASKS);
    let public = crate::serve::public_router(&scene.decider);
    for proxy in PROXIES {
        let (status, location, _) = asked_to_prove(&scene, proxy, &[("sec-fetch-mode", "navigate")]);
        let begins = "https://app.example/.countersign/step-up?d=";
        assert_eq!(status, if proxy == Proxy::Nginx { 401 } else { 302 }, "{proxy:?}");
        assert!(location.as_ref().is_some_and(|to| to.starts_with(begins)), "{proxy:?} {location:?}");

        let script = [("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin"), ("referer", "https://app.example/rows")];
        let (status, location, problem) = asked_to_prove(&scene, proxy, &script);
        assert_eq!((status, location, &problem["code"]), (401, None, &"insufficient_user_authentication".into()), "{proxy:?}");
        let url = problem["step_up"]["url"].as_str().unwrap();
        let link = url.strip_prefix("https://app.example").filter(|_| url.starts_with(begins)).unwrap();
        let visit = axum::http::Request::builder().uri(link).header("host", HOST).body(Body::empty()).unwrap();
        let router = public.clone();
        let opened = scene.block_on(async move { tower::ServiceExt::oneshot(router, visit).await.unwrap() });
        let to = opened.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        assert!(to.as_ref().is_some_and(|to| to.starts_with("https://auth.example/step-up/")), "{opened:?}");

        for other in [
            [("accept", "*/*"); 2],
            [("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")],
            [("sec-websocket-key", "x"), ("sec-fetch-mode", "websocket")],
        ] {
            let (status, location, problem) = asked_to_prove(&scene, proxy, &other);
            assert_eq!((status, location, &problem["step_up"]), (401, None, &serde_json::Value::Null), "{proxy:?} {other:?}");
            assert_eq!(problem["acr_values"], "phr");
        }
    }
    // A token that only the script holds would not be there when its page comes back.
    let asked = Proxy::Caddy.asks("GET", HOST, "/api/rows", &[("sec-fetch-mode", "cors")]);
    let response = scene.ask(asked);
    assert_eq!((response.status().as_u16(), response.headers().get("x-countersign-page")), (401, None));
}

#[test]
fn p16_a_host_has_one_form_and_is_one_that_is_configured() {
    for proxy in PROXIES {
        for same in ["app.example", "APP.Example", "app.example.", "app.example:443"] {
            assert_eq!(read(proxy, &proxy.asks("GET", same, "/a", &[])).unwrap().http().unwrap().host.as_str(), HOST, "{proxy:?} {same}");
        }
        let others = [
            "evil.example",
            "app.example:8443",
            "app.example,evil.example",
            "app.example@evil.example",
            "user@app.example",
            "app.example.evil.example",
            "",
        ];
        for other in others {
            refused(proxy, &proxy.asks("GET", other, "/a", &[]), &[DenialCode::UnknownHost, DenialCode::MalformedRequest]);
        }
    }
    // A start line with a host of its own.
    let absolute = Asked { uri: "http://evil.example/authz/envoy/a".parse().unwrap(), ..Proxy::Envoy.asks("GET", HOST, "/a", &[]) };
    refused(Proxy::Envoy, &absolute, &[DenialCode::MalformedRequest]);
}

#[test]
fn p17_nothing_is_allowed_after_the_deadline() {
    let scene = Scene::within(ALLOWS, Duration::ZERO);
    for proxy in PROXIES {
        let response = scene.ask(proxy.asks("GET", HOST, "/a", &[]));
        let expected = if proxy == Proxy::Envoy { 403 } else { 503 };
        assert_eq!((response.status().as_u16(), response.headers().get("remote-user")), (expected, None), "{proxy:?}");
    }
}

#[test]
fn p18_no_answer_may_be_kept() {
    for policy in [ALLOWS, DENIES] {
        let scene = Scene::with(policy);
        for proxy in PROXIES {
            for target in ["/a", "/a/../b"] {
                let response = scene.ask(proxy.asks("GET", HOST, target, &[]));
                assert_eq!(response.headers()["cache-control"], "no-store", "{proxy:?} {target}");
            }
        }
    }
}

#[test]
fn a_refusal_says_what_its_proxy_can_carry() {
    let scene = Scene::with(DENIES);
    for proxy in PROXIES {
        let malformed = scene.ask(proxy.asks("GET", HOST, "/a/../b", &[("accept", "application/json")]));
        assert_eq!(malformed.status().as_u16(), if proxy == Proxy::Nginx { 403 } else { 400 }, "{proxy:?}");
        let denied = scene.ask(proxy.asks("GET", HOST, "/a", &[("accept", "application/json")]));
        assert_eq!((denied.status().as_u16(), &denied.headers()["content-type"]), (403, &"application/problem+json".parse().unwrap()));
        let body = scene.block_on(async { denied.into_body().collect().await.unwrap().to_bytes() });
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(body["decision"].as_str().unwrap().starts_with("main.") && body["code"].is_null(), "{body}");
    }
}
