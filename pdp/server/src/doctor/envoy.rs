//! What Envoy's `ext_authz` does not forgive.

use super::tree::Node;
use super::{Finding, OWN_PATH, Rule, Severity, missing_identity};

pub(super) const RULES: &[&Rule] = &[
    &UNCHECKED,
    &DISABLED,
    &SAMPLED,
    &FAILURE_ALLOWED,
    &IDENTITY,
    &UNDERSCORES,
    &REMOTE_ADDRESS,
    &FORWARDED,
    &CERTIFICATE,
    &NO_TIMEOUT,
    &BEFORE,
    &CACHED,
    &REWRITTEN,
    &PARTIAL,
];

const UNCHECKED: Rule = Rule {
    id: "envoy/nothing-checked",
    severity: Severity::High,
    why: "this connection manager has no `ext_authz` filter, so nothing in it is decided about",
    instead: "`envoy.filters.http.ext_authz` as the first of its `http_filters`",
};
const DISABLED: Rule = Rule {
    id: "envoy/unchecked-route",
    severity: Severity::High,
    why: "this route leads somewhere without a check",
    instead: "`disabled: true` only where the route leads to the decision point's own pages, as `/.countersign/` does",
};
const SAMPLED: Rule = Rule {
    id: "envoy/sampled-check",
    severity: Severity::High,
    why: "the filter is on for some requests only, or can be switched off at run time, and the others pass",
    instead: "no `filter_enabled`, or `deny_at_disable` with a default of true",
};
const FAILURE_ALLOWED: Rule = Rule {
    id: "envoy/failure-allowed",
    severity: Severity::High,
    why: "whoever cannot be asked about is let in: a client that makes the decision point fail or wait has passed it",
    instead: "`failure_mode_allow: false`",
};
const IDENTITY: Rule = Rule {
    id: "envoy/identity-not-removed",
    severity: Severity::High,
    why: "a header that nobody sets is passed on as the client sent it, and the application believes it",
    instead: "`remove` of each of them in `early_header_mutation_extensions`",
};
const UNDERSCORES: Rule = Rule {
    id: "envoy/underscores-passed",
    severity: Severity::High,
    why: "many applications read `remote_user` as `remote-user`, and a client may send it",
    instead: "`common_http_protocol_options: { headers_with_underscores_action: DROP_HEADER }`, or `REJECT_REQUEST`",
};
const REMOTE_ADDRESS: Rule = Rule {
    id: "envoy/client-address-believed",
    severity: Severity::High,
    why: "the client's own X-Forwarded-For and X-Forwarded-Proto are believed",
    instead: "`use_remote_address: true`, with `xff_num_trusted_hops` where your own load balancers stand before it",
};
const FORWARDED: Rule = Rule {
    id: "envoy/forwarded-for-not-set",
    severity: Severity::Medium,
    why: "Envoy leaves X-Forwarded-For as it came",
    instead: "no `skip_xff_append`",
};
const CERTIFICATE: Rule = Rule {
    id: "envoy/client-certificate-believed",
    severity: Severity::High,
    why: "what a client writes into X-Forwarded-Client-Cert is taken for its certificate, and so a bound token is good without its key",
    instead: "`forward_client_cert_details: SANITIZE_SET`, or `SANITIZE`, which is the default",
};
const NO_TIMEOUT: Rule = Rule {
    id: "envoy/no-timeout",
    severity: Severity::Low,
    why: "200 ms is the default, which is short for a decision that looks something up and long for nobody to know of",
    instead: "`timeout: 0.5s` in `grpc_service` or `server_uri`",
};
const BEFORE: Rule = Rule {
    id: "envoy/filter-before-check",
    severity: Severity::Medium,
    why: "this filter can change the request, or answer it, before anybody asks",
    instead: "`ext_authz` before it",
};
const CACHED: Rule = Rule {
    id: "envoy/cached-before-check",
    severity: Severity::High,
    why: "what is in the cache is given to everybody, without a decision",
    instead: "`ext_authz` before the cache",
};
const REWRITTEN: Rule = Rule {
    id: "envoy/path-rewritten",
    severity: Severity::Medium,
    why: "the application gets another path than the one that was decided about",
    instead: "no rewrite in the route; let the application or the policy know the outer path",
};
const PARTIAL: Rule = Rule {
    id: "envoy/partial-body",
    severity: Severity::Medium,
    why: "a policy over the body decides about its beginning, and the application gets the rest too",
    instead: "`allow_partial_message: false`, so that a longer body is refused with 413",
};

/// Filters that neither change a request nor answer it from elsewhere.
const HARMLESS_BEFORE: [&str; 8] = ["Router", "HealthCheck", "Cors", "JwtAuthentication", "RBAC", "LocalRateLimit", "RateLimit", "Oauth2"];

pub(super) fn is_one(tree: &Node) -> bool {
    let keys = ["static_resources", "dynamic_resources", "resources", "@type", "filter_chains", "node"];
    keys.iter().any(|key| tree.get(key).is_some()) || !of_type(tree, "HttpConnectionManager").is_empty()
}

pub(super) fn examine(tree: &Node) -> Vec<Finding> {
    let managers = of_type(tree, "HttpConnectionManager");
    let mut found = Vec::new();
    if managers.is_empty() {
        found.push(UNCHECKED.at(1, "no connection manager in this file"));
    }
    for manager in managers {
        let filters = manager.get("http_filters").map_or(&[][..], Node::items);
        match filters.iter().position(|filter| is_type(filter.get("typed_config"), "ExtAuthz")) {
            None => found.push(UNCHECKED.at(manager.line, manager.get("stat_prefix").map_or("", Node::text))),
            Some(at) => {
                let (before, rest) = filters.split_at(at);
                before.iter().for_each(|filter| found.extend(ahead(filter)));
                rest.first().and_then(|filter| filter.get("typed_config")).into_iter().for_each(|check| check_itself(check, &mut found));
                connection(manager, &mut found);
                manager.get("route_config").into_iter().for_each(|routes| self::routes(routes, &mut found));
            }
        }
    }
    for routes in of_type(tree, "RouteConfiguration") {
        self::routes(routes, &mut found);
    }
    found
}

/// All values whose `@type` ends in a dot and this name.
fn of_type<'a>(tree: &'a Node, name: &str) -> Vec<&'a Node> {
    let mut found = Vec::new();
    tree.walk(&mut |node| {
        if is_type(Some(node), name) {
            found.push(node);
        }
    });
    found
}

fn is_type(node: Option<&Node>, name: &str) -> bool {
    type_of(node) == Some(name)
}

fn type_of(node: Option<&Node>) -> Option<&str> {
    node?.get("@type")?.text().rsplit('.').next()
}

/// A filter that runs before the check.
fn ahead(filter: &Node) -> Option<Finding> {
    let kind = type_of(filter.get("typed_config"))?;
    let rule = match kind {
        "CacheConfig" | "CacheV2Config" => &CACHED,
        _ if HARMLESS_BEFORE.contains(&kind) => return None,
        _ => &BEFORE,
    };
    Some(rule.at(filter.line, kind))
}

fn check_itself(check: &Node, found: &mut Vec<Finding>) {
    let mut flag = |rule: &'static Rule, key: &str, text: &str| {
        if let Some(node) = check.get(key).filter(|node| node.text() == text) {
            found.push(rule.at(node.line, format!("{key}: {text}")));
        }
    };
    flag(&FAILURE_ALLOWED, "failure_mode_allow", "true");
    if let Some(enabled) = check.get("filter_enabled").or_else(|| check.get("filter_enabled_metadata")) {
        let denies = check.at(&["deny_at_disable", "default_value", "value"]).or_else(|| check.at(&["deny_at_disable", "default_value"]));
        if denies.is_none_or(|value| value.text() != "true") {
            found.push(SAMPLED.at(enabled.line, "filter_enabled"));
        }
    }
    if let Some(body) = check.at(&["with_request_body", "allow_partial_message"]).filter(|node| node.text() == "true") {
        found.push(PARTIAL.at(body.line, "allow_partial_message: true"));
    }
    for (service, timeout) in
        [("grpc_service", &["grpc_service", "timeout"][..]), ("http_service", &["http_service", "server_uri", "timeout"])]
    {
        if let Some(node) = check.get(service).filter(|_| check.at(timeout).is_none()) {
            found.push(NO_TIMEOUT.at(node.line, format!("{service} has no timeout")));
        }
    }
}

/// What the connection manager does before any filter.
fn connection(manager: &Node, found: &mut Vec<Finding>) {
    if !manager.is("use_remote_address", "true") {
        found.push(REMOTE_ADDRESS.at(manager.line, "use_remote_address is not true"));
    }
    if let Some(skip) = manager.get("skip_xff_append").filter(|node| node.text() == "true") {
        found.push(FORWARDED.at(skip.line, "skip_xff_append: true"));
    }
    let certificates = manager.get("forward_client_cert_details");
    if let Some(details) = certificates.filter(|node| node.text().contains("FORWARD")) {
        found.push(CERTIFICATE.at(details.line, details.text()));
    }
    let action = manager.at(&["common_http_protocol_options", "headers_with_underscores_action"]).map_or("", Node::text);
    if !matches!(action, "DROP_HEADER" | "REJECT_REQUEST") {
        found.push(UNDERSCORES.at(manager.line, "headers_with_underscores_action is not set"));
    }
    let extensions = manager.get("early_header_mutation_extensions").map_or(&[][..], Node::items);
    let mutations = extensions.iter().filter_map(|extension| extension.at(&["typed_config", "mutations"])).flat_map(Node::items);
    if let Some(missing) = missing_identity(mutations.filter_map(|mutation| mutation.get("remove")).map(Node::text)) {
        found.push(IDENTITY.at(manager.line, missing));
    }
}

fn routes(configuration: &Node, found: &mut Vec<Finding>) {
    let hosts = configuration.get("virtual_hosts").map_or(&[][..], Node::items);
    let routes = || hosts.iter().filter_map(|host| host.get("routes")).flat_map(Node::items);
    let own: Vec<&str> = routes().filter(|route| is_own(route)).filter_map(cluster).collect();
    let leads_to_own = |route: &Node| cluster(route).is_none_or(|cluster| own.contains(&cluster));
    for host in hosts.iter().filter(|host| is_disabled(host)) {
        let routes = host.get("routes").map_or(&[][..], Node::items);
        if routes.iter().any(|route| !leads_to_own(route)) {
            found.push(DISABLED.at(host.line, host.get("name").map_or("", Node::text)));
        }
    }
    for route in routes() {
        if is_disabled(route) && !leads_to_own(route) {
            found.push(DISABLED.at(route.line, cluster(route).unwrap_or_default()));
        }
        for rewrite in ["prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite"] {
            if let Some(node) = route.at(&["route", rewrite]) {
                found.push(REWRITTEN.at(node.line, rewrite));
            }
        }
    }
}

fn is_own(route: &Node) -> bool {
    ["prefix", "path_separated_prefix"].iter().any(|key| {
        let path = route.at(&["match", key]).map_or("", Node::text);
        path.starts_with(OWN_PATH) || path == OWN_PATH.trim_end_matches('/')
    })
}

/// Where a route leads; a direct answer and a redirect lead nowhere.
fn cluster(route: &Node) -> Option<&str> {
    match (route.at(&["route", "cluster"]), route.get("route")) {
        (Some(cluster), _) => Some(cluster.text()),
        (None, Some(_)) => Some("several clusters"),
        (None, None) => None,
    }
}

/// The check is switched off for a route, or for all of a virtual host.
fn is_disabled(node: &Node) -> bool {
    let configurations = node.get("typed_per_filter_config").map_or(&[][..], Node::entries).iter().map(|(_, configuration)| configuration);
    let mut off = configurations.filter(|configuration| configuration.is("disabled", "true"));
    off.any(|configuration| matches!(type_of(Some(configuration)), Some("ExtAuthzPerRoute" | "FilterConfig")))
}
