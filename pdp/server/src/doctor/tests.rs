//! Each rule against an example that breaks it and nothing else; and the examples, which break none.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

type Example = (&'static str, &'static str);

const NGINX: Example = ("countersign.conf", include_str!("../../../../sdk/examples/nginx/countersign.conf"));
const HAPROXY: Example = ("haproxy.cfg", include_str!("../../../../sdk/examples/haproxy/haproxy.cfg"));
const CADDY: Example = ("Caddyfile", include_str!("../../../../sdk/examples/caddy/Caddyfile"));
const ENVOY: Example = ("envoy-http.yaml", include_str!("../../../../sdk/examples/envoy/envoy-http.yaml"));
const ENVOY_GRPC: Example = ("envoy-grpc.yaml", include_str!("../../../../sdk/examples/envoy/envoy-grpc.yaml"));
const TRAEFIK: Example = ("dynamic.yml", include_str!("../../../../sdk/examples/traefik/dynamic.yml"));
const TRAEFIK_START: Example = ("traefik.yml", include_str!("../../../../sdk/examples/traefik/traefik.yml"));

/// An example, a rule, and the change to the example that breaks it.
const BAD: &[(Example, &str, &str, &str)] = &[
    (NGINX, "nginx/nothing-checked", "        auth_request /_countersign;\n", ""),
    (
        NGINX,
        "nginx/unchecked-location",
        "    location / {\n        auth_request",
        "    location /health { proxy_pass http://application; }\n    location / {\n        auth_request",
    ),
    (
        NGINX,
        "nginx/unchecked-location",
        "    location / {\n        auth_request",
        "    location /static/ { auth_request off; proxy_pass http://application; }\n    location / {\n        auth_request",
    ),
    (
        NGINX,
        "nginx/failure-allowed",
        "error_page 401 = @countersign_challenge;",
        "error_page 401 = @countersign_challenge; error_page 500 =200 /ok.html;",
    ),
    (NGINX, "nginx/failure-allowed", "return 302 $countersign_location;", "proxy_pass http://application;"),
    (NGINX, "nginx/failure-allowed", "        return 401;\n    }", "        proxy_pass http://application;\n    }"),
    (NGINX, "nginx/cached-decision", "        internal;", "        internal; proxy_cache decisions;"),
    (NGINX, "nginx/satisfy-any", "        auth_request /_countersign;\n", "        auth_request /_countersign;\n        satisfy any;\n"),
    (NGINX, "nginx/identity-not-set", "        proxy_set_header Remote-User $countersign_user;\n", ""),
    (
        NGINX,
        "nginx/underscores-passed",
        "server {\n    listen 127.0.0.1:8080;\n    server_name payroll",
        "server {\n    underscores_in_headers on;\n    listen 127.0.0.1:8080;\n    server_name payroll",
    ),
    (NGINX, "nginx/original-request-not-set", "        proxy_set_header X-Original-Method $request_method;\n", ""),
    (NGINX, "nginx/original-request-not-set", "$http_host$request_uri", "$http_host$uri"),
    (NGINX, "nginx/two-hosts", "    if ($countersign_hosts_differ) { return 400; }\n", ""),
    (
        NGINX,
        "nginx/forwarded-for-not-set",
        "        proxy_set_header X-Forwarded-For $remote_addr;\n        # The certificate",
        "        # The certificate",
    ),
    (NGINX, "nginx/forwarded-for-not-set", "X-Forwarded-For $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for"),
    (NGINX, "nginx/everyone-trusted", "upstream application", "set_real_ip_from 0.0.0.0/0;\nupstream application"),
    (NGINX, "nginx/check-not-internal", "        internal;\n", ""),
    (NGINX, "nginx/no-timeout", "        proxy_read_timeout 500ms;\n", ""),
    (
        NGINX,
        "nginx/path-rewritten",
        "        auth_request /_countersign;\n",
        "        auth_request /_countersign;\n        rewrite ^/api/(.*)$ /$1 break;\n",
    ),
    (NGINX, "nginx/path-rewritten", "proxy_pass http://application;", "proxy_pass http://application/inner/;"),
    (NGINX, "nginx/body-sent", "        proxy_pass_request_body off;\n", ""),
    (NGINX, "nginx/include-not-read", "upstream application", "include sites/*.conf;\nupstream application"),
    (HAPROXY, "haproxy/nothing-checked", "    http-request lua.countersign\n", ""),
    (
        HAPROXY,
        "haproxy/unchecked-backend",
        "    default_backend application\n",
        "    use_backend static if { path_beg /static/ }\n    default_backend application\n\nbackend static\n    server static 127.0.0.1:9001\n",
    ),
    (HAPROXY, "haproxy/failure-allowed", "    http-request deny deny_status 403 unless { var(txn.countersign.allowed) -m bool }\n", ""),
    (
        HAPROXY,
        "haproxy/allowed-by-rule",
        "    http-request lua.countersign\n",
        "    http-request set-var(txn.countersign.allowed) bool(true) if { path /health }\n    http-request lua.countersign\n",
    ),
    (
        HAPROXY,
        "haproxy/allow-before-check",
        "    http-request lua.countersign\n",
        "    http-request allow if { hdr(user-agent) -m beg kube-probe }\n    http-request lua.countersign\n",
    ),
    (
        HAPROXY,
        "haproxy/conditional-check",
        "    http-request lua.countersign\n",
        "    http-request lua.countersign unless { hdr(user-agent) -m beg kube-probe }\n",
    ),
    (
        HAPROXY,
        "haproxy/identity-not-set",
        "    http-request lua.countersign\n",
        "    http-request lua.auth-request countersign /authz/haproxy\n",
    ),
    (HAPROXY, "haproxy/underscores-passed", "    option http-restrict-req-hdr-names delete\n", ""),
    (
        HAPROXY,
        "haproxy/address-from-header",
        "    http-request deny deny_status 400",
        "    http-request set-src hdr(x-forwarded-for)\n    http-request deny deny_status 400",
    ),
    (HAPROXY, "haproxy/forwarded-for-appended", "    timeout connect 2s\n", "    timeout connect 2s\n    option forwardfor\n"),
    (
        HAPROXY,
        "haproxy/cached-before-check",
        "    http-request lua.countersign\n",
        "    http-request cache-use pages\n    http-request lua.countersign\n",
    ),
    (
        HAPROXY,
        "haproxy/path-rewritten",
        "    http-request lua.countersign\n",
        "    http-request replace-path /api(/.*) \\1\n    http-request lua.countersign\n",
    ),
    (HAPROXY, "haproxy/no-timeout", "    timeout server 30s\n", ""),
    (CADDY, "caddy/nothing-checked", "\t\timport countersign\n", ""),
    (
        CADDY,
        "caddy/unchecked-route",
        "\thandle {\n\t\timport countersign\n",
        "\thandle /static/* {\n\t\treverse_proxy 127.0.0.1:9001\n\t}\n\thandle {\n\t\timport countersign\n",
    ),
    (CADDY, "caddy/conditional-check", "\tforward_auth 127", "\tforward_auth @not_a_probe 127"),
    (CADDY, "caddy/check-after-proxy", "\tadmin off\n", "\tadmin off\n\torder forward_auth after reverse_proxy\n"),
    (
        CADDY,
        "caddy/check-after-proxy",
        "\thandle {\n\t\timport countersign\n\t\treverse_proxy 127.0.0.1:9000\n",
        "\troute {\n\t\treverse_proxy 127.0.0.1:9000\n\t\timport countersign\n",
    ),
    (
        CADDY,
        "caddy/failure-allowed",
        "\thandle {\n\t\timport countersign\n",
        "\thandle_errors {\n\t\treverse_proxy 127.0.0.1:9000\n\t}\n\thandle {\n\t\timport countersign\n",
    ),
    (
        CADDY,
        "caddy/failure-allowed",
        "\t\turi /authz/caddy\n",
        "\t\turi /authz/caddy\n\t\t@broken status 5xx\n\t\thandle_response @broken {\n\t\t\trespond \"welcome\" 200\n\t\t}\n",
    ),
    (CADDY, "caddy/identity-not-set", "copy_headers Remote-User Remote-Groups", "copy_headers Remote-Groups"),
    (
        CADDY,
        "caddy/forwarded-for-appended",
        "\t\theader_up X-Forwarded-For {client_ip}\n\t\t# Whatever",
        "\t\theader_up +X-Forwarded-For {client_ip}\n\t\t# Whatever",
    ),
    (CADDY, "caddy/everyone-trusted", "\tadmin off\n", "\tadmin off\n\tservers {\n\t\ttrusted_proxies static 0.0.0.0/0\n\t}\n"),
    (CADDY, "caddy/no-timeout", "\t\t\tresponse_header_timeout 500ms\n", ""),
    (
        CADDY,
        "caddy/path-rewritten",
        "\thandle {\n\t\timport countersign\n",
        "\thandle {\n\t\turi strip_prefix /api\n\t\timport countersign\n",
    ),
    (CADDY, "caddy/path-rewritten", "\thandle {\n\t\timport countersign\n", "\thandle_path /api/* {\n\t\timport countersign\n"),
    (CADDY, "caddy/cached-before-check", "\thandle {\n\t\timport countersign\n", "\tcache\n\thandle {\n\t\timport countersign\n"),
    (CADDY, "caddy/import-not-read", "http://:8080 {\n", "http://:8080 {\n\timport others/*\n"),
    (ENVOY, "envoy/nothing-checked", "v3.ExtAuthz\n", "v3.Cors\n"),
    (
        ENVOY,
        "envoy/unchecked-route",
        "                route: { cluster: application }\n",
        "                route: { cluster: application }\n                typed_per_filter_config:\n                  envoy.filters.http.ext_authz:\n                    \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute\n                    disabled: true\n",
    ),
    (
        ENVOY,
        "envoy/sampled-check",
        "              transport_api_version: V3\n",
        "              transport_api_version: V3\n              filter_enabled: { default_value: { numerator: 50, denominator: HUNDRED } }\n",
    ),
    (ENVOY, "envoy/failure-allowed", "failure_mode_allow: false", "failure_mode_allow: true"),
    (ENVOY, "envoy/identity-not-removed", "              - remove: remote-groups\n", ""),
    (ENVOY, "envoy/underscores-passed", "headers_with_underscores_action: DROP_HEADER", "headers_with_underscores_action: ALLOW"),
    (ENVOY, "envoy/client-address-believed", "          use_remote_address: true\n", ""),
    (
        ENVOY,
        "envoy/forwarded-for-not-set",
        "          use_remote_address: true\n",
        "          use_remote_address: true\n          skip_xff_append: true\n",
    ),
    (ENVOY, "envoy/no-timeout", ", timeout: 0.5s }", " }"),
    (
        ENVOY,
        "envoy/filter-before-check",
        "          http_filters:\n",
        "          http_filters:\n          - name: script\n            typed_config:\n              \"@type\": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua\n",
    ),
    (
        ENVOY,
        "envoy/cached-before-check",
        "          http_filters:\n",
        "          http_filters:\n          - name: cache\n            typed_config:\n              \"@type\": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig\n",
    ),
    (ENVOY, "envoy/path-rewritten", "route: { cluster: application }", "route: { cluster: application, prefix_rewrite: / }"),
    (
        ENVOY,
        "envoy/partial-body",
        "              transport_api_version: V3\n",
        "              transport_api_version: V3\n              with_request_body: { max_request_bytes: 8192, allow_partial_message: true }\n",
    ),
    (TRAEFIK, "traefik/nothing-checked", "[countersign-secret, countersign, countersign-clean]", "[countersign-clean]"),
    (
        TRAEFIK,
        "traefik/unchecked-router",
        "  middlewares:\n    # Traefik",
        "    static:\n      rule: \"PathPrefix(`/static/`)\"\n      service: application\n\n  middlewares:\n    # Traefik",
    ),
    (TRAEFIK, "traefik/forwarded-trusted", "trustForwardHeader: false", "trustForwardHeader: true"),
    (
        TRAEFIK_START,
        "traefik/forwarded-trusted",
        "    address: \"127.0.0.1:8080\"\n",
        "    address: \"127.0.0.1:8080\"\n    forwardedHeaders: { insecure: true }\n",
    ),
    (
        TRAEFIK_START,
        "traefik/everyone-trusted",
        "    address: \"127.0.0.1:8080\"\n",
        "    address: \"127.0.0.1:8080\"\n    forwardedHeaders: { trustedIPs: [\"0.0.0.0/0\"] }\n",
    ),
    (TRAEFIK, "traefik/identity-not-set", "          - Remote-User\n", ""),
    (TRAEFIK, "traefik/underscores-passed", "          Remote_User: \"\"\n", ""),
    (
        TRAEFIK,
        "traefik/path-rewritten",
        "[countersign-secret, countersign, countersign-clean]\n      service: application\n\n  middlewares:\n",
        "[strip, countersign-secret, countersign, countersign-clean]\n      service: application\n\n  middlewares:\n    strip: { stripPrefix: { prefixes: [/api] } }\n",
    ),
    (
        TRAEFIK,
        "traefik/failure-allowed",
        "  middlewares:\n    # Traefik",
        "  middlewares:\n    pages:\n      errors: { status: [\"500-599\"], statusRewrites: { \"503\": 200 }, service: application, query: \"/\" }\n    # Traefik",
    ),
    (
        TRAEFIK,
        "traefik/check-not-verified",
        "        trustForwardHeader: false\n",
        "        trustForwardHeader: false\n        tls: { insecureSkipVerify: true }\n",
    ),
    (
        TRAEFIK,
        "traefik/body-unbounded",
        "        trustForwardHeader: false\n",
        "        trustForwardHeader: false\n        forwardBody: true\n",
    ),
    (
        ENVOY,
        "envoy/client-certificate-believed",
        "          use_remote_address: true\n",
        "          use_remote_address: true\n          forward_client_cert_details: ALWAYS_FORWARD_ONLY\n",
    ),
];

#[track_caller]
fn examined((name, _): Example, text: &str) -> Vec<Finding> {
    let file = Path::new(name);
    let kind = recognize(file, text).unwrap_or_else(|| panic!("{name} is not recognized"));
    examine(kind, file, text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_examples_are_clean() {
    for example in [NGINX, HAPROXY, CADDY, ENVOY, ENVOY_GRPC, TRAEFIK, TRAEFIK_START] {
        assert_eq!(examined(example, example.1), [], "{}", example.0);
    }
}

#[test]
fn each_rule_is_found_where_it_is_broken() {
    for (example, id, old, new) in BAD {
        assert!(example.1.contains(old), "{}: `{old}` is not in it", example.0);
        let found = examined(*example, &example.1.replace(old, new));
        let ids: BTreeSet<&str> = found.iter().map(|finding| finding.rule.id).collect();
        assert_eq!(ids, BTreeSet::from([*id]), "{}: `{new}`", example.0);
        let lines = example.1.replace(old, new).lines().count();
        assert!(found.iter().all(|finding| (1..=lines).contains(&finding.line) && !finding.what.is_empty()), "{found:?}");
    }
}

#[test]
fn each_rule_has_a_sample_and_is_in_the_documentation() {
    let document = include_str!("../../../../docs/doctor.md");
    let sampled: BTreeSet<&str> = BAD.iter().map(|(_, id, _, _)| *id).collect();
    let all: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(sampled, all);
    for rule in rules() {
        assert!(document.contains(&format!("| `{}` | {} |", rule.id, rule.severity)), "{} is not in docs/doctor.md", rule.id);
    }
}

#[test]
fn a_finding_names_its_line() {
    let text = NGINX.1.replace("        internal;", "        internal; proxy_cache decisions;");
    let line = 1 + text.lines().position(|line| line.contains("location = /_countersign")).unwrap();
    assert_eq!(examined(NGINX, &text)[0].line, line);
    let text = ENVOY.1.replace("failure_mode_allow: false", "failure_mode_allow: true");
    let line = 1 + text.lines().position(|line| line.contains("failure_mode_allow: true")).unwrap();
    assert_eq!(examined(ENVOY, &text)[0].line, line);
    let toml = "[http.middlewares.a.headers.customRequestHeaders]\nRemote_User = \"\"\n\n[http.middlewares.c.forwardAuth]\naddress = \"http://a\"\n\
                authResponseHeadersRegex = \"^Remote\"\ntrustForwardHeader = true\n";
    let found = examined(("dynamic.toml", ""), toml);
    assert_eq!(found.iter().map(|one| (one.rule.id, one.line)).collect::<Vec<_>>(), [("traefik/forwarded-trusted", 7)]);
}

#[test]
fn files_are_told_apart() {
    for (name, text, kind) in [
        ("nginx.conf", "", Some(Kind::Nginx)),
        ("my.caddyfile", "", Some(Kind::Caddy)),
        ("a.cfg", "", Some(Kind::Haproxy)),
        ("a.json", r#"{"static_resources": {}}"#, Some(Kind::Envoy)),
        ("a.yaml", "http: {}", Some(Kind::Traefik)),
        ("a.yaml", "something: else", None),
        ("a.yaml", "{", None),
        ("a.txt", "", None),
    ] {
        assert_eq!(recognize(Path::new(name), text), kind, "{name}");
    }
}

/// What is deep, endless or torn is an error, and nobody waits for it.
#[test]
fn what_cannot_be_read_is_an_error() {
    let lists = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let laughs: String =
        (1..12).map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "))).collect();
    for (kind, text) in [
        (Kind::Envoy, lists(100)),
        (Kind::Envoy, lists(50_000)),
        (Kind::Envoy, format!("a0: &a0 [x]\n{laughs}")),
        (Kind::Envoy, "a: *nothing".to_owned()),
        (Kind::Envoy, "a: [1, 2".to_owned()),
        (Kind::Traefik, "a:\n\t- b".to_owned()),
        (Kind::Nginx, "server {".to_owned()),
        (Kind::Nginx, "server { } }".to_owned()),
        (Kind::Nginx, "return 200 \"torn".to_owned()),
        (Kind::Nginx, "a {".repeat(50_000)),
        (Kind::Caddy, "(a) {\n import a\n}\nb {\n import a\n}\n".to_owned()),
        (
            Kind::Caddy,
            (0..9).map(|at| format!("(s{at}) {{\n{}}}\n", format!("import s{}\n", at + 1).repeat(40))).collect::<String>()
                + "x {\nimport s0\n}\n",
        ),
    ] {
        assert!(examine(kind, Path::new("file"), &text).is_err(), "{kind:?}: {}", text.get(..60).unwrap_or(&text));
    }
    let deep = "a = ".to_owned() + &lists(100_000);
    assert!(examine(Kind::Traefik, Path::new("a.toml"), &deep).is_err());
}
