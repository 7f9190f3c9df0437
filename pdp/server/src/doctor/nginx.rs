//! What nginx's `auth_request` does not forgive.

use super::blocks::{Directive, walk};
use super::{Finding, OWN_PATH, Rule, Severity, is_everyone, missing_identity};

pub(super) const RULES: &[&Rule] = &[
    &UNCHECKED,
    &UNCHECKED_LOCATION,
    &FAILURE_ALLOWED,
    &CACHED,
    &SATISFY_ANY,
    &IDENTITY,
    &UNDERSCORES,
    &ORIGINAL,
    &TWO_HOSTS,
    &FORWARDED,
    &EVERYONE,
    &NOT_INTERNAL,
    &NO_TIMEOUT,
    &REWRITTEN,
    &BODY,
    &INCLUDE,
];

const UNCHECKED: Rule = Rule {
    id: "nginx/nothing-checked",
    severity: Severity::High,
    why: "no `auth_request` is in this file, so nothing in it is decided about",
    instead: "`auth_request /_countersign;` in each server or location that leads to an application",
};
const UNCHECKED_LOCATION: Rule = Rule {
    id: "nginx/unchecked-location",
    severity: Severity::High,
    why: "this location leads somewhere without a check, beside others that are checked",
    instead: "let it inherit `auth_request`; only `/.countersign/` goes unchecked, and to the decision point",
};
const FAILURE_ALLOWED: Rule = Rule {
    id: "nginx/failure-allowed",
    severity: Severity::High,
    why: "whoever is refused, or cannot be asked about, is led to an application, or is told that all is well",
    instead: "no `error_page` for 403 and 5xx, and for 401 only one whose location returns a redirect or a 401",
};
const CACHED: Rule = Rule {
    id: "nginx/cached-decision",
    severity: Severity::High,
    why: "an answer that is kept is no decision about the next request: a revoked session goes on",
    instead: "`proxy_cache off;` in the location of the check",
};
const SATISFY_ANY: Rule = Rule {
    id: "nginx/satisfy-any",
    severity: Severity::High,
    why: "with `satisfy any` an address or a password alone lets in, whatever was decided",
    instead: "`satisfy all;`, which is the default",
};
const IDENTITY: Rule = Rule {
    id: "nginx/identity-not-set",
    severity: Severity::High,
    why: "a header that is not set is passed on as the client sent it, and the application believes it",
    instead: "`proxy_set_header NAME $value;` for each of them, with `\"\"` where there is none; a level that sets one inherits none",
};
const UNDERSCORES: Rule = Rule {
    id: "nginx/underscores-passed",
    severity: Severity::High,
    why: "many applications read `Remote_User` as `Remote-User`, and a client may send it",
    instead: "`underscores_in_headers off;` and `ignore_invalid_headers on;`, which are the defaults",
};
const ORIGINAL: Rule = Rule {
    id: "nginx/original-request-not-set",
    severity: Severity::High,
    why: "what is decided about is then the client's word, or a path that nginx has decoded, and not what the application gets",
    instead: "`proxy_set_header X-Original-Method $request_method;` and `proxy_set_header X-Original-URL $scheme://$http_host$request_uri;`",
};
const TWO_HOSTS: Rule = Rule {
    id: "nginx/two-hosts",
    severity: Severity::Medium,
    why: "nginx chooses the server by the host of the request line, and the check is told of the one in `Host`: a request for one application is decided as one for another",
    instead: "a `map` of `$host/$http_host` and `if ($that) { return 400; }` in the server, as in the example, or `$host` in X-Original-URL",
};
const FORWARDED: Rule = Rule {
    id: "nginx/forwarded-for-not-set",
    severity: Severity::High,
    why: "the client chooses where it comes from",
    instead: "`proxy_set_header X-Forwarded-For $remote_addr;`, never `$proxy_add_x_forwarded_for`",
};
const EVERYONE: Rule = Rule {
    id: "nginx/everyone-trusted",
    severity: Severity::High,
    why: "every client is believed when it says where it comes from",
    instead: "`set_real_ip_from` with the networks of your own load balancers",
};
const NOT_INTERNAL: Rule = Rule {
    id: "nginx/check-not-internal",
    severity: Severity::Medium,
    why: "anybody can ask for decisions, with nginx's own secret",
    instead: "`internal;` in the location of the check",
};
const NO_TIMEOUT: Rule = Rule {
    id: "nginx/no-timeout",
    severity: Severity::Medium,
    why: "nginx waits a minute for an answer, and requests pile up behind a decision point that hangs",
    instead: "`proxy_connect_timeout 200ms;` and `proxy_read_timeout 500ms;` in the location of the check",
};
const REWRITTEN: Rule = Rule {
    id: "nginx/path-rewritten",
    severity: Severity::Medium,
    why: "the application gets another path than the one that was decided about",
    instead: "`proxy_pass` without a path, and no `rewrite`; let the application or the policy know the outer path",
};
const BODY: Rule = Rule {
    id: "nginx/body-sent",
    severity: Severity::Low,
    why: "the check is announced a body that never comes",
    instead: "`proxy_pass_request_body off;` and `proxy_set_header Content-Length \"\";` in the location of the check",
};
const INCLUDE: Rule = Rule {
    id: "nginx/include-not-read",
    severity: Severity::Low,
    why: "what is included was not examined",
    instead: "examine what `nginx -T` prints",
};

/// Directives by which a location leads to an application.
const LEADS: [&str; 5] = ["proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass"];

/// A server or location, and the blocks around it, inside out.
struct Scope<'a>(Vec<&'a Directive>);

impl<'a> Scope<'a> {
    fn own(&self) -> Option<&'a Directive> {
        self.0.first().copied()
    }

    /// The directives of this name that are in force: those of the innermost block that has any.
    fn in_force(&self, name: &'a str) -> Vec<&'a Directive> {
        self.0.iter().map(|block| block.named(name).collect::<Vec<_>>()).find(|found| !found.is_empty()).unwrap_or_default()
    }

    fn setting(&self, name: &'a str) -> Option<&'a str> {
        self.in_force(name).last().map(|directive| directive.argument(0))
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        let set = self.in_force("proxy_set_header");
        set.into_iter().find(|directive| directive.argument(0).eq_ignore_ascii_case(name)).map(|directive| directive.argument(1))
    }

    fn is_checked(&self) -> bool {
        self.setting("auth_request").is_some_and(|target| target != "off")
    }

    fn leads(&self) -> Option<&'a Directive> {
        self.directives().find(|directive| LEADS.contains(&directive.name()))
    }

    /// What is in this block, and in its conditions.
    fn directives(&self) -> impl Iterator<Item = &'a Directive> {
        let children = || self.own().into_iter().flat_map(Directive::children);
        children().chain(children().filter(|child| child.name() == "if").flat_map(Directive::children))
    }

    fn line(&self) -> usize {
        self.own().map_or(1, |own| own.line)
    }

    fn text(&self) -> String {
        self.own().map(Directive::text).unwrap_or_default()
    }

    /// The last argument of a location: its path or its name.
    fn path(&self) -> &'a str {
        self.own().and_then(|own| own.words.last()).map_or("", String::as_str)
    }

    /// The server refuses a request that names two hosts, by a variable that is made of both.
    fn compares_hosts(&self) -> bool {
        let maps = self.0.iter().flat_map(|block| block.named("map"));
        let of_both = |map: &&Directive| map.argument(0).contains("$host") && map.argument(0).contains("$http_host");
        let names: Vec<&str> = maps.filter(of_both).map(|map| map.argument(1)).collect();
        let refuses = |condition: &Directive| condition.named("return").any(|answer| answer.argument(0).starts_with('4'));
        let conditions = self.server().into_iter().flat_map(|server| server.named("if"));
        conditions.filter(|one| refuses(one)).any(|one| names.iter().any(|name| one.argument(0).contains(name)))
    }

    fn server(&self) -> Option<&'a Directive> {
        self.0.iter().find(|block| block.name() == "server").copied()
    }
}

pub(super) fn examine(all: &[Directive]) -> Vec<Finding> {
    let http = Directive { line: 1, words: vec!["http".to_owned()], block: Some(all.to_vec()) };
    let mut scopes = Vec::new();
    gather(&[&http], &mut scopes);
    let targets: Vec<&str> = scopes.iter().filter(|scope| scope.is_checked()).filter_map(|scope| scope.setting("auth_request")).collect();
    let mut found: Vec<Finding> = Vec::new();
    if targets.is_empty() {
        found.push(UNCHECKED.at(1, "the whole file"));
    }
    for scope in &scopes {
        if targets.contains(&scope.path()) {
            check_itself(scope, &mut found);
        } else if scope.is_checked() {
            checked(scope, &scopes, &mut found);
        } else if beside_checked(scope, &scopes) {
            found.push(UNCHECKED_LOCATION.at(scope.line(), scope.text()));
        }
    }
    anywhere(all, &mut found);
    found
}

/// Servers and locations, each with what is around it.
fn gather<'a>(around: &[&'a Directive], scopes: &mut Vec<Scope<'a>>) {
    for child in around.first().map_or(&[][..], |block| block.children()) {
        let within: Vec<_> = std::iter::once(child).chain(around.iter().copied()).collect();
        match child.name() {
            "server" | "location" if child.block.is_some() => {
                gather(&within, scopes);
                scopes.push(Scope(within));
            }
            "http" if child.block.is_some() => gather(&within, scopes),
            _ => {}
        }
    }
}

/// A location that leads somewhere though nobody asks, in a server that asks elsewhere.
fn beside_checked(scope: &Scope<'_>, scopes: &[Scope<'_>]) -> bool {
    let is_own = scope.path().starts_with(OWN_PATH) || scope.path().starts_with('@');
    let is_internal = scope.own().is_some_and(|own| own.named("internal").next().is_some());
    let asks = |other: &&Scope<'_>| other.server() == scope.server() && other.is_checked();
    scope.leads().is_some() && !is_own && !is_internal && scopes.iter().any(|other| asks(&other))
}

/// The location that asks.
fn check_itself(scope: &Scope<'_>, found: &mut Vec<Finding>) {
    let (line, text) = (scope.line(), scope.text());
    if scope.own().is_some_and(|own| own.named("internal").next().is_none()) {
        found.push(NOT_INTERNAL.at(line, &*text));
    }
    for cache in ["proxy_cache", "fastcgi_cache"] {
        if let Some(zone) = scope.setting(cache).filter(|zone| *zone != "off") {
            found.push(CACHED.at(line, format!("{cache} {zone}")));
        }
    }
    match scope.header("x-forwarded-for") {
        None => found.push(FORWARDED.at(line, format!("{text} does not set X-Forwarded-For"))),
        Some(value) if value.contains("forwarded_for") => found.push(FORWARDED.at(line, value)),
        Some(_) => {}
    }
    let url = scope.header("x-original-url").filter(|url| url.contains("$request_uri"));
    let method = scope.header("x-original-method").filter(|method| *method == "$request_method");
    for (name, right) in [("X-Original-URL", url), ("X-Original-Method", method)] {
        if right.is_none() {
            found.push(ORIGINAL.at(line, name));
        }
    }
    if url.is_some_and(|url| url.contains("$http_host")) && !scope.compares_hosts() {
        found.push(TWO_HOSTS.at(line, "X-Original-URL"));
    }
    for timeout in ["proxy_connect_timeout", "proxy_read_timeout"] {
        if scope.setting(timeout).is_none() {
            found.push(NO_TIMEOUT.at(line, timeout));
        }
    }
    if scope.setting("proxy_pass_request_body") != Some("off") {
        found.push(BODY.at(line, text));
    }
    error_pages(scope, &[], found);
}

/// A place that is decided about.
fn checked(scope: &Scope<'_>, scopes: &[Scope<'_>], found: &mut Vec<Finding>) {
    if scope.setting("satisfy") == Some("any") {
        found.push(SATISFY_ANY.at(scope.line(), "satisfy any"));
    }
    for block in scope.0.iter().filter(|block| matches!(block.name(), "server" | "location")) {
        let rewrites = block.named("rewrite").chain(block.named("if").flat_map(|condition| condition.named("rewrite")));
        found.extend(rewrites.map(|rewrite| REWRITTEN.at(rewrite.line, rewrite.text())));
    }
    error_pages(scope, scopes, found);
    let Some(leads) = scope.leads() else { return };
    let beyond_host = leads.argument(0).split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if leads.name() == "proxy_pass" && beyond_host {
        found.push(REWRITTEN.at(leads.line, leads.text()));
    }
    if leads.name() == "proxy_pass" {
        let set = scope.in_force("proxy_set_header");
        if let Some(missing) = missing_identity(set.iter().map(|directive| directive.argument(0))) {
            found.push(IDENTITY.at(scope.line(), missing));
        }
    }
}

/// `error_page CODE… [=[STATUS]] TARGET`.
fn error_pages(scope: &Scope<'_>, scopes: &[Scope<'_>], found: &mut Vec<Finding>) {
    for page in scope.in_force("error_page") {
        let refusals = page.arguments().filter(|code| matches!(*code, "401" | "403") || (code.len() == 3 && code.starts_with('5')));
        let tells_well = page.arguments().any(|code| code.starts_with("=2"));
        let target = page.words.last().map_or("", String::as_str);
        let leads = |other: &&Scope<'_>| other.server() == scope.server() && other.path() == target && leads_on(other);
        if refusals.count() > 0 && (tells_well || scopes.iter().any(|other| leads(&other))) {
            found.push(FAILURE_ALLOWED.at(page.line, page.text()));
        }
    }
}

fn leads_on(scope: &Scope<'_>) -> bool {
    let says_well = scope.directives().any(|directive| directive.name() == "return" && directive.argument(0).starts_with('2'));
    says_well || (scope.leads().is_some() && (scope.path().starts_with('@') || !scope.is_checked()))
}

fn anywhere(all: &[Directive], found: &mut Vec<Finding>) {
    walk(all, &mut |directive| match (directive.name(), directive.argument(0)) {
        ("underscores_in_headers", "on") | ("ignore_invalid_headers", "off") => {
            found.push(UNDERSCORES.at(directive.line, directive.text()));
        }
        ("set_real_ip_from", network) if is_everyone(network) => found.push(EVERYONE.at(directive.line, directive.text())),
        ("include", file) if !file.ends_with("mime.types") => found.push(INCLUDE.at(directive.line, directive.text())),
        _ => {}
    });
}
