//! What Caddy's `forward_auth` does not forgive.

use super::blocks::{Directive, walk};
use super::{Finding, OWN_PATH, Rule, Severity, is_everyone, missing_identity};

pub(super) const RULES: &[&Rule] = &[
    &UNCHECKED,
    &UNCHECKED_ROUTE,
    &CONDITIONAL,
    &AFTER,
    &FAILURE_ALLOWED,
    &IDENTITY,
    &FORWARDED,
    &EVERYONE,
    &NO_TIMEOUT,
    &REWRITTEN,
    &CACHED,
    &IMPORT,
];

const UNCHECKED: Rule = Rule {
    id: "caddy/nothing-checked",
    severity: Severity::High,
    why: "no `forward_auth` is in this file, so nothing in it is decided about",
    instead: "`forward_auth` in each site or `handle` that leads to an application",
};
const UNCHECKED_ROUTE: Rule = Rule {
    id: "caddy/unchecked-route",
    severity: Severity::High,
    why: "this block leads to a server without a check, in a site that is checked elsewhere",
    instead: "`forward_auth` in it too; only `/.countersign/*` goes unchecked, and to the decision point",
};
const CONDITIONAL: Rule = Rule {
    id: "caddy/conditional-check",
    severity: Severity::Medium,
    why: "what the matcher leaves out is not decided about, and clients can often bring it about",
    instead: "`forward_auth` without a matcher, inside a `handle` of its own",
};
const AFTER: Rule = Rule {
    id: "caddy/check-after-proxy",
    severity: Severity::High,
    why: "the application answers before anybody asks",
    instead: "`forward_auth` before `reverse_proxy` in a `route`, and no `order` of its own",
};
const FAILURE_ALLOWED: Rule = Rule {
    id: "caddy/failure-allowed",
    severity: Severity::High,
    why: "whoever is refused, or cannot be asked about, is led to a server, or is told that all is well",
    instead: "no `reverse_proxy` and no status of success in `handle_errors` and in `handle_response` of the check",
};
const IDENTITY: Rule = Rule {
    id: "caddy/identity-not-set",
    severity: Severity::High,
    why: "a header that is not copied is passed on as the client sent it, and the application believes it",
    instead: "`copy_headers` with each of them",
};
const FORWARDED: Rule = Rule {
    id: "caddy/forwarded-for-appended",
    severity: Severity::High,
    why: "where proxies are trusted, Caddy appends to what came, and the client chooses what is in front",
    instead: "`header_up X-Forwarded-For {client_ip}` in `forward_auth`",
};
const EVERYONE: Rule = Rule {
    id: "caddy/everyone-trusted",
    severity: Severity::High,
    why: "every client is believed when it says where it comes from",
    instead: "`trusted_proxies static` with the networks of your own load balancers",
};
const NO_TIMEOUT: Rule = Rule {
    id: "caddy/no-timeout",
    severity: Severity::Medium,
    why: "Caddy waits without end for an answer, and requests pile up behind a decision point that hangs",
    instead: "`transport http { dial_timeout 200ms response_header_timeout 500ms }` in `forward_auth`",
};
const REWRITTEN: Rule = Rule {
    id: "caddy/path-rewritten",
    severity: Severity::Medium,
    why: "the path is changed before the check, whatever the order in the file: what is decided about is not what the client sent",
    instead: "`handle` in place of `handle_path`; `rewrite` and `uri` inside a `route`, after the check",
};
const CACHED: Rule = Rule {
    id: "caddy/cached-before-check",
    severity: Severity::High,
    why: "what is in the cache is given to everybody, without a decision",
    instead: "no `cache` in a site that is checked",
};
const IMPORT: Rule = Rule {
    id: "caddy/import-not-read",
    severity: Severity::Low,
    why: "what is imported from another file was not examined",
    instead: "examine that file as well",
};

/// How many times in a row a snippet may import another.
const DEEPEST_IMPORT: usize = 8;
const MOST_DIRECTIVES: usize = 20_000;

pub(super) fn examine(all: &[Directive]) -> Result<Vec<Finding>, String> {
    let snippets: Vec<&Directive> = all.iter().filter(|one| is_snippet(one)).collect();
    let mut left = MOST_DIRECTIVES;
    let sites = all.iter().filter(|one| !is_snippet(one)).map(|site| expanded(site, &snippets, 0, &mut left));
    let sites = sites.collect::<Result<Vec<_>, _>>()?.concat();
    let mut found = Vec::new();
    if !holds(&sites, "forward_auth") {
        found.push(UNCHECKED.at(1, "the whole file"));
    }
    let trusts = holds(&sites, "trusted_proxies");
    for site in &sites {
        if site.words.is_empty() { options(site, &mut found) } else { self::site(site, trusts, &mut found) }
    }
    walk(&sites, &mut |one| {
        if one.name() == "import" {
            found.push(IMPORT.at(one.line, one.text()));
        }
    });
    Ok(found)
}

fn is_snippet(directive: &Directive) -> bool {
    directive.name().starts_with('(')
}

/// The directive with what it imports from snippets in its place. Arguments of snippets are not filled in.
fn expanded(directive: &Directive, snippets: &[&Directive], depth: usize, left: &mut usize) -> Result<Vec<Directive>, String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("more than {MOST_DIRECTIVES} directives"))?;
    let name = format!("({})", directive.argument(0));
    let imported = snippets.iter().find(|snippet| directive.name() == "import" && snippet.name() == name);
    let inside = |all: &[Directive], depth: usize, left: &mut usize| {
        let expanded = all.iter().map(|one| expanded(one, snippets, depth, left)).collect::<Result<Vec<_>, _>>();
        expanded.map(|all| all.concat())
    };
    match imported {
        Some(_) if depth == DEEPEST_IMPORT => Err(format!("line {}: snippets import each other", directive.line)),
        Some(snippet) => inside(snippet.children(), depth + 1, left),
        None => {
            let block = directive.block.as_deref().map(|block| inside(block, depth, left)).transpose()?;
            Ok(vec![Directive { block, ..directive.clone() }])
        }
    }
}

/// Whether a directive of this name is in these blocks.
fn holds(all: &[Directive], name: &str) -> bool {
    all.iter().any(|one| one.name() == name || holds(one.children(), name))
}

/// The block of global options.
fn options(block: &Directive, found: &mut Vec<Finding>) {
    for order in
        block.named("order").filter(|order| order.argument(0) == "forward_auth" && order.words.last().is_some_and(|last| last != "first"))
    {
        if order.argument(1) == "after" || order.argument(1) == "last" {
            found.push(AFTER.at(order.line, order.text()));
        }
    }
    walk(block.children(), &mut |one| {
        if one.name() == "trusted_proxies" && one.arguments().any(is_everyone) {
            found.push(EVERYONE.at(one.line, one.text()));
        }
    });
}

fn site(site: &Directive, trusts: bool, found: &mut Vec<Finding>) {
    if !holds(site.children(), "forward_auth") {
        return;
    }
    block(site, false, found);
    walk(site.children(), &mut |one| match one.name() {
        "forward_auth" => check_itself(one, trusts, found),
        "handle_errors" => failure(one, found),
        "cache" => found.push(CACHED.at(one.line, one.text())),
        _ => {}
    });
}

/// A block that routes, and whether what is around it is checked already.
fn block(block: &Directive, checked_around: bool, found: &mut Vec<Finding>) {
    let check = block.children().iter().position(|one| one.name() == "forward_auth");
    let checked = checked_around || check.is_some();
    for (at, one) in block.children().iter().enumerate() {
        match one.name() {
            "handle" | "handle_path" if one.argument(0).starts_with(OWN_PATH) => {}
            "handle_path" if holds(one.children(), "forward_auth") => found.push(REWRITTEN.at(one.line, one.text())),
            "handle" | "handle_path" | "route" => self::block(one, checked, found),
            "reverse_proxy" | "php_fastcgi" if !checked => found.push(UNCHECKED_ROUTE.at(block.line, block.text())),
            "reverse_proxy" | "php_fastcgi" if block.name() == "route" && check.is_some_and(|check| at < check) => {
                found.push(AFTER.at(one.line, one.text()));
            }
            "rewrite" | "uri" if check.is_some_and(|check| block.name() != "route" || at < check) => {
                found.push(REWRITTEN.at(one.line, one.text()));
            }
            _ => {}
        }
    }
}

fn check_itself(check: &Directive, trusts: bool, found: &mut Vec<Finding>) {
    if check.argument(0).starts_with(['@', '/']) {
        found.push(CONDITIONAL.at(check.line, check.text()));
    }
    // `Their-Name>Our-Name` copies under another name.
    let copied = check.named("copy_headers").flat_map(|copy| copy.arguments().chain(copy.children().iter().map(Directive::name)));
    let copied = copied.map(|name| name.rsplit('>').next().unwrap_or(name));
    if let Some(missing) = missing_identity(copied) {
        found.push(IDENTITY.at(check.line, missing));
    }
    let forwarded =
        check.named("header_up").find(|header| header.argument(0).trim_start_matches('+').eq_ignore_ascii_case("x-forwarded-for"));
    let right = |value: &str| ["{client_ip}", "{remote_host}", "{http.request.remote.host}"].contains(&value);
    match forwarded {
        Some(header) if !header.argument(0).starts_with('+') && right(header.argument(1)) => {}
        Some(header) => found.push(FORWARDED.at(header.line, header.text())),
        None if trusts => found.push(FORWARDED.at(check.line, "no header_up X-Forwarded-For")),
        None => {}
    }
    for timeout in ["dial_timeout", "response_header_timeout"] {
        if !holds(check.children(), timeout) {
            found.push(NO_TIMEOUT.at(check.line, timeout));
        }
    }
    check.named("handle_response").for_each(|answer| failure(answer, found));
}

/// What is done about a refusal or a failure.
fn failure(block: &Directive, found: &mut Vec<Finding>) {
    walk(block.children(), &mut |one| {
        let says_well = one.name() == "respond" && one.arguments().any(|status| status.len() == 3 && status.starts_with('2'));
        if says_well || matches!(one.name(), "reverse_proxy" | "php_fastcgi") {
            found.push(FAILURE_ALLOWED.at(one.line, one.text()));
        }
    });
}
