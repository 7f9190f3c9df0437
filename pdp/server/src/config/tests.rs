//! Configurations: what is wrong is all said at once, with its key.

use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "a secret of some length\n").unwrap();
    std::fs::write(folder.path().join("short"), "short\n").unwrap();
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    Config::load(&folder.path().join("c.toml"))
}

const GOOD: &str = r#"
[listen]
decision = "127.0.0.1:0"
operations = "127.0.0.1:0"
[[pep]]
id = "nginx"
secret_file = "secret"
from = ["127.0.0.1"]
[[host]]
origin = "http://Payroll.localhost:8080"
[policy]
path = "policies"
[store]
dir = "data"
"#;

#[test]
fn a_small_configuration_is_enough() {
    let config = load(GOOD).unwrap();
    assert_eq!(config.rules.hosts.keys().next().unwrap().as_str(), "payroll.localhost:8080");
    assert!(config.rules.trusted_proxies.is_empty(), "nobody is trusted by default");
    assert!(!format!("{config:?}").contains("a secret"));
}

#[test]
fn all_problems_are_reported_with_their_keys() {
    let broken =
        GOOD.replace("127.0.0.1:0\"\noperations", "nowhere\"\noperations").replace("\"secret\"", "\"short\"").replace("http://", "ftp://")
            + "[[issuer]]\niss = \"i\"\njwks_file = \"none\"\nalgorithms = [\"HS256\"]\naudiences = []\n[proxy]\ntrusted = [\"x\"]\n";
    let ConfigError(problems) = load(&broken).unwrap_err();
    let insecure = GOOD.replace("[[pep]]", "public = \"127.0.0.1:0\"\n[[pep]]") + "[step_up]\norigin = \"http://auth.example\"\n";
    let ConfigError(refused) = load(&insecure).unwrap_err();
    assert!(refused.iter().any(|problem| problem.starts_with("step_up.origin")), "{refused:?}");
    for key in [
        "listen.decision",
        "proxy.trusted",
        "pep[0].secret_file",
        "host[0].origin",
        "issuer[0].algorithms",
        "issuer[0].audiences",
        "issuer[0].jwks_file",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key} is not in {problems:?}");
    }
}

#[test]
fn a_rollout_says_what_it_tries() {
    let rollout = |text: &str| load(&format!("{GOOD}[policy.rollout]\n{text}\n")).map(|config| config.policy.rollout);
    assert_eq!(load(GOOD).unwrap().policy.rollout.first(), None, "nothing is tried unless it is asked for");
    let terms = rollout("shadow_s = 60\ncanary = [1, 10, 100]\nmax_new_allows = \"3\"").unwrap();
    assert_eq!((terms.shadow.0, terms.stage.0, terms.min_decisions), (60_000, 300_000, 100));
    let budgets = terms.budgets;
    let shown = [budgets.new_denies, budgets.new_allows, budgets.new_step_ups, terms.errors];
    assert_eq!(shown.map(|budget| budget.map(|budget| budget.to_string())), ["0.5 %", "3", "5 %", "0"].map(|text| Some(text.to_owned())));
    assert_eq!(rollout("shadow_s = 1\nmax_errors = \"\"").unwrap().errors, None);
    for (text, problem) in [
        ("", "policy.rollout: nothing would be tried"),
        ("stage_s = 5", "policy.rollout: nothing would be tried"),
        ("canary = [10, 1, 100]", "policy.rollout.canary: the shares are percents that rise"),
        ("canary = [1, 10]", "policy.rollout.canary"),
        ("canary = [0, 100]", "policy.rollout.canary"),
        ("canary = [50, 101]", "policy.rollout.canary"),
        ("canary = [100]\nmin_decisions = 0", "policy.rollout.min_decisions"),
        ("shadow_s = 9999999", "policy.rollout.shadow_s"),
        ("canary = [100]\nmax_errors = \"few\"", "policy.rollout.max_errors: a budget is a number"),
    ] {
        let ConfigError(problems) = rollout(text).unwrap_err();
        assert!(problems.iter().any(|told| told.starts_with(problem)), "{text}: {problems:?}");
    }
    assert!(rollout("canary = [100]\nmax_denies = \"0\"").is_err(), "a key that nobody heeds");
}

#[test]
fn unknown_keys_are_refused() {
    let ConfigError(problems) = load(&format!("{GOOD}\n[places]\nmax_age = \"1 month\"\n")).unwrap_err();
    assert!(problems[0].contains("max_age"), "{problems:?}");
}

#[track_caller]
fn refused(text: &str, key: &str) {
    let ConfigError(problems) = load(text).unwrap_err();
    assert!(problems.len() == 1 && problems[0].starts_with(key), "{problems:?}");
}

#[test]
fn the_keys_of_operators_do_not_cross_a_network_in_the_clear() {
    let at = |control: &str| GOOD.replace("[listen]", &format!("[listen]\ncontrol = \"{control}\""));
    for open in ["0.0.0.0:9183", "192.0.2.1:9183", "[::]:9183"] {
        refused(&at(open), "listen.control");
        assert!(load(&format!("{}\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n", at(open))).is_ok(), "{open}");
    }
    assert!(load(&at("127.0.0.1:9183")).is_ok() && load(&at("[::1]:9183")).is_ok());
}

#[test]
fn passkeys_live_on_a_host_that_serves_nothing_else() {
    let at = |origin: &str| GOOD.replace("[listen]", "[listen]\npublic = \"127.0.0.1:0\"") + &format!("[step_up]\norigin = \"{origin}\"\n");
    refused(&at("http://payroll.localhost:8080"), "step_up.origin");
    refused(&at("http://payroll.localhost:8081"), "step_up.origin");
    refused(&at("https://payroll.localhost"), "step_up.origin");
    assert!(load(&at("http://auth.localhost:8080")).is_ok());
}

#[test]
fn a_host_is_configured_once() {
    refused(&format!("{GOOD}\n[[host]]\norigin = \"http://payroll.localhost:8080/\"\n"), "host");
}

#[test]
fn envoy_asks_at_addresses_of_its_own() {
    let with = |listen: &str, more: &str| GOOD.replace("[[pep]]", &format!("{listen}\n[[pep]]")) + more;
    let config = load(&with("grpc = \"127.0.0.1:9182\"\nopa_grpc = \"127.0.0.1:9191\"", "[opa]\npath = \"policies\"\n")).unwrap();
    assert_eq!(config.listen.grpc.unwrap().port(), 9182);
    assert_eq!(config.opa.unwrap().envoy_decision, ["envoy", "authz", "allow"]);
    assert!(load(GOOD).unwrap().listen.grpc.is_none(), "off by default");
    refused(&with("grpc = \"9182\"", ""), "listen.grpc");
    refused(&with("opa_grpc = \"127.0.0.1:9191\"", ""), "opa");
    refused(&with("opa_grpc = \"0.0.0.0:9191\"", "[opa]\npath = \"policies\"\n"), "listen.opa_grpc");
}

#[test]
fn certificates_come_in_one_form_that_is_named() {
    let at = |setting: &str| GOOD.replace("from = [\"127.0.0.1\"]", &format!("from = [\"127.0.0.1\"]\n{setting}"));
    let header = |setting: &str| load(&at(setting)).unwrap().enforcers[0].certificate.clone().map(|header| header.name);
    assert_eq!(header(""), None);
    assert_eq!(header("client_certificate = \"xfcc\"").as_deref(), Some("x-forwarded-client-cert"));
    assert_eq!(
        header("client_certificate = \"nginx\"\nclient_certificate_header = \"SSL-Client-Cert\"").as_deref(),
        Some("ssl-client-cert")
    );
    refused(&at("client_certificate = \"apache\""), "pep[0].client_certificate");
    refused(&at("client_certificate_header = \"ssl-client-cert\""), "pep[0].client_certificate");
    refused(&at("client_certificate = \"nginx\"\nclient_certificate_header = \"a b\""), "pep[0].client_certificate_header");
}

#[test]
fn one_issuer_is_asked_about_tokens_that_name_none() {
    let asked = |iss: &str, more: &str| {
        let url = "http://127.0.0.1:1/introspect";
        format!(
            "[[issuer]]\niss = \"{iss}\"\naudiences = [\"a\"]\n[issuer.introspection]\nurl = \"{url}\"\nclient_id = \"c\"\nsecret_file = \"secret\"\n{more}\n"
        )
    };
    let with = |more: &str| format!("{GOOD}\n{more}");
    let one = load(&with(&asked("https://one.example", ""))).unwrap();
    assert_eq!(one.issuers.opaque.as_deref(), Some("https://one.example"));
    assert_eq!(one.issuers.by_iss["https://one.example"].check, countersign_pdp_engine::identify::Check::Introspection);
    let two = |more: &str| with(&format!("{}{}", asked("https://one.example", ""), asked("https://two.example", more)));
    assert!(load(&two("opaque = false")).is_ok());
    let ConfigError(problems) = load(&two("")).unwrap_err();
    assert!(problems.len() == 1 && problems[0].contains("introspection.opaque"), "{problems:?}");
    for (more, key) in
        [("cache_seconds = 0", "cache_seconds"), ("cache_seconds = 301", "cache_seconds"), ("cache_seconds = \"1 minute\"", "")]
    {
        let ConfigError(problems) = load(&with(&asked("https://one.example", more))).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(key), "{problems:?}");
    }
    let ConfigError(problems) =
        load(&with(&asked("https://one.example", "").replace("http://127.0.0.1:1", "http://issuer.example"))).unwrap_err();
    assert!(problems[0].contains("introspection.url"), "{problems:?}");
}

#[test]
fn proofs_are_bounded() {
    let with = |more: &str| format!("{GOOD}\n[dpop]\n{more}\n");
    let proofs = load(&with("algorithms = [\"ES256\"]\nmax_age_seconds = 30\nrequire_nonce = true")).unwrap().proofs;
    assert_eq!((proofs.rules.window, proofs.rules.algorithms.len(), proofs.requires_nonce), (Seconds(30), 1, true));
    refused(&with("max_age_seconds = 0"), "dpop.max_age_seconds");
    refused(&with("max_age_seconds = 301"), "dpop.max_age_seconds");
    refused(&with("algorithms = []"), "dpop.algorithms");
    let ConfigError(problems) = load(&with("algorithms = [\"HS256\"]")).unwrap_err();
    assert!(problems.iter().all(|problem| problem.starts_with("dpop.algorithms")), "{problems:?}");
}

#[test]
fn an_enforcement_point_is_known_by_something_of_its_own() {
    let nothing = GOOD.replace("secret_file = \"secret\"\n", "");
    let ConfigError(problems) = load(&nothing).unwrap_err();
    assert!(problems.iter().any(|problem| problem.starts_with("pep[0]: it has none of")), "{problems:?}");
    let second = |more: &str| format!("{GOOD}[[pep]]\nid = \"app\"\nbearer_file = \"secret\"\nfrom = [\"127.0.0.1\"]\n{more}");
    assert_eq!(load(&second("authzen = \"search\"\n")).unwrap().enforcers[1].authzen, AuthzenUse::Search);
    let shared = second("[[pep]]\nid = \"web\"\nbearer_file = \"secret\"\nfrom = [\"127.0.0.1\"]\n");
    let ConfigError(problems) = load(&shared).unwrap_err();
    assert!(problems.iter().any(|problem| problem.contains("`app` and `web` share")), "{problems:?}");
    let ConfigError(problems) = load(&second("certificates = [\"dns:a\", \"cn:b\"]\n")).unwrap_err();
    for key in ["pep[1].certificates: `cn:b`", "pep.certificates: no client certificate"] {
        assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key} is not in {problems:?}");
    }
}

#[test]
fn authzen_has_bounds_and_an_identifier_by_https() {
    let broken = "[authzen]\nidentifier = \"http://pdp.example\"\nsigning_key = \"secret\"\ndeadline_ms = 60000\nmost_evaluations = 0\nmost_candidates = 1000000\n";
    let ConfigError(problems) = load(&format!("{GOOD}{broken}")).unwrap_err();
    for key in ["identifier", "signing_key", "deadline_ms", "most_evaluations", "most_candidates"] {
        assert!(problems.iter().any(|problem| problem.starts_with(&format!("authzen.{key}: "))), "{key} is not in {problems:?}");
    }
}

#[test]
fn leases_are_bounded() {
    let with = |more: &str| format!("{GOOD}\n[lease]\n{more}\n");
    assert_eq!(load(GOOD).unwrap().lease, LeaseTerms::default());
    let lease =
        load(&with("ttl_ms = 60000\nfloor_ms = 1000\nheartbeat_ms = 5000\nrisk_below = 20\nnever = [\"pay\"]\nwatches = 5")).unwrap().lease;
    assert_eq!((lease.ttl.0, lease.floor.0, lease.heartbeat.0, lease.risk_below.value(), lease.watches), (60_000, 1_000, 5_000, 20, 5));
    assert!(lease.never.contains("pay"));
    assert_eq!(load(&with("ttl_ms = 0")).unwrap().lease.ttl.0, 0);
    refused(&with("ttl_ms = 300001"), "lease.ttl_ms");
    refused(&with("floor_ms = 30001\nttl_ms = 60000"), "lease.floor_ms");
    refused(&with("ttl_ms = 1000"), "lease.floor_ms");
    refused(&with("heartbeat_ms = 999"), "lease.heartbeat_ms");
    refused(&with("heartbeat_ms = 60001"), "lease.heartbeat_ms");
    refused(&with("risk_below = 101"), "lease.risk_below");
    refused(&with("watches = 0"), "lease.watches");
    refused(&with("watches = 1000001"), "lease.watches");
}

fn policies(section: &str) -> String {
    GOOD.replace("[listen]", "[listen]\ncontrol = \"127.0.0.1:0\"").replace("path = \"policies\"", section)
}

#[test]
fn policies_come_from_one_place() {
    use crate::git::Follow;
    use crate::policies::Place;
    let place = |section: &str| load(&policies(section)).unwrap().policy.place;
    assert!(matches!(place("path = \"policies\""), Place::Folder(at) if at.ends_with("policies")));
    assert!(
        matches!(place("bundle = \"https://bundles.example/b.tar.gz?key=1\""), Place::Bundle(bundle) if bundle.shown == "https://bundles.example/b.tar.gz")
    );
    assert!(matches!(place("bundle = \"b.tar.gz\""), Place::Bundle(bundle) if bundle.shown.ends_with("/b.tar.gz")));
    let git = |more: &str| match place(&format!("git = \"https://git.example/p.git\"\n{more}")) {
        Place::Git(settings) => settings,
        other => panic!("{other:?}"),
    };
    assert_eq!((git("").follow, git("").within.as_str()), (Follow::Branch("main".to_owned()), ""));
    assert_eq!(git("tag = \"live\"\nwithin = \"access/policy/\"").within, "access/policy");
    assert_eq!(git(&format!("commit = \"{}\"", "a".repeat(40))).follow, Follow::Commit("a".repeat(40)));
    assert!(load(&policies("git = \"https://git.example/p.git\"")).unwrap().dangers.iter().any(|danger| danger.contains("unsigned")));
    let signed = load(&policies("git = \"https://git.example/p.git\"\nallowed_signers = \"secret\"")).unwrap();
    assert!(signed.dangers.is_empty(), "{:?}", signed.dangers);
    let hooked = policies("git = \"https://git.example/p.git\"\nwebhook_secret_file = \"secret\"\npoll_s = 5");
    let hooked = load(&hooked).unwrap().policy;
    assert_eq!((hooked.webhook.is_some(), hooked.poll), (true, Duration::from_secs(5)));
}

#[test]
fn keys_of_another_source_are_told() {
    refused(&policies(""), "policy: exactly one");
    refused(&policies("path = \"p\"\ngit = \"https://git.example/p.git\""), "policy: exactly one");
    refused(&policies("path = \"p\"\nbranch = \"main\""), "policy.branch");
    refused(&policies("path = \"p\"\nwebhook_secret_file = \"secret\""), "policy.webhook_secret_file");
    refused(&policies("bundle = \"b.tar.gz\"\nallowed_signers = \"secret\""), "policy.allowed_signers");
    refused(&policies("bundle = \"b.tar.gz\"\ntoken_file = \"secret\""), "policy.token_file");
    refused(
        &policies("bundle = \"https://b.example/b\"\n[[policy.key]]\nid = \"k\"\nalgorithm = \"HS256\"\nfile = \"short\""),
        "policy.key[0]",
    );
    let git = |more: &str| policies(&format!("git = \"https://git.example/p.git\"\n{more}"));
    refused(&git("ssh_key_file = \"secret\""), "policy.ssh_key_file");
    refused(&git("allowed_signers = \"none\""), "policy.allowed_signers");
    refused(&git("branch = \"main\"\ntag = \"live\""), "policy: at most one");
    refused(&git("commit = \"abc\""), "policy.commit");
    refused(&git("within = \"../policy\""), "policy.within");
    refused(&git("poll_s = 0"), "policy.poll_s");
    refused(&git("webhook_secret_file = \"short\""), "policy.webhook_secret_file");
    for branch in ["", "-x", "a..b", "a b", "a/.b", "a.lock", "a~1", "a/", "@{-1}"] {
        refused(&git(&format!("branch = \"{branch}\"")), "policy.branch");
    }
    for url in
        ["git@git.example:p.git", "/srv/p.git", "http://git.example/p.git", "https://user:word@git.example/p.git", "https://10.0.0.1/p.git"]
    {
        refused(&policies(&format!("git = \"{url}\"")), "policy.git");
    }
    let ssh = |url: &str, more: &str| policies(&format!("git = \"{url}\"\nssh_key_file = \"secret\"\n{more}"));
    assert!(load(&ssh("ssh://git@git.example/p.git", "known_hosts_file = \"secret\"")).is_ok());
    refused(&ssh("ssh://git@git.example/p.git", ""), "policy.known_hosts_file");
    for url in ["ssh://-oProxyCommand=x/p", "ssh://-x@git.example/p", "ssh://git:word@git.example/p", "ssh:///p"] {
        refused(&ssh(url, "known_hosts_file = \"secret\""), "policy.git");
    }
    let hooked = GOOD.replace("path = \"policies\"", "git = \"https://git.example/p.git\"\nwebhook_secret_file = \"secret\"");
    refused(&hooked, "policy.webhook_secret_file: without `listen.control`");
}
