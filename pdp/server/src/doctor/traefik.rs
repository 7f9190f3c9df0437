//! What Traefik's `ForwardAuth` does not forgive. Its settings are in two files: entry points in the static one, routers and middlewares in the dynamic one.

use super::tree::Node;
use super::{Finding, OWN_PATH, Rule, Severity, is_everyone, missing_identity};

pub(super) const RULES: &[&Rule] =
    &[&UNCHECKED, &UNCHECKED_ROUTER, &TRUSTED, &EVERYONE, &IDENTITY, &UNDERSCORES, &REWRITTEN, &FAILURE_ALLOWED, &INSECURE, &BODY];

const UNCHECKED: Rule = Rule {
    id: "traefik/nothing-checked",
    severity: Severity::High,
    why: "these routers use no `forwardAuth` middleware, so nothing of theirs is decided about",
    instead: "the middleware in `middlewares` of each router that leads to an application",
};
const UNCHECKED_ROUTER: Rule = Rule {
    id: "traefik/unchecked-router",
    severity: Severity::High,
    why: "this router leads somewhere without a check, beside others that are checked",
    instead: "the `forwardAuth` middleware in it too; only `/.countersign/` goes unchecked, and to the decision point",
};
const TRUSTED: Rule = Rule {
    id: "traefik/forwarded-trusted",
    severity: Severity::High,
    why: "the client's own X-Forwarded-* are believed: it chooses the path that is decided about, and where it comes from",
    instead: "`trustForwardHeader: false`, and no `forwardedHeaders.insecure`",
};
const EVERYONE: Rule = Rule {
    id: "traefik/everyone-trusted",
    severity: Severity::High,
    why: "every client is believed when it says where it comes from",
    instead: "`trustedIPs` with the networks of your own load balancers",
};
const IDENTITY: Rule = Rule {
    id: "traefik/identity-not-set",
    severity: Severity::High,
    why: "a header that is not copied is passed on as the client sent it, and the application believes it",
    instead: "each of them in `authResponseHeaders`",
};
const UNDERSCORES: Rule = Rule {
    id: "traefik/underscores-passed",
    severity: Severity::Medium,
    why: "many applications read `Remote_User` as `Remote-User`, and Traefik passes it on",
    instead: "a `headers` middleware with `customRequestHeaders: { Remote_User: \"\", Remote_Groups: \"\" }` before the application",
};
const REWRITTEN: Rule = Rule {
    id: "traefik/path-rewritten",
    severity: Severity::Medium,
    why: "the path is changed before the check: what is decided about is not what the client sent",
    instead: "the `forwardAuth` middleware before it in `middlewares`",
};
const FAILURE_ALLOWED: Rule = Rule {
    id: "traefik/failure-allowed",
    severity: Severity::High,
    why: "whoever is refused, or cannot be asked about, is told that all is well",
    instead: "no `statusRewrites` to a status of success",
};
const INSECURE: Rule = Rule {
    id: "traefik/check-not-verified",
    severity: Severity::High,
    why: "anybody on the way can answer for the decision point",
    instead: "`tls.ca` with the authority of its certificate, and no `insecureSkipVerify`",
};
const BODY: Rule = Rule {
    id: "traefik/body-unbounded",
    severity: Severity::Low,
    why: "each body is held in memory until it is decided about, however long it is",
    instead: "`maxBodySize` beside `forwardBody`",
};

/// Middlewares that change the path.
const REWRITES: [&str; 6] = ["stripPrefix", "stripPrefixRegex", "replacePath", "replacePathRegex", "addPrefix", "redirectRegex"];

pub(super) fn is_one(tree: &Node) -> bool {
    ["http", "entryPoints", "providers", "api", "certificatesResolvers"].iter().any(|key| tree.get(key).is_some())
}

pub(super) fn examine(tree: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, point) in tree.get("entryPoints").map_or(&[][..], Node::entries) {
        entry_point(name, point, &mut found);
    }
    if let Some(http) = tree.get("http") {
        let middlewares = http.get("middlewares").map_or(&[][..], Node::entries);
        for (name, node) in middlewares.iter() {
            node.get("forwardAuth").into_iter().for_each(|check| check_itself(name, check, middlewares, &mut found));
            node.get("errors").into_iter().for_each(|errors| failure(errors, &mut found));
        }
        routers(http.get("routers").map_or(&[][..], Node::entries), middlewares, &mut found);
    }
    found
}

fn entry_point(name: &str, point: &Node, found: &mut Vec<Finding>) {
    for place in ["forwardedHeaders", "proxyProtocol"] {
        let Some(place) = point.get(place) else { continue };
        if let Some(insecure) = place.get("insecure").filter(|node| node.text() == "true") {
            found.push(TRUSTED.at(insecure.line, format!("insecure: true of {name}")));
        }
        for network in place.get("trustedIPs").map_or(&[][..], Node::items).iter().filter(|network| is_everyone(network.text())) {
            found.push(EVERYONE.at(network.line, network.text()));
        }
    }
}

fn check_itself(name: &str, check: &Node, middlewares: &[(String, Node)], found: &mut Vec<Finding>) {
    if let Some(trust) = check.get("trustForwardHeader").filter(|node| node.text() == "true") {
        found.push(TRUSTED.at(trust.line, "trustForwardHeader: true"));
    }
    let copied = check.get("authResponseHeaders").map_or(&[][..], Node::items).iter().map(Node::text);
    let by_pattern = check.get("authResponseHeadersRegex").is_some();
    if let Some(missing) = missing_identity(copied).filter(|_| !by_pattern) {
        found.push(IDENTITY.at(check.line, format!("{name}: {missing}")));
    }
    let custom = middlewares.iter().filter_map(|(_, node)| node.at(&["headers", "customRequestHeaders"])).flat_map(Node::entries);
    let mut emptied = custom.filter(|(_, value)| value.text().is_empty());
    if !emptied.any(|(name, _)| name.eq_ignore_ascii_case("remote_user")) {
        found.push(UNDERSCORES.at(check.line, name));
    }
    if let Some(insecure) = check.at(&["tls", "insecureSkipVerify"]).filter(|node| node.text() == "true") {
        found.push(INSECURE.at(insecure.line, "insecureSkipVerify: true"));
    }
    if let Some(body) = check.get("forwardBody").filter(|node| node.text() == "true" && check.get("maxBodySize").is_none()) {
        found.push(BODY.at(body.line, "forwardBody: true"));
    }
}

fn failure(errors: &Node, found: &mut Vec<Finding>) {
    for (from, to) in errors.get("statusRewrites").map_or(&[][..], Node::entries) {
        if to.text().starts_with('2') {
            found.push(FAILURE_ALLOWED.at(to.line, format!("{from}: {}", to.text())));
        }
    }
}

fn routers<'a>(routers: &'a [(String, Node)], middlewares: &'a [(String, Node)], found: &mut Vec<Finding>) {
    let middleware = |name: &str| {
        let name = name.split('@').next().unwrap_or(name);
        middlewares.iter().find(|(own, _)| own == name).map(|(_, node)| node)
    };
    let has = |name: &str, kind: &str| middleware(name).is_some_and(|node| node.get(kind).is_some());
    let chain = |router: &'a Node| flat(router, &middleware);
    let check_of = |router: &'a Node| chain(router).iter().position(|name| has(name, "forwardAuth"));
    let own: Vec<&str> =
        routers.iter().filter(|(_, router)| is_own(router)).filter_map(|(_, router)| Some(router.get("service")?.text())).collect();
    let any = routers.iter().any(|(_, router)| check_of(router).is_some());
    if let Some((name, router)) = routers.first().filter(|_| !any) {
        found.push(UNCHECKED.at(router.line, format!("{name} and its like")));
    }
    for (name, router) in routers.iter().filter(|_| any) {
        let leads_to_own = router.get("service").is_some_and(|service| own.contains(&service.text()));
        match check_of(router) {
            None if !leads_to_own => found.push(UNCHECKED_ROUTER.at(router.line, name)),
            None => {}
            Some(at) => {
                let chain = chain(router);
                let rewrites = chain.iter().take(at).filter(|name| REWRITES.iter().any(|kind| has(name, kind)));
                found.extend(rewrites.map(|middleware| REWRITTEN.at(router.line, format!("{name}: {middleware}"))));
            }
        }
    }
}

/// The names of a router's middlewares, with those of a `chain` in its place.
fn flat<'a>(router: &'a Node, middleware: &impl Fn(&str) -> Option<&'a Node>) -> Vec<&'a str> {
    let names = router.get("middlewares").map_or(&[][..], Node::items).iter().map(Node::text);
    names
        .flat_map(|name| match middleware(name).and_then(|node| node.at(&["chain", "middlewares"])) {
            Some(chain) => chain.items().iter().map(Node::text).collect(),
            None => vec![name],
        })
        .collect()
}

/// A router of `/.countersign/`.
fn is_own(router: &Node) -> bool {
    router.get("rule").is_some_and(|rule| rule.text().contains(&format!("PathPrefix(`{OWN_PATH}`)")))
}
